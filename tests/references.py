"""The worlds whose bits ours have: `pybullet_envs_gymnasium`, of the extra `test`."""

from __future__ import annotations

from typing import Any

import gymnasium
import pybullet_envs_gymnasium  # noqa: F401  registers its ids

import envs
from envs.bullet.client import pybullet
from envs.bullet.manipulation import Handler, forget_contacts, keep_one_pair

# Minitaur has another reference, and no other robot of ours none.
PORTED = [name for name in envs.names() if f"{name}BulletEnv-v0" in gymnasium.registry]


class Reference:
    """The reference of one of our robots, after its first episode, which is unlike all others.

    Where parts that came near each other leave a trace there in later episodes, and ours are made
    to forget, the reference is made to forget as well, unless told not to.
    """

    def __init__(self, ours: Any, *, forget: bool = True) -> None:
        name = type(ours).__name__
        self.env: Any = gymnasium.make(f"{name}BulletEnv-v0", disable_env_checker=True).unwrapped
        self.env.reset(seed=99)
        self.step, self.close = self.env.step, self.env.close
        self.client = self.env._p._client
        self._renewed = getattr(ours, "_renewed", ()) if forget else ()
        self._handles = forget and isinstance(ours, Handler)
        if self._handles:
            floor, *self._bodies = self.env.robot.objects
            wrist = self.env.robot.parts[ours.wrist]
            keep_one_pair(self.client, floor, wrist.bodies[wrist.bodyIndex], wrist.bodyPartIndex)
            self._start = pybullet.saveState(physicsClientId=self.client)

    def reset(self, seed: int) -> Any:
        """As an environment's reset."""
        for body, link, group, mask in self._renewed:
            pybullet.setCollisionFilterGroupMask(
                body, link, group, mask, physicsClientId=self.client
            )
        if self._handles:
            pybullet.restoreState(self._start, physicsClientId=self.client)
        first = self.env.reset(seed=seed)
        if self._handles:
            forget_contacts(self.client, self._bodies)
        return first
