"""Chooses the moments of a policy's episodes to show, scales and labels their pictures."""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from ars.common.settings import LARGEST_SEED, counted, setting
from ars.common.words import rounded

if TYPE_CHECKING:
    from PIL.Image import Image

    from ars.rendering.recorder import Shot
    from ars.rendering.video import Kind
    from ars.rollout.episode import Episode
    from policies import Policy

MOMENT_SECONDS = 4.0  # of a policy in a film of a training; fewer where all must fit


@dataclass(frozen=True)
class RenderConfig:
    """Settings of a rendering."""

    output: str | None = setting(
        None, "file to write: .mp4, .gif (at most 400 pictures) or .png (12 moments)"
    )
    episodes: int = setting(1, "episodes to show", at_least=1, requires={"over_training": (False,)})
    seed: int | None = setting(
        None,
        "seed of the episodes (default: the training run's; 0 where several RUNs are shown)",
        at_least=0,
        at_most=LARGEST_SEED,
    )
    width: int | None = setting(
        None, "width in pixels, where the environment lets it be chosen", at_least=16, at_most=4096
    )
    height: int | None = setting(
        None, "height in pixels, where the environment lets it be chosen", at_least=16, at_most=4096
    )
    over_training: bool = setting(
        False, "show ten policies of the training, from its tape, one after the other"
    )
    speed: float = setting(
        1.0,
        "of the film or the window: 0.25 is slow motion, 2 twice as fast",
        at_least=0.01,
        at_most=100.0,
    )


class Moment(NamedTuple):
    """A policy as it was during training, after so many timesteps."""

    policy: Policy
    timesteps: int


class Film:
    """Chooses the moments to show, scales and labels their pictures.

    Args:
        kind: of file.
        config: what to show.
        name: of the environment, for the label.
        steps_per_second: of simulated time.
        longest: the most steps of an episode.
        above: whether the label is above the pictures instead of on them.
        step_seconds: of simulated time, for the label; None: those of `steps_per_second`.

    Attributes:
        fps: pictures per second of the file.
        total: how many pictures there will be, as far as is known after the last one.
        starts: how many pictures came before each episode.
        taken: how many pictures there are so far.
    """

    def __init__(
        self,
        kind: Kind,
        config: RenderConfig,
        name: str,
        steps_per_second: float,
        longest: int,
        above: bool = False,
        step_seconds: float | None = None,
    ) -> None:
        from ars.rendering.recorder import Caption

        self._kind, self._config, self._name = kind, config, name
        self._step_seconds = step_seconds or 1 / steps_per_second
        shown = steps_per_second * config.speed  # in a second of the film
        self._stride = max(1, round(shown / kind.fps))
        self._label = Caption(above)
        self._chosen: set[tuple[int, int]] | None = None
        self.taken = 0
        self.starts: list[int] = []
        self._longest = longest
        self._each = math.ceil(longest / self._stride) + 1
        self.fps = kind.rate(shown / self._stride)
        self._most = int(min(kind.frames, max(1.0, kind.seconds * self.fps)))
        self.total = 0

    def choose(self, lengths: Sequence[int]) -> None:
        """Choose moments evenly over episodes of these lengths, the first and last included."""
        ends = list(itertools.accumulate(length + 1 for length in lengths))
        gaps = self._kind.frames - 1
        self._chosen = set()
        for state in (round(gap * (ends[-1] - 1) / gaps) for gap in range(gaps + 1)):
            episode = bisect.bisect_right(ends, state)
            self._chosen.add((episode, state - (ends[episode - 1] if episode else 0)))

    def wants(self, episode: int, step: int, ended: bool) -> bool:
        """Whether to take a picture after `step` steps of `episode`, which may have `ended`."""
        if self._chosen is not None:
            return (episode, step) in self._chosen
        # The last step is always shown: the largest reward is often its.
        due = ended or step == self._longest or step % self._stride == 0
        return due and self.taken < self._most

    def finish(self, shot: Shot) -> Image:
        """Scale and label a picture for the file."""
        from PIL import Image

        if shot.step == 0:
            self.starts.append(self.taken)
        self.taken += 1
        self.total = self._count(shot.episode)
        image = Image.fromarray(shot.picture)
        width, chosen = self._kind.width, self._config.width or self._config.height
        if width is not None and image.width > width and not chosen:
            height = round(image.height * width / image.width)
            image = image.resize((width, height), Image.Resampling.LANCZOS)
        return self._label.draw(image, self._lines(shot))

    def _count(self, episode: int) -> int:
        """How many pictures there will be, should this episode and all later ones be long."""
        if self._chosen is not None:
            return len(self._chosen)
        episodes = self._config.episodes - episode
        return min(self.starts[-1] + episodes * self._each, self._most)

    def _lines(self, shot: Shot) -> tuple[str, ...]:
        count = self._config.episodes
        which = f"   episode {shot.episode + 1} of {count}" if count > 1 else ""
        seconds = shot.step * self._step_seconds
        lines = [self._name + which, f"return {rounded(shot.total)}", f"time {seconds:.1f} s"]
        if "flags" in shot.measures:
            lines.append(counted(int(shot.measures["flags"]), "flag"))
        if "metres" in shot.measures:
            metres = shot.measures["metres"]
            speed = metres / seconds if seconds else 0.0
            lines.append(f"{rounded(metres)} m, {rounded(speed)} m/s")
        return tuple(lines)

    @property
    def seconds(self) -> float:
        """How long it lasts so far."""
        return self.taken / self.fps

    @property
    def is_cut(self) -> bool:
        """Whether it has as many pictures as it may have."""
        return self.taken == self._most

    def summary(self, size: tuple[int, int]) -> str:
        """The file in words."""
        return self._kind.described(size, self.taken, self.seconds, self.is_cut)


