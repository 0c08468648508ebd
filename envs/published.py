"""Returns that others have published, by environment: what a learning curve is held against.

Unless an entry says otherwise they are those of Raffin's RL Baselines3 Zoo (its benchmark.md), each
the mean of one trained agent over 150,000 timesteps of evaluation. Robots stand under the names
that they have here; the zoo's `HalfCheetahBulletEnv-v0` is the same robot.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Published(NamedTuple):
    """A published return.

    Attributes:
        algorithm: as its authors call it.
        return_mean: mean sum of rewards of an episode.
        timesteps: of training.
    """

    algorithm: str
    return_mean: float
    timesteps: int


_M, _K = 10**6, 10**3

PUBLISHED: Mapping[str, tuple[Published, ...]] = {
    # ARS on the PyBullet robots: MLPs of the zoo's trained agents.
    "HalfCheetah": (
        Published("ARS", 1091, 75 * _M),
        Published("PPO", 2925, 2 * _M),
        Published("SAC", 2792, _M),
        Published("TQC", 3675, _M),
    ),
    "Hopper": (
        Published("PPO", 2575, 2 * _M),
        Published("SAC", 2603, _M),
        Published("TQC", 2662, _M),
    ),
    "Walker2D": (
        Published("ARS", 1887, 75 * _M),
        Published("PPO", 2110, 2 * _M),
        Published("SAC", 2292, _M),
        Published("TQC", 2509, _M),
    ),
    "Ant": (
        Published("ARS", 979, 75 * _M),
        Published("PPO", 2866, 2 * _M),
        Published("SAC", 3073, _M),
        Published("TQC", 3457, _M),
    ),
    "Humanoid": (
        Published("PPO", 1286, 2 * _M),
        Published("SAC", 2048, 2 * _M),
        # Toklu, Liskowski, Srivastava (2020), "ClipUp", arXiv 2008.02387.
        Published("PGPE", 4853, 1500 * _M),
    ),
    "Reacher": (
        Published("ARS", -4, 75 * _M),
        Published("PPO", 17.1, _M),
        Published("SAC", 18.1, 300 * _K),
        Published("TQC", 18.3, 300 * _K),
    ),
    "CartPole-v1": (
        Published("ARS", 500, 50 * _K),
        Published("DQN", 500, 50 * _K),
        Published("PPO", 500, 100 * _K),
        Published("A2C", 500, 500 * _K),
    ),
    "Acrobot-v1": (
        Published("ARS", -82.9, 500 * _K),
        Published("DQN", -76.6, 100 * _K),
        Published("PPO", -73.5, _M),
        Published("A2C", -83.4, 500 * _K),
    ),
    "LunarLander-v2": (
        Published("DQN", 154, 100 * _K),
        Published("PPO", 242, _M),
        Published("A2C", 156, 200 * _K),
    ),
    "HalfCheetah-v3": (Published("ARS", 4815, 12 * _M), Published("PPO", 5819, _M)),
    "Hopper-v3": (Published("ARS", 3344, 7 * _M), Published("PPO", 2410, _M)),
    "Walker2d-v3": (Published("ARS", 2994, 75 * _M), Published("PPO", 3479, _M)),
    "Ant-v3": (Published("ARS", 2334, 75 * _M), Published("PPO", 1327, _M)),
    "Swimmer-v3": (Published("ARS", 355, 2 * _M), Published("PPO", 282, _M)),
}


def published_for(env_id: str) -> tuple[str, tuple[Published, ...]]:
    """What was published for an environment, or else for another version of it.

    Args:
        env_id: as it is registered; of a robot also its short name.

    Returns:
        The name that the figures were published for, and the figures; none if nothing was.
    """
    robot = env_id.removeprefix("bullet/").removesuffix("-v0")
    for name in (env_id, robot) if env_id.startswith("bullet/") else (env_id,):
        if name in PUBLISHED:
            return name, PUBLISHED[name]
    base, version, _ = env_id.rpartition("-v")
    for name, figures in PUBLISHED.items():
        if version and "-v" in name and name.rpartition("-v")[0] == base:
            return name, figures
    return env_id, ()
