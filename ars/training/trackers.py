"""The services that a run can be reported to, each behind the same few methods.

Their packages are loaded here alone, in the thread of `ars.training.tracking`. A service keeps what
it is given where it would by itself: its own environment variables say otherwise.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

PROJECT = "ars"  # where no environment variable of the service names another


@dataclass(frozen=True)
class TrackedRun:
    """A run, as a service is told of it.

    Attributes:
        name: for people.
        group: of the experiment that it is part of; None for none.
        config: its settings, by name.
        folder: of the run.
        home: the folder in which the user called.
        id: what the service knows it by, if it goes on; None for a new one.
        warn: tells the user what the service could not take, where the report goes on.
    """

    name: str
    group: str | None
    config: Mapping[str, Any]
    folder: Path
    home: Path
    id: str | None
    warn: Callable[[str], None]


class Tracker(Protocol):
    """A run at a service; made of a `TrackedRun` and a word that no other run has.

    Attributes:
        id: what the service knows it by.
    """

    id: str

    def log(self, values: Mapping[str, float], timesteps: int) -> None:
        """Report finite numbers, after so many timesteps."""

    def finish(self, result: Mapping[str, float], stopped: str | None) -> None:
        """End, with the run's result and why it stopped; None where it was interrupted."""


class Trackio:
    """Trackio: files of this user's, seen with `trackio show`."""

    def __init__(self, run: TrackedRun, fresh_id: str) -> None:
        trackio: Any = import_module("trackio")
        # They would come between the lines of the training.
        for module in (trackio, import_module("trackio.utils"), import_module("trackio.run")):
            vars(module).update(
                print=_say_nothing,
                _emit_nonfatal_warning=lambda message, *_, **__: run.warn(message),
            )
        self.id = run.id or f"{run.name}-{fresh_id}"  # runs are known by their names
        self._run = trackio.init(
            project=os.environ.get("TRACKIO_PROJECT") or PROJECT,
            name=self.id,
            group=run.group,
            config=dict(run.config),
            resume="allow",
            embed=False,
            auto_log_gpu=False,
            auto_log_cpu=False,
        )

    def log(self, values: Mapping[str, float], timesteps: int) -> None:
        """Report numbers."""
        self._run.log(dict(values), step=timesteps)

    def finish(self, result: Mapping[str, float], stopped: str | None) -> None:
        """Report the result and end."""
        if result:
            self._run.log(dict(result))
        self._run.finish()


class WandB:
    """Weights & Biases; with WANDB_MODE=offline, files in the run's folder."""

    def __init__(self, run: TrackedRun, fresh_id: str) -> None:
        import wandb

        self.id = run.id or fresh_id
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT") or PROJECT,
            id=self.id,
            name=run.name,
            group=run.group,
            config=dict(run.config),
            dir=str(run.folder),
            resume="allow",
            # What is printed is the training's own.
            settings=wandb.Settings(silent=True, console="off"),
        )
        # An evaluation is reported after the iteration that runs beside it.
        self._run.define_metric("*", step_metric="timesteps")

    def log(self, values: Mapping[str, float], timesteps: int) -> None:
        """Report numbers."""
        self._run.log({**values, "timesteps": timesteps})

    def finish(self, result: Mapping[str, float], stopped: str | None) -> None:
        """Report the result and end."""
        self._run.summary.update({**result, **({} if stopped is None else {"stopped": stopped})})
        self._run.finish(exit_code=0 if stopped is not None else 1)


class MLflow:
    """MLflow; unless MLFLOW_TRACKING_URI says otherwise a file, mlflow.db in the current folder."""

    def __init__(self, run: TrackedRun, fresh_id: str) -> None:
        from mlflow import MlflowClient
        from mlflow.entities import Metric
        from mlflow.exceptions import MlflowException

        for name in ("mlflow", "alembic"):  # which tell of every table that they make
            logging.getLogger(name).setLevel(logging.ERROR)
        self._metric = Metric
        uri = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{run.home / 'mlflow.db'}"
        self._client = MlflowClient(tracking_uri=uri)
        if run.id is not None:
            try:
                self._client.update_run(run.id, status="RUNNING")
                self.id = run.id
                return
            except MlflowException:  # it is not in this store
                pass
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or PROJECT
        found = self._client.get_experiment_by_name(name)
        experiment = self._client.create_experiment(name) if found is None else found.experiment_id
        tags = {} if run.group is None else {"group": run.group}
        self.id = self._client.create_run(experiment, run_name=run.name, tags=tags).info.run_id
        for key, value in run.config.items():
            self._client.log_param(self.id, key, str(value)[:5000])

    def log(self, values: Mapping[str, float], timesteps: int) -> None:
        """Report numbers."""
        now = int(1000 * time.time())
        metrics = [self._metric(name, value, now, timesteps) for name, value in values.items()]
        self._client.log_batch(self.id, metrics=metrics)

    def finish(self, result: Mapping[str, float], stopped: str | None) -> None:
        """Report the result and end."""
        for name, value in result.items():
            self._client.log_metric(self.id, name, value)
        if stopped is not None:
            self._client.set_tag(self.id, "stopped", stopped)
        self._client.set_terminated(self.id, "FINISHED" if stopped is not None else "KILLED")


SERVICES: Mapping[str, Callable[[TrackedRun, str], Tracker]] = {  # by their packages' names
    "trackio": Trackio,
    "wandb": WandB,
    "mlflow": MLflow,
}


def _say_nothing(*_: Any, **__: Any) -> None:
    """In the place of a package's `print`."""
