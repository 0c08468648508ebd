"""Worker processes as Ray's actors: started, called and ended. Only here are Ray's calls made."""

from __future__ import annotations

import pickle
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from ars.common.errors import RunError, one_line
from ars.distributed.node_view import NodeView
from ars.distributed.private_folder import ray_folder_open_to_others
from ars.distributed.ray_session import start_ray
from ars.distributed.worker import RolloutWorker

# A snapshot of up to this many bytes is sent with the call. Ray sends up to 100 KB that way, and
# for more than that each call asks the raylet.
SENT_BYTES = 2**16
STARTING_SECONDS = 5.0  # for a process to start, before it is killed


class WorkerLost(Exception):
    """A worker is gone, or could not be started; the message says why."""


class CallFailed(Exception):
    """A call raised in its worker, or its answer cannot be read; the message says why."""


class Parcel:
    """A value to send to workers: pickled and, if that is large, kept in Ray's object store.

    Attributes:
        stored: a reference to it there, and the number of the Ray that has it.
    """

    def __init__(self, value: Any) -> None:
        self.data = pickle.dumps(value)
        self.stored: tuple[Any, int] | None = None


class RayActors:
    """Ray in this process, and the workers that run in it.

    Args:
        n_cpus: how many workers a Ray of this machine alone has room for.
        address: of a Ray cluster; None starts Ray on this machine.
        env_id: the environment, whose module a cluster's nodes need.
        env_kwargs: its arguments, whose wrappers' modules they need.
    """

    def __init__(
        self, n_cpus: int, address: str | None, env_id: str, env_kwargs: Mapping[str, Any]
    ) -> None:
        self._start_arguments = n_cpus, address, env_id, env_kwargs
        self._n_starts = 0
        self._start_ray()
        import ray

        self._ray = ray
        self._options: dict[str, Any] = {
            "num_cpus": 1,
            # The nodes of a cluster are filled evenly.
            "scheduling_strategy": "SPREAD" if address else "DEFAULT",
            # Otherwise Ray reports each call to its head: a fifth of what the call costs.
            "enable_task_events": False,
        }
        self._actor_class = ray.remote(RolloutWorker)
        # Of this machine: what other users can replace on the way to Ray's folder.
        try:
            self.open_folder = ray_folder_open_to_others()
        except BaseException:
            self.close()
            raise

    def _start_ray(self) -> None:
        self._session = start_ray(*self._start_arguments)
        self._n_starts += 1
        try:
            self.view = NodeView()
        except BaseException:
            self._session.stop()
            raise

    @property
    def head(self) -> str | None:
        """The address of the cluster; None for Ray on this machine alone."""
        return self._session.head

    def check(self) -> None:
        """Raises: RayDied if one of Ray's processes on this machine is gone."""
        self._session.check()

    @property
    def can_start_again(self) -> bool:
        """Whether Ray was started here, for these workers alone."""
        return self._session.own

    def start_again(self) -> None:
        """Start another Ray; the workers, calls and references of this one are gone."""
        self.close()
        for last in (False, True):
            try:
                self._start_ray()
                return
            except RunError:  # on a busy machine Ray gives up a start that takes long
                if last:
                    raise

    def start(self, avoided: Collection[str]) -> Any:
        """Start a worker's process on a node that is not one of `avoided`; returns its actor."""
        options = dict(self._options)
        if avoided:
            nodes = ",".join(sorted(avoided))
            options["label_selector"] = {"ray.io/node-id": f"!in({nodes})"}
        return self._actor_class.options(**options).remote()

    def call(self, actor: Any, name: str, *values: Any) -> Any:
        """Begin a call of a worker's method; returns a reference to the answer."""
        sent = [self._sent(value) if isinstance(value, Parcel) else value for value in values]
        return getattr(actor, name).remote(*sent)

    def _sent(self, parcel: Parcel) -> Any:
        if len(parcel.data) <= SENT_BYTES:
            return parcel.data
        if parcel.stored is None or parcel.stored[1] != self._n_starts:
            parcel.stored = self._ray.put(parcel.data), self._n_starts
        return parcel.stored[0]

    def first_answered(self, refs: Iterable[Any], seconds: float) -> Any:
        """The first of some calls that has been answered; None if none is in time."""
        ready, _ = self._ray.wait(list(refs), timeout=seconds)
        return ready[0] if ready else None

    def answer(self, ref: Any) -> Any:
        """What a call returned. Raises: CallFailed, WorkerLost."""
        try:
            return self._ray.get(ref)
        except self._ray.exceptions.RayTaskError as error:  # such as an answer that does not pickle
            raise CallFailed(one_line(error.cause)) from None
        except self._ray.exceptions.RayError as error:
            raise WorkerLost(explain_loss(error, self._session.shows_token)) from None

    def wait_for(self, starts: Sequence[Any]) -> None:
        """Give processes that are starting a moment, before they are killed.

        In a Ray that lives on, the processor of one killed amid its start stays taken.
        """
        if starts and self._ray.is_initialized():
            self._ray.wait(list(starts), num_returns=len(starts), timeout=STARTING_SECONDS)

    def kill(self, actor: Any) -> None:
        """End a worker's process."""
        if self._ray.is_initialized():
            # Ray accepts a dead actor, but raises for one whose creation it gave up.
            with suppress(self._ray.exceptions.RaySystemError):
                self._ray.kill(actor)

    def close(self) -> None:
        """End Ray here, or leave the cluster; safe to call twice."""
        self.view.close()
        self._session.stop()


def explain_loss(error: Exception, shows_token: bool) -> str:
    """Why Ray gave up a worker: the last line of its message, and what to do if that is known."""
    words = (str(error).strip() or type(error).__name__).splitlines()[-1].strip()
    if shows_token and "never ran" in words:
        return (
            "this process has a token and the cluster perhaps no authentication; if so, set "
            f"RAY_AUTH_MODE=disabled ({words})"
        )
    return words