class TrainingFilm(Film):
    """A film of one policy after the other: the first seconds of an episode of each.

    A sheet has the last moment of those seconds. The labels show the return of the whole episode.

    Args:
        kind, config, name, steps_per_second, above: as for `Film`.
        moments: the policies.
        episodes: the whole episode of each, played before.

    Attributes:
        steps: how many steps of each episode are shown.
    """

    def __init__(
        self,
        kind: Kind,
        config: RenderConfig,
        name: str,
        steps_per_second: float,
        moments: Sequence[Moment],
        episodes: Sequence[Episode],
        above: bool = False,
    ) -> None:
        super().__init__(kind, config, name, steps_per_second, 0, above)
        seconds = MOMENT_SECONDS
        if not kind.moments:
            # One picture of each is left for the end of an episode.
            seconds = min(seconds, (kind.frames / len(moments) - 1) / self.fps)
        self.steps = max(1, int(seconds * steps_per_second * config.speed))
        self._moments, self._episodes = moments, episodes
        if kind.moments:
            ends = (min(self.steps, episode.length) for episode in episodes)
            self._chosen = set(enumerate(ends))

    def _count(self, episode: int) -> int:
        if self._chosen is not None:
            return len(self._chosen)
        lengths = [one.length for one in self._episodes]
        before = (math.ceil(min(self.steps, length) / self._stride) for length in lengths)
        ends = sum(length <= self.steps for length in lengths)
        return min(sum(before) + ends, self._most)

    def wants(self, episode: int, step: int, ended: bool) -> bool:
        """Whether the state after `step` steps of `episode` is to be taken."""
        ended = step == self._episodes[episode].length  # a limit of steps ends it too
        within = ended or step < self.steps or self._kind.moments
        return within and super().wants(episode, step, ended)

    def _lines(self, shot: Shot) -> tuple[str, ...]:
        steps, episode = self._moments[shot.episode].timesteps, self._episodes[shot.episode]
        return self._name, f"{steps:,} timesteps", f"return {rounded(episode.total_reward, 0)}"
