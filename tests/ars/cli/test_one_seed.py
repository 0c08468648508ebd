"""The process of one seed says whether what ends it is a fault of its settings."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from ars.training.processes import job


def test_a_cluster_out_of_reach_is_no_fault_of_the_settings(tmp_path: Path) -> None:
    given = {"ray_address": "127.0.0.1:1"}
    told = job("CartPole-v1", tmp_path / "run", given, {}, "a command", False)
    done = subprocess.run(
        [sys.executable, "-m", "ars.cli.one_seed"],
        input=json.dumps(told) + "\n",
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1 and "cannot connect" in done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == ["cluster_failed", None]
