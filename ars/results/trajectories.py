"""The ways that policies take through a world that is seen from above, episode by episode."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import gymnasium

import envs
from ars.common.errors import RunError, failures
from ars.common.seeding import Stream
from ars.common.settings import counted
from ars.common.words import rounded
from ars.results import style
from ars.rollout.task import Snapshot, Task, describe
from ars.training.evaluation import acting
from ars.training.run_folder import ResolvedPolicy
from ars.training.trust import check_trust
from envs.drawing.possible import registered_creator
from envs.drawing.top_view import SeenFromAbove, TopView

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ALONE, BESIDE_OTHERS = 6, 3  # episodes of each policy
_PANEL, _CAPTION = 2.2, 0.2  # inches


@dataclass(frozen=True)
class Track:
    """An episode seen from above.

    Attributes:
        title: the environment and the algorithm, and which policy it is, of several.
        caption: what came of it.
        views: after the reset and after each step.
        terminated: whether it ended by itself.
    """

    title: str
    caption: str
    views: Sequence[TopView]
    terminated: bool


def is_seen_from_above(resolved: ResolvedPolicy, trust: bool) -> bool:
    """Whether a policy's environment offers a top view; told without making it.

    No module is imported for it that the policy's file may not import.
    """
    file = resolved.file
    try:
        check_trust(resolved.path, file.env_id, file.env_kwargs, trust)
        make = registered_creator(envs.resolve(file.env_id))
    except failures():  # the curve can be drawn all the same
        return False
    return inspect.isclass(make) and issubclass(make, SeenFromAbove)


class _Watched(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Keeps the top views of an episode."""

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        super().__init__(env)
        self._world: Any = env.unwrapped
        self.views: list[TopView] = []
        self.terminated = False

    def reset(self, **details: Any) -> tuple[Any, dict[str, Any]]:
        result = self.env.reset(**details)
        self.views = [self._world.top_view()]
        return result

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        result = self.env.step(action)
        self.views.append(self._world.top_view())
        self.terminated = result[2]
        return result


def play(
    resolved: ResolvedPolicy, episodes: int, seed: int | None, warn: Callable[[str], None]
) -> list[Track]:
    """Play a policy's episodes, those of `ars evaluate` with this seed.

    Raises:
        RunError, RolloutError: an episode fails or is not finite.
    """
    file, found = resolved.file, []
    snapshot = Snapshot(file.policy.weights, file.policy.normalizer)
    title = f"{file.env_id}: {file.training.get('algo', '')}"
    with acting(resolved, seed, warn=warn) as rollouts:
        rollouts.env = watched = _Watched(rollouts.env)
        for index in range(episodes):
            task = Task(Stream.FINAL_EVALUATION, 0, index)
            [episode] = rollouts.run(snapshot, [task])
            if episode.fault is not None:
                raise RunError(f"{describe(rollouts.spec, task)}: {episode.fault}")
            caption = (
                f"{counted(episode.length, 'step')}, return {rounded(episode.total_reward, 0)}"
            )
            found.append(Track(title, caption, watched.views, watched.terminated))
    return found


def draw_trajectories(trajectories: Sequence[Track]) -> Figure:
    """Draw trajectories, three a row, within `style.print_style`."""
    from matplotlib.figure import Figure

    rows = -(-len(trajectories) // BESIDE_OTHERS)
    width, height = trajectories[0].views[0].size
    tall = _PANEL * height / width + _CAPTION
    figure = Figure(figsize=(BESIDE_OTHERS * _PANEL, rows * tall + _CAPTION))
    grid = figure.subplots(rows, BESIDE_OTHERS, squeeze=False)
    for at, (axes, one) in enumerate(zip(grid.flat, trajectories, strict=False)):
        _draw(axes, one)
        if at % BESIDE_OTHERS == 0 and (at == 0 or trajectories[at - 1].title != one.title):
            axes.set_title(one.title, loc="left")
    return figure


def _draw(axes: Axes, trajectory: Track) -> None:
    """The world with the way through it, every goal there was, and how it ended."""
    from matplotlib.patches import Rectangle

    first, views = trajectory.views[0], trajectory.views
    goals = list(dict.fromkeys(goal for view in views for goal in view.goals))
    for boxes, color in ((goals, "#9BCFA9"), (first.obstacles, "#8A8A90")):
        for box in boxes:
            axes.add_patch(Rectangle((box.left, box.bottom), box.width, box.height, color=color))
    xs, ys = zip(*(view.place for view in views), strict=True)
    axes.plot(xs, ys, color=style.COLORS[0], linewidth=0.7)
    axes.plot(xs[0], ys[0], "o", color=style.COLORS[0], markersize=3)
    sign, color = ("X", style.COLORS[1]) if trajectory.terminated else ("s", style.COLORS[0])
    axes.plot(xs[-1], ys[-1], sign, color=color, markersize=4.5)
    axes.set_xlim(0, first.size[0])
    axes.set_ylim(0, first.size[1])
    axes.set_aspect("equal")
    axes.grid(visible=False)
    axes.spines[:].set_visible(True)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_xlabel(trajectory.caption, labelpad=2)
