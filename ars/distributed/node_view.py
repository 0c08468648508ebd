"""Which nodes of the Ray that this process uses are alive."""

from __future__ import annotations

import threading

from ars.distributed.nodes import Node

VIEW_SECONDS = 1.0  # between two polls of the nodes


class NodeView:
    """The living nodes, polled in a thread, as Ray blocks for a minute while its head is silent.

    Attributes:
        nodes: as of the last answer of the head.
        n_answers: how many there were. Whoever waits for the next one measures the time: a pause
            of this process is not a silence of the head.
    """

    def __init__(self) -> None:
        self.nodes = living_nodes()
        self.n_answers = 1
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._poll, daemon=True)
        self._thread.start()

    def _poll(self) -> None:
        while not self._stop.wait(VIEW_SECONDS):
            try:
                self.nodes = living_nodes()
            except Exception:
                continue  # whatever the error, the head has not answered
            self.n_answers += 1

    def close(self) -> None:
        """Stop polling."""
        self._stop.set()
        self._thread.join(timeout=VIEW_SECONDS)


def living_nodes() -> list[Node]:
    """The nodes that Ray believes alive and that have processors; takes 0.9 ms on two nodes."""
    import ray

    nodes = [
        Node(node["NodeID"], node["NodeManagerAddress"], int(node["Resources"].get("CPU", 0)))
        for node in ray.nodes()
        if node["Alive"]
    ]
    return [node for node in nodes if node.n_cpus]
