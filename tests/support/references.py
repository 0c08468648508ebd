"""The worlds whose bits ours have: `pybullet_envs_gymnasium`, of the extra `test`.

With them the networks that PyBullet ships, trained in 2017 for the robots of its Roboschool days.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pybullet_data
import pybullet_envs_gymnasium  # noqa: F401  registers its ids

import envs
from envs.bullet.client import pybullet
from envs.bullet.manipulation import ObjectManipulationEnv, forget_contacts, keep_one_pair
from policies import Policy, make_policy

# Minitaur has another reference, and no other robot of ours none.
PORTED = [name for name in envs.names() if f"{name}BulletEnv-v0" in gymnasium.registry]


class Reference:
    """The reference of one of our robots, after its first episode, which is unlike all others.

    Where parts that came near each other leave a trace there in later episodes, and ours are made
    to forget, the reference is made to forget as well, unless told not to.
    """

    def __init__(self, ours: Any, *, forget: bool = True) -> None:
        name = type(ours).__name__
        made: Any = gymnasium.make(f"{name}BulletEnv-v0", disable_env_checker=True)
        self.env = made.unwrapped
        self.env.reset(seed=99)
        self.step, self.close = self.env.step, self.env.close
        self.client = self.env._p._client
        self._renewed = getattr(ours, "_renewed", ()) if forget else ()
        self._handles = forget and isinstance(ours, ObjectManipulationEnv)
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


def published(robot: str, env: gymnasium.Env[Any, Any]) -> Policy | None:
    """The network that PyBullet's examples show with this robot, if there is one.

    Rectified hidden layers, no normaliser. The file holds it as lists of numbers; nothing of it is
    run.
    """
    examples = Path(pybullet_data.getDataPath()).parent / "pybullet_envs" / "examples"
    found = [*examples.glob(f"enjoy_TF_{robot}BulletEnv_*.py")]
    if not found:
        return None
    text = found[0].read_text()
    numbers = {
        node.targets[0].id: np.array(ast.literal_eval(node.value.args[0]))
        for node in ast.parse(text).body
        if isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Call)
        and isinstance(node.targets[0], ast.Name)
        and node.targets[0].id.startswith("weights_")
    }
    layers = [
        (numbers[f"weights_{name}_w"], numbers[f"weights_{name}_b"])
        for name in ("dense1", "dense2", "final")
    ]
    if "ob[0] += -1.4 + 0.8" in text:  # Humanoid: its height was counted from elsewhere
        layers[0][1][:] -= 0.6 * layers[0][0][0]
    policy = make_policy(
        "mlp",
        env.observation_space,
        env.action_space,
        hidden_sizes=tuple(bias.size for _, bias in layers[:-1]),
        activation="relu",
    )
    policy.weights = np.concatenate([part for w, b in layers for part in (w.T.ravel(), b)])
    return policy
