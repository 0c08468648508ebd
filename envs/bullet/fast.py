"""Whole episodes without Python in between, bit for bit those of the plain environment.

The robot is reset by its environment, in Python; from there compiled code (`loop`) plays to the
end in the environment's own simulation, through PyBullet's C functions (`capi`).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import gymnasium
import numpy as np
from gymnasium.wrappers import TimeLimit

from envs.bullet import loop
from envs.bullet.base import check_action
from envs.bullet.capi import handle, state
from envs.bullet.client import pybullet
from envs.bullet.locomotion import AT_LIMIT, JOINT_AT_LIMIT, TARGET_X, Runner
from envs.bullet.records import Array, Array32, Body, Brain, Memory, Rules

ACTIVATIONS = {"tanh": loop.TANH, "relu": loop.RELU, "sigmoid": loop.SIGMOID}
_CHECK_STEPS = 30


class Played(NamedTuple):
    """An episode, in the words of `ars.rollout.Episode`."""

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
    )


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
        if not isinstance(robot, Runner) or robot.render_mode is not None:
            raise ValueError(f"{env} is not a robot of ours without pictures")
        self.env = env
        self._robot = robot
        self._longest = (env.spec and env.spec.max_episode_steps) or 0
        self._body = _body(robot)
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
        robot = self._robot
        if (brain.sizes[0], brain.sizes[-1]) != (obs.size, robot._joint_count):
            raise ValueError(
                f"a policy from {brain.sizes[0]} to {brain.sizes[-1]} numbers; "
                f"this robot has {obs.size} and {robot._joint_count}"
            )
        memory = _memory(obs, brain, self._body, statistics or (np.zeros(0), np.zeros(0)))
        clip = math.inf if reward_clip is None else float(reward_clip)
        rules = Rules(min(max_steps, self._longest), float(shift), clip)
        total, score, length, end, reward = loop.play(
            self._body, brain, rules, memory, robot._potential, robot._rest_height
        )
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
        size = self._body.feet.size + 8 + 2 * self._body.gains.size
        action = np.linspace(-0.9, 0.8, self._body.gains.size)
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


def _memory(obs: Array32, brain: Brain, body: Body, statistics: tuple[Array, Array]) -> Memory:
    joints = body.gains.size
    widest = max(brain.sizes.max(), body.parts.size)
    efforts, action, speeds = np.zeros((3, joints), np.float32)
    front, back = np.zeros((2, widest))
    mean, m2 = statistics
    return Memory(
        obs=obs,
        action=action,
        speeds=speeds,
        contacts=np.zeros(body.feet.size),
        front=front,
        back=back,
        efforts=efforts,
        found=np.zeros(3, np.int64),
        mean=mean,
        m2=m2,
    )


def _body(env: Runner) -> Body:
    """Put together what the loop needs to know of a robot."""
    robot = env.robot
    simulation = handle(env._client)
    answers = state(simulation, env._body)
    infos = [pybullet.getJointInfo(env._body, joint, env._client) for joint in env._joints]
    # The mean of the positions takes the base, where it is the torso, second.
    parts = [*env._links[:1], -1, *env._links[1:]] if env._torso < 0 else env._links
    lowest, extent = np.array(env._limits).T.copy()
    return Body(
        simulation=simulation,
        body=env._body,
        floor=env._floor,
        angles=answers.angles,
        rates=answers.rates,
        links=answers.links,
        pose=answers.angles if env._torso < 0 else answers.links[env._torso],
        velocity=answers.rates if env._torso < 0 else answers.velocities[env._torso],
        torso=env._torso,
        parts=np.array(parts, np.int64),
        part_count=env._part_count,
        angle_index=np.array([info[3] for info in infos], np.int64),
        rate_index=np.array([info[4] for info in infos], np.int64),
        lowest=lowest,
        extent=extent,
        at_limit=AT_LIMIT,
        limit_cost=JOINT_AT_LIMIT,
        gains=np.array(env._gains),
        gains32=env._gains32,
        float32_torque=robot.float32_torque,
        feet=np.array(env._feet, np.int64),
        knees=np.array(robot.knees, np.int64),
        float32_height=robot.rest_height is not None,
        min_height=robot.min_height,
        max_pitch=robot.max_pitch,
        alive_bonus=robot.alive_bonus,
        falls=robot.falls,
        power_cost=env._costs[0],
        stall_cost=env._costs[1],
        target=TARGET_X,
        time_step=env.time_step,
        fused=_dot_is_fused(),
    )


def _dot_is_fused() -> bool:
    """Whether NumPy's dot product of two pairs adds the second product before rounding it.

    Some kernels of its BLAS do. With b*b = 1 + 2^-26 + 2^-54 and a*a = 1.5625 * 2^-54, all of it
    but the first two terms is lost if b*b is rounded first, and otherwise is just over half a bit.
    """
    a, b = 1.25 * 2.0**-27, 1.0 + 2.0**-27
    return float(np.dot((a, b), (a, b))) > 1.0 + 2.0**-26
