"""Short training runs of a robot, in this process and in others."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import ars.train

# Untrained Hoppers fall within some 20 steps: real physics, milliseconds an iteration.
SMALL = ["--n-directions", "3", "--eval-freq", "2", "--eval-episodes", "2", "--save-freq", "3"]


def train(folder: Path, *words: str, env: str = "Hopper", workers: str = "0") -> Path:
    """Run the command in this process."""
    ars.train.main([env, "--run-dir", str(folder), "--n-workers", workers, *SMALL, *words])
    return folder


def resume(folder: Path, *words: str) -> Path:
    ars.train.main(["--resume", str(folder), "--n-workers", "0", *words])
    return folder


def start(folder: Path, *words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "ars.train", "Hopper", "--run-dir", str(folder), *SMALL]
    return subprocess.Popen(
        [*command, "--n-workers", "0", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for_rows(folder: Path, rows: int, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        path = folder / "progress.csv"
        if path.exists() and path.read_text().count("\n") > rows:
            return
        time.sleep(0.005)
    raise AssertionError(f"no {rows} rows: {process.communicate(timeout=10)}")
