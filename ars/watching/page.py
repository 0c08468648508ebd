"""The page: robots side by side, the curve of each run, and a slider over its training."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import viser

from ars.watching.lane import Lane
from ars.watching.source import NOT_YET, Source, plain
from ars.watching.stage import OnStage

MOST = 6  # robots
_TIMESTEPS = "timesteps, in thousands"
_ORANGE = (237, 107, 33)
NEWEST, BEST, CHOSEN = "newest", "best", "slider"


class RobotPanel:
    """A robot on the page, with its controls.

    Args:
        server: viser's.
        source: the run that it plays policies of.
        place: which strip it stands on.
        places: how many strips there are, with this one.
        which: the policy that it begins with.
    """

    def __init__(
        self, server: Any, source: Source, place: int, places: int, which: str = NEWEST
    ) -> None:
        self.source = source
        self._stage = OnStage(server, place, places, _short(source.name), self._tell)
        self._lane = Lane(self._stage)
        self._seen = False
        self._shown: tuple[Any, ...] = ()
        self._quiet = False
        with server.gui.add_folder(f"Robot {place + 1}: {_short(source.name)}"):
            self._which = server.gui.add_button_group("Policy", (NEWEST, BEST, CHOSEN))
            self._moment = server.gui.add_slider(
                "Training", min=0, max=1, step=1, initial_value=0, disabled=True
            )
            self._text = server.gui.add_markdown("")
            self._episode = server.gui.add_markdown("")
        self._choice = which
        self._which.on_click(lambda event: self._choose(event.target.value))
        self._moment.on_update(self._slid)

    def _tell(self, text: str) -> None:
        self._episode.content = text

    def set_speed(self, speed: float) -> None:
        """Play so many times as fast as real time."""
        self._lane.speed = speed

    def look(self, seen: bool) -> None:
        """Play while somebody looks."""
        self._seen = seen
        self._lane.look(seen)
        if seen:
            self.update()

    def close(self) -> None:
        """End its play."""
        self._lane.close()

    def update(self) -> None:
        """Play what is newest, if that is to be shown, and let the slider reach it."""
        moments = self.source.state.moments
        if len(moments) > 1:
            last = len(moments) - 1
            if self._moment.max != last:
                self._moment.max = last
                self._moment.disabled = False
            if self._choice == NEWEST and self._moment.value != last:
                self._put(last)
        self._play()

    def _put(self, position: int) -> None:
        self._quiet = True
        try:
            self._moment.value = position
        finally:
            self._quiet = False

    def _choose(self, which: str) -> None:
        self._choice = which
        self.update()

    def _slid(self, event: Any) -> None:
        if not self._quiet and event.client is not None:
            self._choice = CHOSEN
            self._play()

    def _play(self) -> None:
        if not self._seen:  # what nobody sees need not be rebuilt
            return
        moments, position = self.source.state.moments, int(self._moment.value)
        if self._choice == CHOSEN and not moments:
            self._choice = BEST
        which = {NEWEST: "latest", BEST: "best", CHOSEN: "at"}[self._choice]
        if self._choice == NEWEST and moments:
            which, position = "at", len(moments) - 1
        wanted = which, position if which == "at" else self.source.written(which)
        if wanted == self._shown:
            return
        try:
            resolved = self.source.policy(which, position)
        except NOT_YET as error:
            self._stage.say("waiting for the first policy" if self.source.folder else str(error))
            return
        self._shown = wanted
        training = resolved.file.training
        iteration, timesteps = training.get("iteration"), training.get("timesteps")
        if which != "at" and timesteps in moments:
            self._put(moments.index(timesteps))
        about = f"{timesteps:,} timesteps" if isinstance(timesteps, int) else ""
        said = f"**{self._choice}**" + (f", after iteration {iteration:,}" if iteration else "")
        self._text.content = f"{said}: {about}" if about else said
        self._stage.say(about)
        self._lane.play(resolved)


class LivePage:
    """The whole page.

    Args:
        server: viser's.
        sources: the runs.
    """

    def __init__(self, server: Any, sources: Sequence[Source]) -> None:
        self._server, self._sources = server, list(sources)
        server.gui.configure_theme(
            control_layout="fixed", show_logo=False, show_share_button=False, brand_color=_ORANGE
        )
        server.scene.set_up_direction("+z")
        _light(server.scene)
        self._status = server.gui.add_markdown("")
        self._charts = [_Chart(server, source) for source in self._sources]
        self._speed = server.gui.add_slider("Speed", min=0.1, max=2.0, step=0.1, initial_value=1.0)
        self._more = server.gui.add_button("One more robot beside it")
        self._lock = threading.Lock()
        places = len(self._sources)
        self.robots = [
            RobotPanel(server, source, place, places) for place, source in enumerate(self._sources)
        ]
        self._speed.on_update(lambda event: self._set_speed())
        self._more.on_click(lambda event: self._add())
        server.on_client_connect(lambda client: self._count())
        server.on_client_disconnect(lambda client: self._count())

    def look(self) -> None:
        """Read what is new in the runs' files, and show it."""
        with self._lock:
            for source, chart in zip(self._sources, self._charts, strict=True):
                if source.look():
                    chart.update()
            self._status.content = "\n\n".join(
                f"**{plain(_short(source.name))}** ({plain(source.about)})  \n{source.status}"
                for source in self._sources
            )
            for robot in self.robots:
                robot.update()

    def close(self) -> None:
        """End all play."""
        for robot in self.robots:
            robot.close()

    def _set_speed(self) -> None:
        for robot in self.robots:
            robot.set_speed(float(self._speed.value))

    def _count(self) -> None:
        """A browser has come, once it draws, or gone."""
        with self._lock:
            for robot in self.robots:
                robot.look(bool(self._server.get_clients()))

    def _add(self) -> None:
        with self._lock:
            if len(self.robots) >= MOST:
                return
            place = len(self.robots)
            robot = RobotPanel(self._server, self._sources[0], place, place + 1, BEST)
            robot.set_speed(float(self._speed.value))
            robot.look(True)  # who pressed the button
            self.robots.append(robot)
            self._more.disabled = len(self.robots) >= MOST
            robot.update()


