"""Training environments side by side, for algorithms that step them themselves.

The episodes depend on (run seed, environment's index, number of its episode) and the actions alone:
not on how many processes share the environments, nor on what ran before. An ended episode is
followed by the next at once, and its last observation is given too, to bootstrap from.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, NamedTuple, Protocol

import gymnasium
import numpy as np
from gymnasium.wrappers import OrderEnforcing, TimeLimit
from numpy.typing import NDArray

import envs
from ars.errors import RunError
from ars.noise import Stream, reset_seed
from ars.rollout import RolloutError, one_line


class Step(NamedTuple):
    """What one step of n environments gave; new arrays every time.

    `obs`: [n, *shape], to act on next, of the next episode where one ended; `rewards`: float64 [n];
    `terminated`, `truncated`: bool [n], never both; `final_obs`: [n, *shape], what each action led
    to, the episode's last observation where it ended (`obs` itself where none did).
    """

    obs: NDArray[Any]
    rewards: NDArray[np.float64]
    terminated: NDArray[np.bool_]
    truncated: NDArray[np.bool_]
    final_obs: NDArray[Any]


class Finished(NamedTuple):
    """An episode that ended: the sum of its rewards and its number of steps."""

    total_reward: float
    length: int


class Group:
    """Some of a run's environments, stepped one after another in this process."""

    def __init__(
        self,
        env_id: str,
        env_kwargs: Mapping[str, Any],
        indices: Sequence[int],
        seed: int,
        rollout_length: int,
    ) -> None:
        self._env_id, self._indices, self._seed = env_id, list(indices), seed
        made = [envs.make(env_id, **env_kwargs) for _ in self._indices]
        space = made[0].observation_space
        self._shape, self._dtype = space.shape or (), space.dtype
        self._envs, limit = _bare(made)
        self._limit = min(rollout_length, limit or rollout_length)
        self._episodes = [0] * len(made)
        self._lengths = [0] * len(made)

    def restart(self, episodes: Sequence[int], actions: Sequence[NDArray[Any]]) -> NDArray[Any]:
        """Bring every environment into an episode of that number, after these actions."""
        self._episodes = list(episodes)
        return np.stack([self._replay(at, taken) for at, taken in enumerate(actions)])

    def _replay(self, at: int, actions: NDArray[Any]) -> Any:
        obs = self._reset(at)
        try:
            for action in _each(actions):
                obs = self._envs[at].step(action)[0]
                self._lengths[at] += 1
        except Exception as error:
            raise RolloutError(f"{self._where(at)}: {one_line(error)}") from error
        return obs

    def _reset(self, at: int) -> Any:
        index, episode = self._indices[at], self._episodes[at]
        self._lengths[at] = 0
        try:
            seed = reset_seed(self._seed, Stream.TRAINING, index, episode)
            obs, _ = self._envs[at].reset(seed=seed)
        except Exception as error:
            raise RolloutError(f"{self._where(at)}: {one_line(error)}") from error
        return obs

    def step(self, actions: NDArray[Any]) -> Step:
        """One step each; an ended episode's environment is reset."""
        n = len(self._envs)
        final_obs, rewards = np.empty((n, *self._shape), self._dtype), np.empty(n)
        terminated, truncated = np.zeros((2, n), np.bool_)
        ended, at = [], 0
        try:
            for at, action in enumerate(_each(actions)):
                final_obs[at], rewards[at], ends, cut, _ = self._envs[at].step(action)
                length = self._lengths[at] = self._lengths[at] + 1
                if ends or cut or length >= self._limit:
                    ended.append(at)
                    (terminated if ends else truncated)[at] = True
        except Exception as error:
            raise RolloutError(f"{self._where(at)}: {one_line(error)}") from error
        step = Step(final_obs, rewards, terminated, truncated, final_obs)
        self._check(step)
        if ended:
            step = step._replace(obs=final_obs.copy())
            for at in ended:
                self._episodes[at] += 1
                step.obs[at] = self._reset(at)
        return step

    def _check(self, step: Step) -> None:
        """Raises: RolloutError where something is not finite."""
        for name, values in (("reward", step.rewards), ("observation", step.final_obs)):
            # The sum is finite unless an element is not, or for values near the largest there are.
            if values.dtype.kind != "f" or np.isfinite(np.add.reduce(values, axis=None)):
                continue
            for at, value in enumerate(values):
                if not np.isfinite(value).all():
                    found = f"is {value}" if name == "reward" else "is not finite"
                    raise RolloutError(f"{self._where(at)}: {name} {found}")

    def _where(self, at: int) -> str:
        return (
            f"{self._env_id}, training environment {self._indices[at]}, "
            f"episode {self._episodes[at]}, step {self._lengths[at]}"
        )

    def close(self) -> None:
        """Close every environment."""
        for env in self._envs:
            env.close()


def _each(actions: NDArray[Any]) -> Any:
    """Python integers for Discrete actions, rows for Boxes."""
    return actions.tolist() if actions.ndim == 1 else actions


