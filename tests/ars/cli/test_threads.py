"""A program ends when its work is done, whatever threads an environment leaves running."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

WORLD = """\
import threading, time
import gymnasium
from concurrent.futures import ThreadPoolExecutor
from gymnasium.envs.classic_control import CartPoleEnv

class Viewer(CartPoleEnv):
    def __init__(self, patient=True):
        super().__init__()
        if patient:
            threading.Thread(target=time.sleep, args=(1000.0,), name="viewer").start()
        else:
            ThreadPoolExecutor().submit(int)

gymnasium.register("Viewer-v0", Viewer)
"""
TRAIN = "-m ars.train viewer_world:Viewer-v0 --n-workers 0 --n-iterations 1 --n-directions 1"


@pytest.mark.parametrize("patient", [True, False])
def test_threads_that_never_end_do_not_keep_a_program(patient: bool, tmp_path: Path) -> None:
    (tmp_path / "viewer_world.py").write_text(WORLD)
    done = subprocess.run(
        [sys.executable, *TRAIN.split(), "--env-kwargs", f"patient={patient}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0 and "train on" in done.stdout
    left = "threads that the environment has not ended end with the program: viewer"
    assert done.stderr.startswith(left) if patient else not done.stderr
