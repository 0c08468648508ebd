"""Whole episodes without Python in between, bit for bit those of the plain environment.

The robot is reset by its environment, in Python; from there compiled code plays to the
end in the environment's own simulation, through PyBullet's C functions (`native`).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import gymnasium
import numpy as np
from gymnasium.wrappers import TimeLimit

from envs.bullet.base import BulletEnv, check_action
from envs.bullet.compiled import flagrun, locomotion, loop, manipulation, pendulum
from envs.bullet.compiled.records import Array, Brain, Memory, Rules
from envs.bullet.flagrun import HumanoidFlagrun
from envs.bullet.locomotion import Runner
from envs.bullet.manipulation import Arm
from envs.bullet.pendulum import Pendulum

ACTIVATIONS = {"tanh": loop.TANH, "relu": loop.RELU, "sigmoid": loop.SIGMOID}
_FAMILIES = (  # the first that fits
    (HumanoidFlagrun, flagrun),
    (Runner, locomotion),
    (Pendulum, pendulum),
    (Arm, manipulation),
)
_CHECK_STEPS = 30


class Played(NamedTuple):
    """An episode, in the words of `ars.rollout.episode.Episode`."""

    total_reward: float
    score: float
    length: int
    fault: str | None


def make_brain(
    weights: Array,
    sizes: Sequence[int],
    *,
    bias: bool,
    activation: str = "tanh",
    normalizer: tuple[Array, Array, float | None] | None = None,
    bounds: tuple[Sequence[float] | None, Sequence[float] | None] = (None, None),
) -> Brain:
    """Lay a policy out for the compiled loop.

    Args:
        weights: flat float64; for each layer its matrix [n_out, n_in] row by row, then its bias.
        sizes: units of every layer, input and output included.
        bias: whether there are biases.
        activation: of the hidden layers, a key of `ACTIVATIONS`.
        normalizer: mean and standard deviation, [sizes[0]], and the bound on what comes out.
        bounds: lowest and highest action, [sizes[-1]], to which actions are clipped.

    Raises:
        ValueError: `weights` or the normaliser does not fit `sizes`.
    """
    parts, at = [], 0
    for n_in, n_out in itertools.pairwise(sizes):
        end = at + n_in * n_out
        parts.append(weights[at:end].reshape(n_out, n_in).T.ravel())
        at = end + n_out if bias else end
        parts.append(weights[end:at])
    mean, std, clip = normalizer or (np.zeros(sizes[0]), np.ones(sizes[0]), None)
    if at != weights.size or not mean.shape == std.shape == (sizes[0],):
        raise ValueError(f"{weights.size} weights and a mean of {mean.shape} for layers of {sizes}")
    low, high = (
        np.full(sizes[-1], bound if given is None else given, np.float32)
        for given, bound in zip(bounds, (-np.inf, np.inf), strict=True)
    )
    return Brain(
        weights=np.concatenate(parts),
        sizes=np.array(sizes, np.int64),
        bias=bias,
        activation=ACTIVATIONS[activation],
        mean=mean,
        std=std,
        clip=math.inf if clip is None else float(clip),
        low=low,
        high=high,
        front=np.zeros(max(sizes)),
        back=np.zeros(max(sizes)),
    )


def _family(robot: BulletEnv) -> Any:
    """Return the module that knows what a step of `robot` is: its `build` and its `begin`."""
    for kind, module in _FAMILIES:
        if isinstance(robot, kind):
            return module
    raise ValueError(f"{type(robot).__name__} has no compiled loop")


class FastRunner:
    """Plays episodes of one of our robots.

    Args:
        env: as `envs.make` gives it, without pictures. It is reset, and needs a reset after every
            episode played here; its owner closes it.

    Raises:
        ValueError: `env` is something else.
        RuntimeError: an episode does not come out as the plain environment plays it.
    """

    brain = staticmethod(make_brain)

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        robot = env.env if isinstance(env, TimeLimit) else None
        if not isinstance(robot, BulletEnv) or robot.render_mode is not None:
            raise ValueError(f"{env} is not a robot of ours without pictures")
        self.env = env
        self._robot: Any = robot
        self._longest = (env.spec and env.spec.max_episode_steps) or 0
        if self._longest < 1:
            raise ValueError(f"{env} does not say how long its episodes are")
        self._family = _family(robot)
        self._task = self._family.build(robot)
        self._check()

    def play(
        self,
        brain: Brain,
        seed: int,
        max_steps: int,
        *,
        shift: float = 0.0,
        reward_clip: float | None = None,
        statistics: tuple[Array, Array] | None = None,
    ) -> Played:
        """One episode of at most `max_steps` steps from `env.reset(seed=seed)`.

        statistics: mean and sum of squared deviations of the observations acted on, zeros [obs],
            to be written to.

        Raises:
            gymnasium.error.Error: the environment is closed.
            ValueError: the policy is for another robot, or an action is not finite.
        """
        obs, _ = self.env.reset(seed=seed)
        (joints,) = self._robot.action_space.shape
        if (brain.sizes[0], brain.sizes[-1]) != (obs.size, joints):
            raise ValueError(
                f"a policy from {brain.sizes[0]} to {brain.sizes[-1]} numbers; "
                f"this robot has {obs.size} and {joints}"
            )
        mean, m2 = statistics or (np.zeros(0), np.zeros(0))
        if not mean.shape == m2.shape == (obs.shape if statistics else (0,)):
            raise ValueError(f"statistics of {mean.shape} and {m2.shape} numbers of {obs.shape}")
        memory = Memory(obs, np.zeros(joints, np.float32), mean, m2)
        clip = math.inf if reward_clip is None else float(reward_clip)
        rules = Rules(min(max_steps, self._longest), float(shift), clip)
        task = self._family.begin(self._robot, self._task, rules.max_steps)
        total, score, length, end, reward = loop.play(task, brain, rules, memory)
        fault = None
        if end == loop.BAD_ACTION:
            check_action(memory.action, memory.action.shape)
        elif end == loop.NO_ANSWER:
            raise RuntimeError("PyBullet did not carry out a command")
        elif end == loop.BAD_OBSERVATION:
            fault = f"observation {length} is not finite"
        elif end == loop.BAD_REWARD:
            fault = f"reward {length} is {reward}"
        return Played(total, score, length, fault)

    def _check(self) -> None:
        """Play the start of an episode both ways: a few ms, and no doubts about this machine."""
        (size,) = self._robot.observation_space.shape
        action = np.linspace(-0.9, 0.8, *self._robot.action_space.shape)
        weights = np.append(np.zeros(size * action.size), action)
        brain = make_brain(weights, (size, action.size), bias=True)
        mean, m2 = np.zeros((2, size))
        fast = self.play(brain, 0, _CHECK_STEPS, statistics=(mean, m2))
        total, plain_mean = 0.0, np.zeros(size)
        obs, _ = self.env.reset(seed=0)
        for step in range(fast.length):
            plain_mean += (obs - plain_mean) / (step + 1)
            obs, reward, *_ = self.env.step(action.astype(np.float32))
            total += float(reward)
        if total != fast.total_reward or not np.array_equal(mean, plain_mean):
            raise RuntimeError("its results differ on this machine")
