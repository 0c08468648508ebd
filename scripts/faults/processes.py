"""Rows of the fault matrix about pauses, and about processes that die, stop or do not end."""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from faults.runs import (
    LENGTH,
    SLOW,
    Lab,
    Training,
    all_ready,
    identical,
    is_clean,
    passes,
    require,
    undisturbed,
    words,
)

PAUSE_SECONDS = 70.0
ENDS_SECONDS = 10.0  # after an interrupt
LIMIT_SECONDS = 20.0  # on a busy machine
REAPER = "reaper.py"
# Words in the command lines of the processes that a local Ray cannot do without.
RAYS_OWN = ("raylet/raylet", "gcs_server", "ray::RuntimeEnvAgent", "ray::DashboardAgent")


def _pids(run: Training, name: str) -> list[int]:
    """The living processes of a run with a name in the first words of their commands."""
    found = []
    for pid in run.left():
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:  # gone meanwhile
            continue
        if any(name in word.decode() for word in command[:5]):
            found.append(pid)
    require(found, f"no process is called {name}")
    return found


def _signal(pids: list[int], number: int) -> None:
    for pid in pids:
        os.kill(pid, number)


def _kill(run: Training, name: str) -> None:
    _signal(_pids(run, name), signal.SIGKILL)


def _disturbed(lab: Lab, name: str, disturb: Callable[[Training], None]) -> Training:
    """Disturb a run of two workers; the result must equal the reference."""
    reference, folder = undisturbed(lab, SLOW, *LENGTH), lab.place / name
    with Training(folder, words(SLOW, folder, *LENGTH, workers=2), all_ready(2)) as run:
        run.wait_for_rows(4)
        disturb(run)
        run.end()
    identical(folder, reference)
    return run


def pause(lab: Lab) -> str:
    """Stop the driver alone, then everything, for longer than any deadline; let it go on."""

    def stop(pids: list[int]) -> None:
        _signal(pids, signal.SIGSTOP)
        time.sleep(PAUSE_SECONDS)
        _signal(pids, signal.SIGCONT)

    alone = _disturbed(lab, "driver", lambda run: stop([run.process.pid]))
    whole = _disturbed(lab, "all", lambda run: stop(run.left()))
    for run in (alone, whole):
        require("replaced" not in run.out, f"a worker was replaced: {run.out}")
    return f"{PAUSE_SECONDS:.0f} s each"


def ray_dies(lab: Lab) -> str:
    """`kill -9` each of Ray's own processes, then the one that cleans up after a killed driver."""
    for name in RAYS_OWN:
        run = _disturbed(lab, name.rpartition("/")[2], functools.partial(_kill, name=name))
        require("Ray is started again" in run.out, f"{name}: not told: {run.out}")
    _disturbed(lab, "reaper", lambda run: _kill(run, REAPER))
    folder = lab.place / "killed"
    with Training(folder, words(SLOW, folder, *LENGTH, workers=2), all_ready(2)) as run:
        run.wait_for_rows(4)
        _kill(run, REAPER)
        time.sleep(3)  # by when there is another
        run.process.kill()
        run.end(-signal.SIGKILL)
    return f"{len(RAYS_OWN)} processes and the reaper"


def ray_stopped(lab: Lab) -> str:
    """SIGSTOP to one of Ray's own processes, then Ctrl-C."""
    slowest = 0.0
    for name in (*RAYS_OWN[:2], REAPER):
        folder = lab.place / name.rpartition("/")[2]
        with Training(folder, words(SLOW, folder, *LENGTH, workers=2), all_ready(2)) as run:
            run.wait_for_rows(4)
            _signal(_pids(run, name), signal.SIGSTOP)
            slowest = max(slowest, _interrupted(run, run.process.pid))
            run.end_clean("interrupted and saved; to go on: ", status=130)
    return f"ended within {slowest:.1f} s"


def _interrupted(run: Training, *pids: int) -> float:
    """Interrupt a run, and wait for its end; return how many seconds that took."""
    began = time.monotonic()
    for pid in pids:
        os.kill(pid, signal.SIGINT)
        time.sleep(0.5)
    run.process.wait(120)
    seconds = time.monotonic() - began
    require(seconds < ENDS_SECONDS, f"Ctrl-C was answered after {seconds:.0f} s")
    return seconds


def _holds_two(folder: Path) -> bool:
    return len(list(folder.iterdir())) == 2


def stuck(lab: Lab) -> str:
    """Environment processes in C code, stopped, and with processes of their own."""
    from processes import alive

    slowest = 0.0
    for env in ("Stuck", "StartsAProcess"):
        for end in ("killed", "interrupted"):
            place = lab.place / f"{env}-{end}"
            started = place / "started"
            started.mkdir(parents=True)
            command = [f"lingering_envs:{env}-v0", "--algo", "ppo", "--n-envs", "2"]
            command += ["--env-processes", "2"]
            command += ["--run-dir", str(place / "run"), "--env-kwargs", f"folder={started}"]
            with Training(place / "run", command) as run:
                run.wait_for(functools.partial(_holds_two, started), "two environments")
                time.sleep(3)
                if env == "StartsAProcess":
                    _signal(_pids(run, "spawn_main"), signal.SIGSTOP)
                if end == "killed":
                    run.process.kill()
                    run.end(-signal.SIGKILL)
                else:
                    slowest = max(slowest, _interrupted(run, *[run.process.pid] * 2))
                    run.end(130)
            left = [pid for pid in map(int, os.listdir(started)) if alive(pid)]
            require(not left, f"{env}, {end}: what environments started is alive: {left}")
    return f"Ctrl-C twice answered within {slowest:.1f} s"


def limits(lab: Lab) -> str:
    """Limits of a shell that are too low for Ray are named at once; nothing is left."""
    for flag, value in (("n", 40), ("v", 500_000)):
        folder = lab.place / flag
        command = [sys.executable, "-m", "ars.train", *words("CartPole-v1", folder, workers=2)]
        began = time.monotonic()
        done = subprocess.run(
            ["sh", "-c", f'ulimit -{flag} {value}; exec "$@"', "sh", *command],
            capture_output=True,
            text=True,
        )
        seconds = time.monotonic() - began
        require(done.returncode == 1, f"-{flag}: exit status {done.returncode}")
        is_clean(done.stderr, f"ulimit -{flag}", "--n-workers 0")
        require(seconds < LIMIT_SECONDS, f"-{flag}: {seconds:.0f} s")
        require(not folder.exists(), f"-{flag}: a folder is left")
    return f"ulimit -u: {passes('tests/ars/distributed/test_limits.py')}"
