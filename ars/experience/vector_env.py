"""Training environments side by side, for algorithms that step them themselves.

The episodes depend on (run seed, environment's index, number of its episode) and the actions alone:
not on how many processes share the environments, nor on what ran before. An ended episode is
followed by the next at once, and its last observation is given too, to bootstrap from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ars.common.errors import RunError
from ars.experience.env_group import Here, Part, ProcessDied, Step, There

__all__ = ["Environments", "Finished", "Step"]


class Finished(NamedTuple):
    """An episode that ended: the sum of its rewards and its number of steps."""

    total_reward: float
    length: int


@dataclass
class _Share:
    """A part and which environments it has."""

    part: Part
    where: slice


class Environments:
    """n environments stepped together; `obs` is what to act on, [n, *shape] of the space's dtype.

    `n_processes`: processes that share them, 0 for this one; the episodes are the same, also where
    a process dies and another takes its place, of which `notify` is told. `finished` collects
    episodes as they end; who reads them clears them.
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
    ) -> None:
        self.n, self._env_id, self._notify = n, env_id, notify
        self.finished: list[Finished] = []
        self._shares: list[_Share] = []
        self._kind = There if n_processes else Here
        self._made_of = env_id, dict(env_kwargs), seed, rollout_length
        for indices in np.array_split(np.arange(n), max(1, min(n_processes, n))):
            where = slice(int(indices[0]), int(indices[-1]) + 1)
            self._shares.append(_Share(self._start(where), where))
        # Actions of the last steps, enough for every episode under way.
        self._taken: list[NDArray[Any]] = []
        self._longest_memory = 1000

    def _start(self, where: slice) -> Part:
        env_id, env_kwargs, seed, rollout_length = self._made_of
        indices = list(range(self.n)[where])
        return self._kind(env_id, env_kwargs, indices, seed, rollout_length)

    def reset(self) -> NDArray[Any]:
        """Begin every environment's first episode."""
        self._begin([0] * self.n, [np.zeros(0, np.int64)] * self.n)
        return self.obs

    def _begin(self, episodes: Sequence[int], actions: Sequence[NDArray[Any]]) -> None:
        for share in self._shares:
            share.part.begin("restart", episodes[share.where], actions[share.where])
        self.obs = np.concatenate([share.part.finish() for share in self._shares])
        self._episodes = np.array(episodes, np.int64)
        self._lengths = np.array([len(taken) for taken in actions], np.int64)
        self._returns = np.zeros(self.n)

    def step(self, actions: NDArray[Any]) -> Step:
        """Step with actions as the environments take them: int64 [n], or a Box's [n, *shape].

        Raises: RolloutError naming environment, episode and step where one fails or gives
        something that is not finite.
        """
        # A copy, since an environment may change what it is given.
        taken = actions.copy()
        for share in self._shares:
            share.part.begin("step", actions[share.where])
        steps = [self._finish(share, taken) for share in self._shares]
        step: Step = steps[0] if len(steps) == 1 else _joined(steps)
        self.obs = step.obs
        self._remember(taken)
        self._returns += step.rewards
        self._lengths += 1
        if step.obs is not step.final_obs:
            for at in np.flatnonzero(step.terminated | step.truncated).tolist():
                episode = Finished(float(self._returns[at]), int(self._lengths[at]))
                self.finished.append(episode)
                self._returns[at], self._lengths[at] = 0.0, 0
                self._episodes[at] += 1
        return step

    def _finish(self, share: _Share, actions: NDArray[Any]) -> Step:
        """A step's end; a process that died is replaced, and takes the step once more."""
        try:
            step: Step = share.part.finish()
            return step
        except ProcessDied as death:
            self._notify(f"{death}: another one goes on from where its episodes were")
        share.part.close()
        share.part = self._start(share.where)
        actions_since = [self._since_reset(at) for at in range(self.n)[share.where]]
        share.part.begin("restart", self._episodes[share.where].tolist(), actions_since)
        self._compare(share.part.finish(), self.obs[share.where], share.where.start)
        share.part.begin("step", actions[share.where])
        again: Step = share.part.finish()
        return again

    def _remember(self, actions: NDArray[Any]) -> None:
        self._taken.append(actions)
        if len(self._taken) > self._longest_memory:
            del self._taken[: len(self._taken) - int(self._lengths.max()) - 1]
            self._longest_memory = 1000 + 2 * len(self._taken)

    def state(self) -> dict[str, NDArray[Any]]:
        """Where every environment is: episode, actions since its reset, observation, return."""
        taken = [self._since_reset(at) for at in range(self.n)]
        return {
            "episodes": self._episodes.copy(),
            "lengths": self._lengths.copy(),
            "returns": self._returns.copy(),
            "obs": self.obs.copy(),
            "actions": np.concatenate(taken),
        }

    def _since_reset(self, at: int) -> NDArray[Any]:
        length = int(self._lengths[at])
        rows = [actions[at] for actions in self._taken[len(self._taken) - length :]]
        example = self._taken[-1][at] if self._taken else np.int64(0)
        return np.array(rows).reshape(length, *example.shape).astype(example.dtype, copy=False)

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Bring every environment back by its reset seed and actions.

        Raises: RunError where it then does not show what it showed; KeyError or ValueError where
        `state` is not one.
        """
        lengths, actions = state["lengths"], state["actions"]
        if len(lengths) != self.n or lengths.sum() != len(actions):
            raise ValueError(f"a state of {len(lengths)} environments, not {self.n}")
        parts = np.split(actions, np.cumsum(lengths)[:-1])
        self._begin(state["episodes"].tolist(), parts)
        self._compare(self.obs, state["obs"])
        self._returns = state["returns"].copy()
        longest = int(lengths.max())
        taken = np.zeros((longest, self.n, *actions.shape[1:]), actions.dtype)
        for at, part in enumerate(parts):
            taken[longest - len(part) :, at] = part
        self._taken = list(taken)

    def _compare(self, obs: NDArray[Any], before: NDArray[Any], first: int = 0) -> None:
        """Raises: RunError where environments from `first` on do not show what they showed."""
        for at, (now, then) in enumerate(zip(obs, before, strict=True), first):
            if not np.array_equal(now, then):
                raise RunError(
                    f"{self._env_id}: training environment {at} does not come back to where it was "
                    f"by its reset seed and {self._lengths[at]} actions: it does not repeat "
                    "itself, or is another version; start a new run"
                )

    def close(self) -> None:
        """Close environments and processes; safe to call twice."""
        for share in self._shares:
            share.part.close()
        self._shares = []


def _joined(steps: Sequence[Step]) -> Step:
    columns = [np.concatenate(column) for column in zip(*(s[:5] for s in steps), strict=True)]
    obs, rewards, terminated, truncated, final_obs = columns
    ended = any(step.obs is not step.final_obs for step in steps)
    cut = None
    if any(step.cut is not None for step in steps):
        nowhere = [np.zeros(len(step.rewards), np.bool_) for step in steps]
        cut = np.concatenate([nowhere[i] if s.cut is None else s.cut for i, s in enumerate(steps)])
    return Step(obs, rewards, terminated, truncated, final_obs if ended else obs, cut)
