"""Rollouts to compare bit for bit: their tasks, specification, snapshot and episodes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

import envs
from ars.common.seeding import Stream
from ars.distributed.pool import RayPool
from ars.rollout.episode import Episode
from ars.rollout.pool import LocalPool
from ars.rollout.task import RolloutSpec, Snapshot, Task
from policies import Normalizer, NormalizerRule, make_policy

TRAINING = [Task(Stream.TRAINING, 3, k, sign) for k in range(30) for sign in (1, -1)]
EVALUATION = [Task(Stream.EVALUATION, 3, k) for k in range(10)]


def make_spec(env_id: str = "CartPole-v1", **env_kwargs: Any) -> RolloutSpec:
    env = envs.make("CartPole-v1")
    policy = make_policy("linear", env.observation_space, env.action_space).spec
    env.close()
    return RolloutSpec(env_id, policy, env_kwargs, seed=5, rollout_length=100, statistics=True)


def make_snapshot() -> Snapshot:
    rule = NormalizerRule()
    normalizer = Normalizer(np.zeros(4), np.full(4, 0.3), 9, rule)
    return Snapshot(np.linspace(-1, 1, 8), normalizer, delta_std=0.5)


def plain(episodes: Sequence[Episode]) -> list[Any]:
    """Every field of every episode, as what compares bit for bit."""
    return [
        (e.total_reward, e.score, e.length, e.fault)
        + ((s.count, s.mean.tobytes(), s.m2.tobytes()) if (s := e.statistics) else ())
        for e in episodes
    ]


def expected(spec: RolloutSpec, tasks: Sequence[Task]) -> list[Any]:
    pool = LocalPool(spec)
    episodes = pool.collect(pool.submit(make_snapshot(), tasks))
    pool.close()
    return plain(episodes)


def run(pool: RayPool, tasks: Sequence[Task]) -> list[Any]:
    return plain(pool.collect(pool.submit(make_snapshot(), tasks)))
