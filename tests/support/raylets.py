"""Several raylets on this machine that stand for the nodes of a cluster."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from ars.distributed.private_folder import RAY_FOLDER, make_private_folder

# Ray's own, in milliseconds: it notices a dead node after 14 s, a frozen one after 64 s.
HEALTH = {
    "health_check_initial_delay_ms": 1000,
    "health_check_period_ms": 500,
    "health_check_timeout_ms": 1000,
    "health_check_failure_threshold": 4,
}


class Raylets:
    """A head without processors, and nodes beside it.

    Args:
        folder: Ray's; a private one if none is given.
    """

    def __init__(self, folder: Path | None = None) -> None:
        from ray._common.utils import get_default_ray_temp_dir
        from ray.cluster_utils import Cluster

        # It notes its address there even if its folder is another, and there may be none yet.
        Path(get_default_ray_temp_dir()).mkdir(exist_ok=True)
        self._private = make_private_folder() if folder is None else None
        self.folder = folder if self._private is None else self._private / RAY_FOLDER
        self._cluster = Cluster(
            initialize_head=True,
            head_node_args={
                "num_cpus": 0,
                "include_dashboard": False,
                "object_store_memory": 80 << 20,
                "_system_config": HEALTH,
                "temp_dir": str(self.folder),
            },
            shutdown_at_exit=False,
        )
        self.nodes: list[Any] = []
        self._n_added = 0

    @property
    def address(self) -> str:
        return str(self._cluster.address)

    def add(self, n_cpus: int, path: str = "") -> Any:
        os.environ["PYTHONPATH"] = path
        self._n_added += 1
        # On one machine they would share this folder, and empty it when they start.
        node = self._cluster.add_node(
            num_cpus=n_cpus,
            object_store_memory=80 << 20,
            runtime_env_dir_name=f"runtime_resources_{self._n_added}",
        )
        self.nodes.append(node)
        return node

    def remove(self, node: Any) -> None:
        self.nodes.remove(node)
        self._cluster.remove_node(node, allow_graceful=False)

    def close(self) -> None:
        self._cluster.shutdown()
        if self._private is not None:
            shutil.rmtree(self._private, ignore_errors=True)
