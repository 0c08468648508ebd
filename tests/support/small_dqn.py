"""DQN small enough for tests: its settings, and commands that train it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import learners

import ars.train
from ars.algorithms.dqn import DQN

TINY = {
    "n_steps": 20,
    "hidden_sizes": (8,),
    "buffer_size": 500,
    "learning_starts": 20,
    "batch_size": 16,
    "train_freq": 1,
    "target_update": 50,
    "exploration_steps": 400,
    "learning_rate": 0.01,
}
SMALL = "--n-steps 40 --buffer-size 200 --learning-starts 60 --batch-size 8 --eval-episodes 1"


def make(env_id: str, env_kwargs: dict[str, Any] | None = None, **settings: Any) -> Any:
    """A DQN in an environment; see `learners.make`."""
    return learners.make(DQN, env_id, env_kwargs, **{**TINY, **settings})


def train(folder: Path, words: str) -> Path:
    """Run the command in this process."""
    ars.train.main([*words.split(), "--algo", "dqn", "--run-dir", str(folder)])
    return folder
