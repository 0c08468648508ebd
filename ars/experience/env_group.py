"""Some of a run's training environments, in this process or in one of their own."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any, NamedTuple, Protocol

import gymnasium
import numpy as np
from gymnasium.wrappers import OrderEnforcing, TimeLimit
from numpy.typing import NDArray

import envs
from ars.common.errors import RolloutError, one_line
from ars.common.seeding import Stream, reset_seed
from envs.objective import NOTHING_KNOWN, Objective, ObjectiveSpec, Tally


class Step(NamedTuple):
    """What one step of n environments gave; new arrays every time.

    `obs`: [n, *shape], to act on next, of the next episode where one ended; `rewards`: float64 [n];
    `terminated`, `truncated`: bool [n], never both; `final_obs`: [n, *shape], what each action led
    to, the episode's last observation where it ended (`obs` itself where none did); `cut`: bool
    [n], where the environment says that returns may end although the episode goes on (a life lost,
    `info["cut_returns"]`, see `envs.atari`), None where nowhere; `tallies`: what each episode came
    to that ended, in the environments' order.
    """

    obs: NDArray[Any]
    rewards: NDArray[np.float64]
    terminated: NDArray[np.bool_]
    truncated: NDArray[np.bool_]
    final_obs: NDArray[Any]
    cut: NDArray[np.bool_] | None = None
    tallies: tuple[Tally, ...] = ()


class EnvGroup:
    """Some of a run's environments, stepped one after another in this process."""

    def __init__(
        self,
        env_id: str,
        env_kwargs: Mapping[str, Any],
        indices: Sequence[int],
        seed: int,
        rollout_length: int,
        objective: ObjectiveSpec = NOTHING_KNOWN,
        end_when_down: bool = False,
    ) -> None:
        self._env_id, self._indices, self._seed = env_id, list(indices), seed
        made = [envs.make(env_id, **env_kwargs) for _ in self._indices]
        space = made[0].observation_space
        self._shape, self._dtype = space.shape or (), space.dtype
        self._envs, limit = _bare(made)
        self._limit = min(rollout_length, limit or rollout_length)
        self._objectives = [Objective(env, objective.terms) for env in made]
        self._in_info, self._end_when_down = self._objectives[0].in_info, end_when_down
        self.weigh_by(None)
        self._episodes = [0] * len(made)
        self._lengths = [0] * len(made)

    def weigh_by(self, weights: Sequence[float] | None) -> None:
        """Weigh the terms of every reward from the next step on; None: the true rewards."""
        for objective in self._objectives:
            objective.weigh_by(weights, self._end_when_down)

    def restart(self, episodes: Sequence[int], actions: Sequence[NDArray[Any]]) -> NDArray[Any]:
        """Bring every environment into an episode of that number, after these actions."""
        self._episodes = list(episodes)
        return np.stack([self._replay(at, taken) for at, taken in enumerate(actions)])

    def _replay(self, at: int, actions: NDArray[Any]) -> NDArray[Any]:
        obs = self._reset(at)
        try:
            for action in _each(actions):
                obs, reward, _, _, info = self._envs[at].step(action)
                obs = self._seen(obs)
                self._lengths[at] += 1
                if self._in_info:
                    self._objectives[at].weigh(float(reward), info)
        except Exception as error:
            raise RolloutError(f"{self._where(at)}: {one_line(error)}") from error
        return obs

    def _reset(self, at: int) -> NDArray[Any]:
        index, episode = self._indices[at], self._episodes[at]
        self._lengths[at] = 0
        try:
            seed = reset_seed(self._seed, Stream.TRAINING, index, episode)
            obs, info = self._envs[at].reset(seed=seed)
            obs = self._seen(obs)
            self._objectives[at].begin(info)
        except Exception as error:
            raise RolloutError(f"{self._where(at)}: {one_line(error)}") from error
        if obs.dtype.kind == "f" and not np.isfinite(obs).all():
            raise RolloutError(f"{self._where(at)}: observation is not finite")
        return obs

    def _seen(self, obs: Any) -> NDArray[Any]:
        """An observation, whatever its type, as the space has it. Raises: ValueError."""
        seen: NDArray[Any] = np.asarray(obs, self._dtype)
        if seen.shape != self._shape:
            raise ValueError(f"an observation of shape {seen.shape}, not {self._shape}")
        return seen

    def step(self, actions: NDArray[Any]) -> Step:
        """One step each; an ended episode's environment is reset."""
        n = len(self._envs)
        final_obs, rewards = np.empty((n, *self._shape), self._dtype), np.empty(n)
        terminated, truncated = np.zeros((2, n), np.bool_)
        ended: list[int] = []
        tallies: list[Tally] = []
        cut: list[int] = []
        at = 0
        try:
            for at, action in enumerate(_each(actions)):
                obs, rewards[at], ends, stops, info = self._envs[at].step(action)
                final_obs[at] = self._seen(obs)
                if self._in_info:
                    rewards[at] = self._objectives[at].weigh(float(rewards[at]), info)
                length = self._lengths[at] = self._lengths[at] + 1
                if ends or stops or length >= self._limit:
                    ended.append(at)
                    tallies.append(self._objectives[at].end(info))
                    (terminated if ends else truncated)[at] = True
                if info.get("cut_returns"):
                    cut.append(at)
        except Exception as error:
            raise RolloutError(f"{self._where(at)}: {one_line(error)}") from error
        step = Step(final_obs, rewards, terminated, truncated, final_obs)
        self._check(step)
        if cut:
            step = step._replace(cut=np.isin(np.arange(n), cut))
        if ended:
            step = step._replace(obs=final_obs.copy(), tallies=tuple(tallies))
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
    return actions.tolist() if actions.ndim == 1 and actions.dtype.kind == "i" else actions


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


