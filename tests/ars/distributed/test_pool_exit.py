"""However a pool's process ends, nothing of its Ray stays behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from paths import ROOT, SUPPORT
from processes import alive, session_processes, wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="counts processes in /proc")


INTERRUPTED = """
import os, signal, sys, threading
from ars.distributed.pool import RayPool
from rollouts import Stream, TRAINING, make_snapshot, make_spec

def handler(number, frame): ...
signal.signal(signal.SIGTERM, handler)
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where tests run behind a `&`
if __name__ == "__main__":
    pool = RayPool(make_spec("own_world:Own-v0"), 2)
    assert signal.getsignal(signal.SIGTERM) is handler
    os.kill(os.getpid(), signal.SIGTERM)  # without a word from Ray
    pool.collect(pool.submit(make_snapshot(), TRAINING))
    os.kill(pool.pids()[0], signal.SIGKILL)
    # As a terminal does it: to the whole process group.
    threading.Timer(2, os.killpg, (os.getpgrp(), signal.SIGINT)).start()
    try:
        pool.collect(pool.submit(make_snapshot(), TRAINING * 1000))
    except KeyboardInterrupt:
        pool.close()
        pool.close()
        assert "torch" not in sys.modules
        print("closed", flush=True)
        sys.stdin.read()
"""


def start_driver(code: str, folder: Path) -> subprocess.Popen[str]:
    """Run `code` as a module in a session of its own, with `folder` to import from."""
    (folder / "driver.py").write_text(code)
    return subprocess.Popen(
        [sys.executable, "-m", "driver"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(SUPPORT), str(ROOT)])},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def test_an_interrupted_pool_closes_silently_and_leaves_no_process(tmp_path: Path) -> None:
    (tmp_path / "own_world.py").write_text(
        "import gymnasium\nfrom faulty_envs import Slow\ngymnasium.register('Own-v0', Slow)\n"
    )
    with start_driver(INTERRUPTED, tmp_path) as driver:
        assert driver.stdout
        assert driver.stdout.readline() == "closed\n"
        assert wait_until(lambda: session_processes(driver.pid) == [driver.pid])
        assert driver.communicate("")[0] == ""
    assert driver.returncode == 0


BUSY = """
from ars.distributed.pool import RayPool
from rollouts import TRAINING, make_snapshot, make_spec

pool = RayPool(make_spec("faulty_envs:Slow-v0"), 2)
while len(pool.pids()) < 2:
    pool.collect(pool.submit(make_snapshot(), TRAINING[:2]))
print(*pool.pids(), flush=True)
pool.collect(pool.submit(make_snapshot(), TRAINING * 1000))
"""


def test_a_killed_driver_leaves_no_process_not_even_a_stopped_one(tmp_path: Path) -> None:
    with start_driver(BUSY, tmp_path) as driver:
        assert driver.stdout
        stopped, _ = map(int, driver.stdout.readline().split())
        os.kill(stopped, signal.SIGSTOP)
        driver.kill()
        assert wait_until(lambda: not session_processes(driver.pid))
        assert not alive(stopped)


HEAD_KILLED = """
import os, signal, sys, threading, time
from pathlib import Path
from processes import session_processes
from ars.distributed.pool import RayPool
from rollouts import TRAINING, expected, make_snapshot, make_spec, plain

pool = RayPool(make_spec("faulty_envs:Slow-v0"), 1, on_event=print)
pool.collect(pool.submit(make_snapshot(), TRAINING[:2]))
want = expected(make_spec(), TRAINING)
(head,) = (
    pid for pid in session_processes(os.getpid())
    if Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\\0")[0].endswith(b"gcs_server")
)
threading.Timer(0.3, os.kill, (head, signal.SIGKILL)).start()
print(plain(pool.collect(pool.submit(make_snapshot(), TRAINING))) == want)
pool.close()
print([pid for pid in session_processes(os.getpid()) if pid != os.getpid()])
"""


def test_a_killed_head_is_replaced_with_all_of_ray_and_changes_nothing(tmp_path: Path) -> None:
    with start_driver(HEAD_KILLED, tmp_path) as driver:
        event, same, left = driver.communicate(timeout=240)[0].splitlines()
    assert "(gcs_server) has died; Ray is started again" in event
    assert same == "True"
    assert left == "[]"
