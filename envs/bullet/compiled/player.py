"""Whole episodes without Python in the loop, bit for bit the same as in the Python environment.

The environment resets the robot in Python. From there, compiled code runs the episode to its end in
the environment's own simulation, through PyBullet's C functions.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any, ClassVar

import gymnasium
import numpy as np
from gymnasium.wrappers import TimeLimit

from envs.bullet.base import BulletEnv, check_action
from envs.bullet.compiled import flagrun, locomotion, loop, manipulation, pendulum
from envs.bullet.compiled.jit import Array, Array32
from envs.bullet.compiled.policy import ACTIVATIONS, CompiledPolicy, lay_out_policy
from envs.bullet.flagrun import HumanoidFlagrun
from envs.bullet.locomotion import LocomotionEnv
from envs.bullet.manipulation import ManipulationEnv
from envs.bullet.pendulum import PendulumEnv
from envs.clock import Clock, without_clock

# For each family of robots, the function that makes its task and the function that copies the state
# after a reset to the task. The first matching entry is used.
_FAMILIES: tuple[tuple[type[BulletEnv], Any, Any], ...] = (
    (HumanoidFlagrun, flagrun.flagrun_task, flagrun.begin),
    (LocomotionEnv, locomotion.locomotion_task, locomotion.begin),
    (PendulumEnv, pendulum.pendulum_task, pendulum.begin),
    (ManipulationEnv, manipulation.manipulation_task, manipulation.begin),
)
_CHECK_STEPS = 30


class CompiledPlayer:
    """Plays episodes of one of the toolkit's robots.

    Args:
        env: an environment returned by `envs.make` without a `render_mode`. The player resets it;
            before using it in another way, reset it again. The caller closes it.

    Attributes:
        activations: names of those that a policy's hidden layers may have.

    Raises:
        ValueError: `env` is not such an environment.
        RuntimeError: an episode differs from that of the Python environment.
    """

    activations: ClassVar[Collection[str]] = ACTIVATIONS.keys()
    lay_out_policy = staticmethod(lay_out_policy)

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        limited = without_clock(env)
        robot = limited.env if isinstance(limited, TimeLimit) else None
        if not isinstance(robot, BulletEnv) or robot.render_mode is not None:
            raise ValueError(f"{env} is not a robot of ours without pictures")
        self.env = env
        self._robot: Any = robot
        self._longest: int = (limited.spec and limited.spec.max_episode_steps) or 0
        if self._longest < 1:
            raise ValueError(f"{env} does not say how long its episodes are")
        self._clock = np.zeros((0, 0), np.float32)
        make_task, self._begin = _family_of(robot)
        self._task = make_task(robot)
        self._compare_with_plain()

    def play(
        self,
        policy: CompiledPolicy,
        seed: int,
        max_steps: int,
        *,
        shift: float = 0.0,
        reward_clip: float | None = None,
        statistics: tuple[Array, Array] | None = None,
    ) -> tuple[float, float, int, str | None]:
        """Play one episode of at most `max_steps` steps from `env.reset(seed=seed)`.

        Args:
            policy: a policy returned by `lay_out_policy`.
            seed: for the reset.
            max_steps: maximum length, in addition to the environment's own limit.
            shift: subtracted from each reward in the score.
            reward_clip: bound on each reward in the score.
            statistics: two arrays of zeros [obs], to which mean and sum of squared deviations of
                the observations acted on are written.

        Returns:
            Total reward, score, length and fault, as in `ars.rollout.episode.Episode`. What the
            terms of the reward added up to, and the measures, are then with the environment, as
            if it had been stepped.

        Raises:
            gymnasium.error.Error: the environment is closed.
            ValueError: the policy is for another robot, or an action is not finite.
        """
        obs, _ = self.env.reset(seed=seed)
        (joints,) = self._robot.action_space.shape
        if (policy.sizes[0], policy.sizes[-1]) != (obs.size, joints):
            raise ValueError(
                f"a policy from {policy.sizes[0]} to {policy.sizes[-1]} numbers; "
                f"this robot has {obs.size} and {joints}"
            )
        mean, m2 = statistics or (np.zeros(0), np.zeros(0))
        if not mean.shape == m2.shape == (obs.shape if statistics else (0,)):
            raise ValueError(f"statistics of {mean.shape} and {m2.shape} numbers of {obs.shape}")
        max_steps = min(max_steps, self._longest)
        clip = math.inf if reward_clip is None else float(reward_clip)
        action = np.zeros(joints, np.float32)
        clock = self._clock_until(max_steps)
        task = self._begin(self._robot, self._task, max_steps)
        task.weights[:] = self._robot.reward_weights
        task.sums[:] = 0.0
        total, score, length, end, reward = loop.play(
            task, policy, max_steps, float(shift), clip, obs, action, clock, mean, m2
        )
        self._robot.record(task.sums.tolist())
        fault = None
        if end == loop.BAD_ACTION:
            check_action(action, action.shape)
        elif end == loop.NO_ANSWER:
            raise RuntimeError("PyBullet did not carry out a command")
        elif end == loop.BAD_OBSERVATION:
            fault = f"observation {length} is not finite"
        elif end == loop.BAD_REWARD:
            fault = f"reward {length} is {reward}"
        return total, score, length, fault

    def _clock_until(self, steps: int) -> Array32:
        """What a clock appends after 0 to at least `steps` steps: [steps + 1, m]; m is 0 for none.

        It is computed when it is needed: an episode may be far shorter than its limit.
        """
        if not isinstance(self.env, Clock):
            return np.zeros((steps + 1, 0), np.float32)
        if len(self._clock) <= steps:
            times = [self.env.after(step) for step in range(steps + 1)]
            self._clock = np.array(times, np.float32)
        return self._clock

    def _compare_with_plain(self) -> None:
        """Check on this machine that both loops give the same start of an episode (a few ms)."""
        size = math.prod(self.env.observation_space.shape or ())
        action = np.linspace(-0.9, 0.8, *self._robot.action_space.shape)
        weights = np.append(np.zeros(size * action.size), action)
        policy = lay_out_policy(weights, (size, action.size), bias=True)
        mean, m2 = np.zeros((2, size))
        total, _, length, _ = self.play(policy, 0, _CHECK_STEPS, statistics=(mean, m2))
        plain_total, plain_mean = 0.0, np.zeros(size)
        obs, _ = self.env.reset(seed=0)
        for step in range(length):
            plain_mean += (obs - plain_mean) / (step + 1)
            obs, reward, *_ = self.env.step(action.astype(np.float32))
            plain_total += float(reward)
        if total != plain_total or not np.array_equal(mean, plain_mean):
            raise RuntimeError("its results differ on this machine")


def _family_of(robot: BulletEnv) -> tuple[Any, Any]:
    """Return the functions of `_FAMILIES` for a robot. Raises: ValueError if there are none."""
    for kind, make_task, begin in _FAMILIES:
        if isinstance(robot, kind):
            return make_task, begin
    raise ValueError(f"{type(robot).__name__} has no compiled loop")
