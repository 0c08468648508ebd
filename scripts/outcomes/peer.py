"""Runs a script again in a process of its own, as which another library trains."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any


def run_again(script: str, words: Sequence[object], env: Mapping[str, str] | None = None) -> Any:
    """What `script --peer WORDS` prints last, as JSON; its failure ends this process.

    All else that it prints is shown only then: every process prints PyBullet's build time.
    """
    command = [sys.executable, script, "--peer", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, env=env)
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])
