"""Runs whose checkpoints may hold anything: what is said of them."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from unittest import mock

import envs
from ars.algorithms import ALGORITHMS
from ars.algorithms.base import TrainingContext
from ars.common.errors import RunError
from ars.common.interrupts import Interrupts
from ars.rollout.pool import LocalPool
from ars.training import checkpoint
from ars.training.config import TrainingConfig
from ars.training.display import Silent
from ars.training.resolve import resolve_resumed
from ars.training.trainer import Trainer
from policies.state import State


class Resumed:
    """A run's folder, and what resumes it from any state."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.plan: TrainingConfig = resolve_resumed(folder, {}, trust=True)
        with closing(envs.make(self.plan.env_id, **self.plan.env_kwargs)) as env:
            context = TrainingContext(
                self.plan.env_id,
                env.observation_space,
                env.action_space,
                self.plan.env_kwargs,
                notify=lambda line: None,
            )
        self.algorithm = ALGORITHMS[self.plan.algo].load()(self.plan.algorithm, context)
        self.state = checkpoint.load(folder)
        self.pool = LocalPool(self.algorithm.rollout_spec)

    def refusal(self, state: State) -> str:
        """What is said of a state; empty where it is taken."""
        try:
            with mock.patch.object(checkpoint, "load", return_value=state):
                trainer = Trainer(
                    self.algorithm,
                    self.pool,
                    Interrupts(),
                    self.folder,
                    self.plan.run,
                    Silent(),
                    self.plan.identity,
                    {},
                    resume=True,
                )
        except (RunError, ValueError) as error:
            return str(error)
        trainer.logs.close()
        return ""

    def close(self) -> None:
        self.algorithm.close()
        self.pool.close()