class EnvGroupHandle(Protocol):
    """A group wherever it runs: calls of its methods are begun, and finished in the same order."""

    def begin(self, name: str, *args: Any) -> None: ...

    def finish(self) -> Any: ...

    def close(self) -> None: ...


class InProcessGroup:
    """A group in this process."""

    def __init__(self, *args: Any) -> None:
        self._group, self._result = EnvGroup(*args), None

    def begin(self, name: str, *args: Any) -> None:
        self._result = getattr(self._group, name)(*args)

    def finish(self) -> Any:
        return self._result

    def close(self) -> None:
        self._group.close()


class ProcessDied(RolloutError):
    """An environment process ended by itself."""


class SubprocessGroup:
    """A group in a process of its own."""

    def __init__(self, *args: Any) -> None:
        # Not forked: torch and Ray have threads.
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, *args), daemon=True)
        self._process.start()
        theirs.close()

    def begin(self, name: str, *args: Any) -> None:
        with suppress(OSError):  # its death is told where the answer is missed
            self._connection.send((name, args))

    def finish(self) -> Any:
        try:
            result, error = self._connection.recv()
        except (OSError, EOFError):
            self._process.join(1.0)
            raise ProcessDied(
                f"an environment process ended with status {self._process.exitcode}"
            ) from None
        if error is not None:
            raise RolloutError(error)
        return result

    def close(self) -> None:
        with suppress(OSError):
            self._connection.close()
        self._process.join(2.0)
        if self._process.is_alive():
            self._process.terminate()


def _serve(connection: Connection, *args: Any) -> None:
    """The life of an environment process: until the other end closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the driver's to handle
    threading.Thread(target=_end_with_parent, daemon=True).start()
    group = None
    answer: tuple[Any, str | None]
    with suppress(EOFError, OSError):
        while True:
            name, values = connection.recv()
            try:
                group = group or EnvGroup(*args)
                answer = getattr(group, name)(*values), None
            except Exception as error:
                answer = None, one_line(error)
            connection.send(answer)
    if group is not None:
        group.close()


def _end_with_parent() -> None:
    """Leave when the driver is gone, also in the middle of a step that never ends."""
    parent = multiprocessing.parent_process()
    assert parent is not None, "runs in a child process"
    parent.join()
    os._exit(1)
