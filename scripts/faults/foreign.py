"""Rows of the fault matrix about files of others, forged contents, races and divergence."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import threading
from collections.abc import Callable
from contextlib import redirect_stdout, suppress
from pathlib import Path

from faults.runs import (
    ROOT,
    Lab,
    Training,
    copy,
    forked,
    identical,
    in_fork,
    is_clean,
    passes,
    require,
    resume_words,
    undisturbed,
    words,
)

FEW = ["--n-iterations", "5"]
FUZZ_MINUTES = 2.0  # an hour: scripts/fuzz_readers.py
STRANGER = 65_534  # the uid of nobody
MODULE = """
import gymnasium, pathlib
from gymnasium.envs.classic_control import CartPoleEnv
pathlib.Path(__file__).with_name("it-ran").touch()
gymnasium.register("Lent-v0", CartPoleEnv, max_episode_steps=20)
"""


def from_elsewhere(lab: Lab) -> str:
    """A module, an address, links, FIFOs and devices in a run folder: nothing runs or is sent."""
    os.environ["XDG_DATA_HOME"] = str(lab.place / "data")
    (lab.place / "lent.py").write_text(MODULE)
    sys.path.insert(0, str(lab.place))
    run, ran = lab.place / "run", lab.place / "it-ran"
    status, _, err = forked(words("lent:Lent-v0", run, *FEW))
    require(status == 0 and ran.exists(), err)
    _refuse_module(run, ran)
    _refuse_address(copy(undisturbed(lab, "Hopper", *FEW), lab.place / "address"))
    return _refuse_links(lab, copy(undisturbed(lab, "Hopper", *FEW), lab.place / "links"))


def _refuse_module(run: Path, ran: Path) -> None:
    ran.unlink()
    status, _, err = forked(resume_words(run, "--n-iterations", "6"))
    require(status == 0 and ran.exists(), f"a run of one's own was refused: {err}")
    ran.unlink()
    named = "would run the module lent"
    ways: list[Callable[[Path], None]] = [lambda path: path.chmod(0o777)]
    if os.geteuid() == 0:
        ways.append(lambda path: os.chown(path, STRANGER, -1))
    for number, spoil in enumerate(ways):
        other = copy(run, run.with_name(f"other{number}"))
        spoil(other)
        status, _, err = forked(resume_words(other, "--n-iterations", "7"))
        require(status == 2 and not ran.exists(), f"exit status {status}: {err}")
        is_clean(err, named, "others than you can write")
    path = run / "config.json"
    data = json.loads(path.read_text())
    del data["signature"]
    path.write_text(json.dumps(data))
    for trust, expected in (([], 2), (["--trust"], 0)):
        status, _, err = forked(resume_words(run, "--n-iterations", "7", *trust))
        require((status, ran.exists()) == (expected, not expected), f"status {status}: {err}")
    ran.unlink()
    status, _, err = forked(resume_words(run, "--n-iterations", "8"))
    require(status == 2 and not ran.exists(), "trust was remembered")


def _refuse_address(run: Path) -> None:
    """An address in config.json is not connected to."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.5)
        address = f"127.0.0.1:{listening.getsockname()[1]}"
        path = run / "config.json"
        data = json.loads(path.read_text())
        data["workers"] |= {"n_workers": "auto", "ray_address": address}
        path.write_text(json.dumps(data))
        status, out, err = forked(resume_words(run, "--n-iterations", "6", workers=1))
        require(status == 0, err)
        require(f"--ray-address {address}" in out, "no hint at the address of before")
        with suppress(TimeoutError):
            listening.accept()
            require(False, "the address in config.json was connected to")


def _refuse_links(lab: Lab, run: Path) -> str:
    precious, tried = lab.place / "precious", 0
    for name in ("progress.csv", "evaluations.csv", "tape.bin", ".lock", "checkpoint"):
        for kind in ("link", "fifo", "device"):
            other = copy(run, lab.place / f"{kind}{tried}")
            path = other / name
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
            precious.write_text("kept")
            if kind == "fifo":
                os.mkfifo(path)
            else:
                path.symlink_to(precious if kind == "link" else "/dev/zero")
            status, _, err = forked(resume_words(other, "--n-iterations", "7"), seconds=None)
            require(status == 1, f"{kind} {name}: exit status {status}")
            is_clean(err, name)
            require(precious.read_text() == "kept", f"{name} was written through")
            tried += 1
    return f"{tried} links, FIFOs and devices"


def forged(lab: Lab) -> str:
    """Policies, checkpoints, configurations and tapes with right digests and wrong contents."""
    sys.path.insert(0, str(ROOT / "scripts"))
    import fuzz_readers

    tried = 0
    for target in fuzz_readers.TARGETS:
        with tempfile.NamedTemporaryFile("w+") as report:

            def attempt(target: str = target, path: str = report.name) -> None:
                minutes = FUZZ_MINUTES / len(fuzz_readers.TARGETS)
                sys.argv = ["fuzz_readers", "--minutes", str(minutes), "--targets", target]
                with open(path, "w") as file, redirect_stdout(file):
                    fuzz_readers.main()

            status, _, err = in_fork(attempt)
            require(status == 0, f"{target}: {err[-300:]}")
            tried += int(report.read().split()[1].replace(",", ""))
    return f"{tried:,} forgeries; {passes('tests/ars/training/test_forged_checkpoints.py')}"


def two_new_runs(lab: Lab) -> None:
    """Start two new runs in one folder at the same moment: one of them gets it."""
    reference = undisturbed(lab, "Hopper", *FEW)
    for attempt in range(5):
        folder = lab.place / f"run{attempt}"
        command = words("Hopper", folder, *FEW)
        found: list[tuple[int, str, str]] = []
        with Training(folder, command) as one, Training(folder.with_name("x"), command) as other:
            waits = [threading.Thread(target=run.process.wait) for run in (one, other)]
            for wait in waits:
                wait.start()
            for wait in waits:
                wait.join()
            found = [(run.process.returncode, run.out, run.err) for run in (one, other)]
        statuses = sorted(status for status, _, _ in found)
        require(statuses in ([0, 1], [0, 2]), f"exit statuses {statuses}")
        is_clean(max(found)[2], str(folder))
        identical(folder, reference)


def diverges(lab: Lab) -> None:
    """Steps and rewards beyond all numbers: the last finite policy is kept."""
    from policies import read_policy

    folder = lab.place / "run"
    status, _, err = forked(words("CartPole-v1", folder, "--step-size", "1e308", *FEW))
    require(status == 1, f"exit status {status}")
    is_clean(err, "--step-size")
    read_policy(folder / "policy.safetensors")
    for value, expected in (("1e200", 0), ("1.7e308", 1)):
        run = lab.place / value
        kwargs = ["--env-kwargs", f"reward={value}"]
        status, _, err = forked(words("faulty_envs:Pays-v0", run, *kwargs, *FEW))
        require(status == expected, f"rewards of {value}: exit status {status}: {err[-300:]}")
        if status:
            is_clean(err, "the sum of its rewards is too large for a float")
        else:
            read_policy(run / "best_policy.safetensors")
