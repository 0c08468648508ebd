"""How policies learn: one file an algorithm, one line here."""

from __future__ import annotations

from ars.algorithms.actor_critic import A2C, ActorCritic
from ars.algorithms.ars import ARS
from ars.algorithms.base import Algorithm
from ars.algorithms.dqn import DQN
from ars.algorithms.ppo import PPO
from ars.algorithms.reinforce import REINFORCE

ALGORITHMS: dict[str, type[Algorithm]] = {
    "ars": ARS,
    "dqn": DQN,
    "ppo": PPO,
    "a2c": A2C,
    "actor-critic": ActorCritic,
    "reinforce": REINFORCE,
}
