"""How policies learn: one file an algorithm, one line here."""

from __future__ import annotations

from ars.algorithms.ars import ARS
from ars.algorithms.base import Algorithm
from ars.algorithms.dqn import DQN
from ars.algorithms.ppo import PPO

ALGORITHMS: dict[str, type[Algorithm]] = {
    "ars": ARS,
    "dqn": DQN,
    "ppo": PPO,
}
