"""A vectorised environment, for algorithms that step their own training environments.

Episodes depend only on (run seed, the environment's index, the episode's number) and the actions:
not on how many processes share the environments, nor on what ran before. When an episode ends the
next begins at once, and its last observation is returned as well, to bootstrap from.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import resource_tracker
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ars.common.errors import RolloutError
from ars.common.reaper import Reaper
from ars.experience.env_group import GroupSpec, Replayed, Step
from ars.experience.env_processes import (
    EnvGroupHandle,
    InProcessGroup,
    ProcessDied,
    SubprocessGroup,
)
from envs.objective import NOTHING_KNOWN, ObjectiveSpec
from policies.state import State

PROCESS_TRIES = 3  # to replace an environment process that dies, until that is the failure

__all__ = ["EpisodeInfo", "Step", "VectorEnv"]


class EpisodeInfo(NamedTuple):
    """An episode that ended: the sum of its rewards, its number of steps, and what was counted.

    The sum is that of the true rewards, also where others were learned from; `terms` and `measures`
    as in `envs.objective.Tally`.
    """

    total_reward: float
    length: int
    terms: tuple[float, ...] = ()
    measures: Mapping[str, float] = {}


@dataclass
class _Shard:
    """A group, and which of all environments are in it."""

    group: EnvGroupHandle
    where: slice


class VectorEnv:
    """n environments stepped together.

    Episodes are the same for any number of processes, even if one dies and is replaced.

    Args:
        env_id: of every environment.
        env_kwargs: for making each.
        n: how many.
        seed: of the run.
        rollout_length: the most steps in an episode.
        n_processes: processes that share the environments; 0: this one.
        notify: called with a line about a process that died.
        objective: what is known of the reward.
        weighs: whether `weigh_by` will weigh its terms.
        end_when_down: whether episodes end also of a robot that goes on when it is down.
        obs_dtype: the type of observations, if it is not that of their space.

    Attributes:
        obs: the observations to act on, [n, *shape] of that type.
        finished: episodes as they end; the reader removes them.
        begun_anew: environments whose episodes in progress could not be restored, so that their
            next ones have begun; the reader removes them.
    """

    obs: NDArray[Any]

    def __init__(
        self,
        env_id: str,
        env_kwargs: Mapping[str, Any],
        n: int,
        seed: int,
        rollout_length: int,
        n_processes: int = 0,
        notify: Callable[[str], None] = lambda line: None,
        *,
        objective: ObjectiveSpec = NOTHING_KNOWN,
        weighs: bool = False,
        end_when_down: bool = False,
        obs_dtype: str | None = None,
    ) -> None:
        self.n, self._notify = n, notify
        self._spec = GroupSpec(
            env_id, dict(env_kwargs), seed, rollout_length, objective, end_when_down, obs_dtype
        )
        self.finished: list[EpisodeInfo] = []
        self.begun_anew: list[int] = []
        self._shards: list[_Shard] = []
        self._reaper = Reaper() if n_processes else None  # of what environments start, too
        self._weighs = weighs
        self._weights: tuple[float, ...] | None = None
        for indices in np.array_split(np.arange(n), max(1, min(n_processes, n))):
            where = slice(int(indices[0]), int(indices[-1]) + 1)
            self._shards.append(_Shard(self._start(where), where))
        # Actions of the last steps, enough to replay every episode in progress.
        self._taken: list[NDArray[Any]] = []
        self._trim_at = 1000
        self._begun = False

    def _start(self, where: slice) -> EnvGroupHandle:
        indices = list(range(self.n)[where])
        if self._reaper is None:
            return InProcessGroup(self._spec, indices)
        resource_tracker.ensure_running()  # all of this process shares it: it is not to be marked
        with self._reaper.marking():
            return SubprocessGroup(self._spec, indices)

    def weigh_by(self, weights: tuple[float, ...] | None) -> None:
        """Weigh the terms of every reward from the next step on; None: the true rewards."""
        if weights != self._weights:
            self._weights = weights
            for shard in self._shards:
                shard.group.begin("weigh_by", weights)
            for shard in self._shards:
                with suppress(ProcessDied):  # the next step replaces it, and tells it the weights
                    shard.group.finish()

    def reset(self) -> NDArray[Any]:
        """Begin every environment's first episode; returns `obs`."""
        self._begin([0] * self.n, [np.zeros(0, np.int64)] * self.n)
        return self.obs

    def _begin(self, episodes: Sequence[int], actions: Sequence[NDArray[Any]]) -> Replayed:
        for shard in self._shards:
            shard.group.begin("restart", episodes[shard.where], actions[shard.where])
        parts: list[Replayed] = [shard.group.finish() for shard in self._shards]
        replayed = Replayed(*map(np.concatenate, zip(*parts, strict=True)))
        self._begun, self.obs = True, replayed.obs
        self._episodes = np.array(episodes, np.int64)
        self._lengths = np.array([len(taken) for taken in actions], np.int64)
        self._returns = np.zeros(self.n)
        return replayed

    def step(self, actions: NDArray[Any]) -> Step:
        """Step with actions as the environments take them: int64 [n], or a Box's [n, *shape].

        Raises:
            RolloutError: an environment fails or returns something that is not finite; the
                message names the environment, its episode and the step.
        """
        # A copy, since an environment may change what it is given.
        taken = actions.copy()
        for shard in self._shards:
            shard.group.begin("step", actions[shard.where])
        steps = [self._finish(shard, taken) for shard in self._shards]
        step: Step = steps[0] if len(steps) == 1 else _joined(steps)
        self.obs = step.obs
        self._remember(taken)
        self._returns += step.rewards
        self._lengths += 1
        if step.obs is not step.final_obs:
            ended = np.flatnonzero(step.terminated | step.truncated).tolist()
            for at, tally in zip(ended, step.tallies, strict=True):
                total = float(self._returns[at])
                if self._weighs:
                    total = tally.true_return(total)
                length = int(self._lengths[at])
                if not math.isfinite(total):
                    raise RolloutError(
                        f"{self._spec.env_id}, training environment {at}, episode "
                        f"{self._episodes[at]}: the sum of its rewards is too large for a float"
                    )
                self.finished.append(EpisodeInfo(total, length, tally.terms, tally.measures))
                self._returns[at], self._lengths[at] = 0.0, 0
                self._episodes[at] += 1
        return step

    def _finish(self, shard: _Shard, actions: NDArray[Any]) -> Step:
        """Finish a step; a process that died is replaced and repeats it."""
        try:
            step: Step = shard.group.finish()
            return step
        except ProcessDied as death:
            self._notify(f"{death}: another one goes on from where its episodes were")
            died = death
        for _ in range(PROCESS_TRIES):
            try:
                return self._bring_back(shard, actions)
            except ProcessDied as death:
                died = death
        raise died

    def _bring_back(self, shard: _Shard, actions: NDArray[Any]) -> Step:
        """Have another process take a shard to where it was, and repeat the step."""
        shard.group.close()
        shard.group = self._start(shard.where)
        shard.group.begin("weigh_by", self._weights)
        shard.group.finish()
        actions_since = [self._since_reset(at) for at in range(self.n)[shard.where]]
        shard.group.begin("restart", self._episodes[shard.where].tolist(), actions_since)
        replayed: Replayed = shard.group.finish()
        # One that comes back to somewhere else goes on from there, unless its episode has ended.
        first, obs = shard.where.start, self.obs[shard.where]
        elsewhere = self._elsewhere(replayed, obs, self._returns[shard.where])
        self._notify_of([first + at for at in elsewhere], "they go on from where they came to")
        lost = {at: obs[at] for at in elsewhere if replayed.ended[at]}
        shard.group.begin("step", actions[shard.where], lost)
        again: Step = shard.group.finish()
        return again

    def _remember(self, actions: NDArray[Any]) -> None:
        self._taken.append(actions)
        if len(self._taken) > self._trim_at:
            del self._taken[: len(self._taken) - int(self._lengths.max()) - 1]
            self._trim_at = 1000 + 2 * len(self._taken)

    def state(self) -> State:
        """Where every environment is: episode, actions since its reset, observation, return."""
        taken = [self._since_reset(at) for at in range(self.n)]
        return State(
            {
                "episodes": self._episodes.copy(),
                "lengths": self._lengths.copy(),
                "returns": self._returns.copy(),
                "obs": self.obs.copy(),
                "actions": np.concatenate(taken),
            }
        )

    def _since_reset(self, at: int) -> NDArray[Any]:
        length = int(self._lengths[at])
        rows = [actions[at] for actions in self._taken[len(self._taken) - length :]]
        example = self._taken[-1][at] if self._taken else np.int64(0)
        return np.array(rows).reshape(length, *example.shape).astype(example.dtype, copy=False)

    def restore(self, state: State) -> None:
        """Restore every environment by its reset seed and actions.

        One that comes back to other observations or rewards begins its next episode.

        Raises:
            ValueError: `state` is invalid.
            RolloutError: an environment fails while actions are replayed.
        """
        episodes = state.counts("episodes", self.n)
        lengths = state.counts("lengths", self.n, at_most=self._spec.rollout_length)
        returns = state.array("returns", (self.n,))
        actions = state.arrays.get("actions")
        if actions is None or actions.shape[:1] != (lengths.sum(),):
            raise state.error("actions", f"not the {lengths.sum()} since the environments' resets")
        parts = np.split(actions, np.cumsum(lengths)[:-1])
        replayed = self._begin(episodes.tolist(), parts)
        self._returns = returns.copy()
        obs = state.array("obs", self.obs.shape, self.obs.dtype)
        self._leave(self._elsewhere(replayed, obs, returns))
        longest = int(lengths.max())
        taken = np.zeros((longest, self.n, *actions.shape[1:]), actions.dtype)
        for at, part in enumerate(parts):
            taken[longest - len(part) :, at] = part
        self._taken = list(taken)

    def _elsewhere(
        self, replayed: Replayed, obs: NDArray[Any], returns: NDArray[np.float64]
    ) -> list[int]:
        """Which episodes did not come back to where they were; sums of weighed rewards may not."""
        same = ~replayed.ended
        same &= [np.array_equal(now, then) for now, then in zip(replayed.obs, obs, strict=True)]
        if not self._weighs:
            same &= replayed.returns == returns
        elsewhere: list[int] = np.flatnonzero(~same).tolist()
        return elsewhere

    def _leave(self, elsewhere: list[int]) -> None:
        """Begin new episodes in place of those that did not come back, and say so."""
        self._notify_of(elsewhere, "new episodes begin there")
        self._begin_anew(elsewhere)
        self.begun_anew += elsewhere

    def _notify_of(self, elsewhere: list[int], consequence: str) -> None:
        if elsewhere:
            named = ", ".join(map(str, elsewhere[:8])) + (" ..." if elsewhere[8:] else "")
            self._notify(
                f"{self._spec.env_id}: training environments that do not come back to where they "
                f"were by their reset seeds and actions: {named}; the environment does not repeat "
                f"itself, or is another version; {consequence}"
            )

    def _begin_anew(self, which: list[int]) -> None:
        self.obs = self.obs.copy()  # the last step's array, which others may hold
        for shard in self._shards:
            first, end = shard.where.start, shard.where.stop
            here = [at for at in which if first <= at < end]
            if here:
                shard.group.begin("begin_anew", [at - first for at in here])
                self.obs[here] = shard.group.finish()
        self._episodes[which] += 1
        self._lengths[which], self._returns[which] = 0, 0.0

    @contextmanager
    def lent(self) -> Iterator[None]:
        """Close every environment for the block, where only one may exist, then bring all back."""
        self._close_groups()
        yield
        for shard in self._shards:
            shard.group = self._start(shard.where)
            shard.group.begin("weigh_by", self._weights)
            shard.group.finish()
        if self._begun:
            obs, returns = self.obs, self._returns
            actions = [self._since_reset(at) for at in range(self.n)]
            replayed = self._begin(self._episodes.tolist(), actions)
            self._returns = returns
            self._leave(self._elsewhere(replayed, obs, returns))

    def close(self) -> None:
        """Close environments and processes; safe to call twice."""
        self._close_groups()
        self._shards = []

    def _close_groups(self) -> None:
        with ExitStack() as closing:  # whose calls an interrupt of one of them does not stop
            if self._reaper is not None:
                closing.callback(self._reaper.reap, grace_seconds=0.0)
            for shard in self._shards:
                closing.callback(shard.group.close)
                shard.group.leave()


def _joined(steps: Sequence[Step]) -> Step:
    columns = [np.concatenate(column) for column in zip(*(s[:5] for s in steps), strict=True)]
    obs, rewards, terminated, truncated, final_obs = columns
    ended = any(step.obs is not step.final_obs for step in steps)
    cut = None
    if any(step.cut is not None for step in steps):
        nowhere = [np.zeros(len(step.rewards), np.bool_) for step in steps]
        cut = np.concatenate([nowhere[i] if s.cut is None else s.cut for i, s in enumerate(steps)])
    tallies = tuple(tally for step in steps for tally in step.tallies)
    return Step(obs, rewards, terminated, truncated, final_obs if ended else obs, cut, tallies)