def _bare(
    made: Sequence[gymnasium.Env[Any, Any]],
) -> tuple[list[gymnasium.Env[Any, Any]], int | None]:
    """Environments without the wrappers that only count and check, and the count's limit.

    A tenth of CartPole's time goes into these.
    """
    limit, bare = None, []
    for wrapped in made:
        env = wrapped
        while type(env) in (TimeLimit, OrderEnforcing):
            if isinstance(env, TimeLimit):
                limit = min(env._max_episode_steps, limit or env._max_episode_steps)
            env = env.env  # type: ignore[attr-defined]  # of a wrapper
        bare.append(env)
    return bare, limit


class _Part(Protocol):
    """A group somewhere: calls of its methods are begun, and finished in the same order."""

    def begin(self, name: str, *args: Any) -> None: ...

    def finish(self) -> Any: ...

    def close(self) -> None: ...


class _Here:
    """A group in this process."""

    def __init__(self, group: Group) -> None:
        self._group, self._result = group, None

    def begin(self, name: str, *args: Any) -> None:
        self._result = getattr(self._group, name)(*args)

    def finish(self) -> Any:
        return self._result

    def close(self) -> None:
        self._group.close()


class _There:
    """A group in a process of its own."""

    def __init__(self, *args: Any) -> None:
        # Not forked: torch and Ray have threads.
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, *args), daemon=True)
        self._process.start()
        theirs.close()

    def begin(self, name: str, *args: Any) -> None:
        self._talk(self._connection.send, (name, args))

    def finish(self) -> Any:
        result, error = self._talk(self._connection.recv)
        if error is not None:
            raise RolloutError(error)
        return result

    def _talk(self, method: Any, *args: Any) -> Any:
        try:
            return method(*args)
        except (OSError, EOFError):
            self._process.join(1.0)
            raise RolloutError(
                f"an environment process ended with status {self._process.exitcode}"
            ) from None

    def close(self) -> None:
        with suppress(OSError):
            self._connection.close()
        self._process.join(5.0)
        if self._process.is_alive():
            self._process.terminate()


def _serve(connection: Connection, *args: Any) -> None:
    """The life of an environment process: until the other end closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the driver's to handle
    group = None
    answer: tuple[Any, str | None]
    with suppress(EOFError, OSError):
        while True:
            name, values = connection.recv()
            try:
                group = group or Group(*args)
                answer = getattr(group, name)(*values), None
            except Exception as error:
                answer = None, one_line(error)
            connection.send(answer)
    if group is not None:
        group.close()


@dataclass(frozen=True)
class _Share:
    """A part and which environments it has."""

    part: _Part
    where: slice


class Environments:
    """n environments stepped together; `obs` is what to act on, [n, *shape] of the space's dtype.

    `n_processes`: processes that share them, 0 for this one; the episodes are the same. `finished`
    collects episodes as they end; who reads them clears them.
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
    ) -> None:
        self.n, self._env_id = n, env_id
        self.finished: list[Finished] = []
        self._shares: list[_Share] = []
        kind = _There if n_processes else _here
        for indices in np.array_split(np.arange(n), max(1, min(n_processes, n))):
            part = kind(env_id, dict(env_kwargs), indices.tolist(), seed, rollout_length)
            where = slice(int(indices[0]), int(indices[-1]) + 1)
            self._shares.append(_Share(part, where))
        # Actions of the last steps, enough for every episode under way.
        self._taken: list[NDArray[Any]] = []
        self._longest_memory = 1000

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
        for share in self._shares:
            share.part.begin("step", actions[share.where])
        steps = [share.part.finish() for share in self._shares]
        step: Step = steps[0] if len(steps) == 1 else _joined(steps)
        self.obs = step.obs
        self._remember(actions)
        self._returns += step.rewards
        self._lengths += 1
        if step.obs is not step.final_obs:
            for at in np.flatnonzero(step.terminated | step.truncated).tolist():
                episode = Finished(float(self._returns[at]), int(self._lengths[at]))
                self.finished.append(episode)
                self._returns[at], self._lengths[at] = 0.0, 0
                self._episodes[at] += 1
        return step

    def _remember(self, actions: NDArray[Any]) -> None:
        self._taken.append(actions.copy())
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
        for at in range(self.n):
            if not np.array_equal(self.obs[at], state["obs"][at]):
                raise RunError(
                    f"{self._env_id}: training environment {at} does not come back to where it was "
                    f"by its reset seed and {lengths[at]} actions: it does not repeat itself, or "
                    "is another version; start a new run"
                )
        self._returns = state["returns"].copy()
        longest = int(lengths.max())
        taken = np.zeros((longest, self.n, *actions.shape[1:]), actions.dtype)
        for at, part in enumerate(parts):
            taken[longest - len(part) :, at] = part
        self._taken = list(taken)

    def close(self) -> None:
        """Close environments and processes; safe to call twice."""
        for share in self._shares:
            share.part.close()
        self._shares = []


def _here(*args: Any) -> _Here:
    return _Here(Group(*args))


def _joined(steps: Sequence[Step]) -> Step:
    columns = [np.concatenate(column) for column in zip(*steps, strict=True)]
    obs, rewards, terminated, truncated, final_obs = columns
    ended = any(step.obs is not step.final_obs for step in steps)
    return Step(obs, rewards, terminated, truncated, final_obs if ended else obs)
