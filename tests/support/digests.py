"""What some rollouts of each robot give, as digests: `python digests.py HalfCheetah Ant`."""

from __future__ import annotations

import hashlib
import json
import sys

import numpy as np

import envs
from ars.common.seeding import Stream
from ars.rollout.episode import Rollouts
from ars.rollout.task import RolloutSpec, Snapshot, Task
from policies import make_policy


def digest(name: str, compiled: bool) -> str:
    """A digest of four rollouts: every bit of their returns and statistics."""
    env = envs.make(name)
    policy = make_policy("linear", env.observation_space, env.action_space).spec
    env.close()
    spec = RolloutSpec(name, policy, rollout_length=60, statistics=True, compiled=compiled)
    rollouts = Rollouts(spec)
    assert rollouts.notice is None and (rollouts._player is not None) == compiled
    tasks = [Task(Stream.TRAINING, 3, k, sign) for k in range(2) for sign in (1, -1)]
    found = hashlib.sha256()
    snapshot = Snapshot(np.zeros(policy.n_weights), delta_std=0.3)
    for episode in rollouts.run(snapshot, tasks):
        assert episode.statistics is not None
        words = repr((episode.total_reward, episode.score, episode.length))
        found.update(words.encode())
        found.update(episode.statistics.mean.tobytes() + episode.statistics.m2.tobytes())
    rollouts.close()
    return found.hexdigest()


if __name__ == "__main__":
    print(json.dumps({name: [digest(name, how) for how in (True, False)] for name in sys.argv[1:]}))
