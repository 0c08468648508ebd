"""Which nodes of a cluster may be used: those alive, neither refused nor in doubt. No Ray here.

A node is refused for the whole run if its versions differ. It is in doubt once a worker on it was
given up and nothing on it has answered since that worker's call began: it may be cut off, which
Ray notices only after a minute. Until then new workers are placed elsewhere, if there is room.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

DOUBT_SECONDS = 70.0  # by then Ray has declared a silent node dead (64 s), or it works again


class Node(NamedTuple):
    """A living machine of the cluster."""

    id: str
    address: str
    n_cpus: int


class Nodes:
    """What is known about the nodes of a cluster, as of the last update."""

    def __init__(self) -> None:
        self._alive: dict[str, Node] = {}
        self._known: set[str] = set()
        self._refused: dict[str, str] = {}
        self._doubted: dict[str, float] = {}  # node -> until when
        self._heard: dict[str, float] = {}  # node -> when a worker on it last answered

    def update(self, alive: Iterable[Node], now: float) -> None:
        """Set which nodes are alive, and drop doubts that have expired."""
        self._alive = {node.id: node for node in alive}
        self._known |= self._alive.keys()
        self._doubted = {
            node: until
            for node, until in self._doubted.items()
            if node in self._alive and now < until
        }

    def heard(self, node: str, now: float) -> None:
        """A worker on `node` has answered."""
        self._heard[node] = now
        self._doubted.pop(node, None)

    def gave_up(self, node: str, since: float, now: float) -> None:
        """A worker on `node` has not answered a call that began at `since`."""
        if self._heard.get(node, since) <= since:
            self._doubted[node] = now + DOUBT_SECONDS

    def refuse(self, node: str, reason: str) -> None:
        """Never use a node; `reason` says why."""
        self._refused[node] = reason

    def gone(self, node: str) -> bool:
        """Whether a node has left; one that came after the last update has not."""
        return node in self._known and node not in self._alive

    def name(self, node: str) -> str:
        """The address of a node, for messages; the start of its id if it is gone."""
        return self._alive[node].address if node in self._alive else node[:8]

    def avoided(self, n_workers: int) -> frozenset[str]:
        """The nodes on which no worker is to be started, if `n_workers` are wanted."""
        doubted = self._doubted.keys()
        room = sum(node.n_cpus for node in self._usable() if node.id not in doubted)
        refused = self._alive.keys() & self._refused.keys()
        return frozenset(refused | doubted if room >= n_workers else refused)

    def n_cpus(self) -> int:
        """The processors of all nodes that are not refused, those in doubt included."""
        return sum(node.n_cpus for node in self._usable())

    def __len__(self) -> int:
        return len(self._usable())

    def refusal(self) -> str | None:
        """Why no node can be used; None if one can, or if there is no node at all."""
        if not self._alive or self._usable():
            return None
        node = next(iter(self._alive))
        return f"{self.name(node)}: {self._refused[node]}"

    def _usable(self) -> list[Node]:
        return [node for node in self._alive.values() if node.id not in self._refused]
