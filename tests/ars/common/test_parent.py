"""A process that is to end with its parent does, whatever it is doing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
from paths import ROOT
from processes import alive, wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the kernel of Linux sees to it")

# `sum` keeps Python's lock for ever: no thread of the child gets to run again.
CHILD = """
import itertools, os
from ars.common.parent import end_with_parent
end_with_parent(os.getppid())
print(os.getpid(), flush=True)
sum(itertools.repeat(0))
"""
PARENT = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]])"


@pytest.mark.parametrize("stopped", [False, True])
def test_a_killed_parent_takes_along_a_child_that_cannot_notice_it(stopped: bool) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, CHILD],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdout
        child = int(parent.stdout.readline())
        if stopped:
            os.kill(child, signal.SIGSTOP)
        parent.kill()
        assert wait_until(lambda: not alive(child))


def test_a_child_whose_parent_has_gone_already_ends_at_once() -> None:
    code = "from ars.common.parent import end_with_parent; end_with_parent(-1); print('on')"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True)
    assert done.returncode == 1 and done.stdout == b""
