"""The worlds whose bits ours have: `pybullet_envs_gymnasium`, of the extra `test`."""

from __future__ import annotations

from typing import Any

import gymnasium
import pybullet_envs_gymnasium  # noqa: F401  registers its ids

import envs
from envs.bullet.client import pybullet

# Minitaur has another reference, and no other robot of ours none.
PORTED = [name for name in envs.names() if f"{name}BulletEnv-v0" in gymnasium.registry]


def make_reference(name: str) -> Any:
    """Return the reference for the robot `name` of ours, ready for an episode worth comparing."""
    env = gymnasium.make(f"{name}BulletEnv-v0", disable_env_checker=True).unwrapped
    env.reset(seed=99)  # its first episode is unlike all others
    return env


def make_forget(reference: Any, ours: Any) -> None:
    """Let the reference's next episode depend on nothing else, as ours: see `Robot.filters`."""
    for body, link, group, mask in getattr(ours, "_renewed", ()):
        pybullet.setCollisionFilterGroupMask(
            body, link, group, mask, physicsClientId=reference._p._client
        )