def _light(scene: Any) -> None:
    """Lights that a browser without a graphics card draws quickly, too.

    Viser's own are an environment map, for which the canvas is all but invisible until it is
    decoded and filtered, and shadows in three cascades, which every pixel of every frame pays for.
    """
    scene.configure_environment_map(None)
    scene.configure_default_lights(enabled=False)
    scene.add_light_ambient("/light/all", color=(255, 255, 255), intensity=1.6)
    scene.add_light_directional(
        "/light/above", color=(255, 255, 255), intensity=2.4, position=(-0.4, -0.6, 1.0)
    )


class _Chart:
    """The curve of a run; nothing for a policy by itself."""

    def __init__(self, server: Any, source: Source) -> None:
        self._source, self._server, self._plot = source, server, None

    def update(self) -> None:
        x, y = self._source.state.curve
        if x.size < 2:
            return
        # In thousands, as labels of millions do not fit beside each other.
        data = (np.asarray(x, np.float64) / 1000, np.asarray(y, np.float64))
        if self._plot is not None:
            with contextlib.suppress(AttributeError):
                self._plot.data = data
            return
        self._plot = self._server.gui.add_uplot(
            data=data,
            series=(
                viser.uplot.Series(label=_TIMESTEPS),
                viser.uplot.Series(label="return", stroke="#ed6b21", width=2),
            ),
            title=f"Evaluations of {_short(self._source.name)}",  # which is shown as text
            scales={"x": viser.uplot.Scale(time=False, auto=True)},
            axes=(viser.uplot.Axis(label=_TIMESTEPS), viser.uplot.Axis(size=60)),
            aspect=1.6,
            order=0.5,
        )


def _short(name: str) -> str:
    """The last two parts of a path."""
    return "/".join(name.rstrip("/").split("/")[-2:])
