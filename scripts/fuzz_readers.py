"""Fuzz what reads files: a run's own, and those that come from elsewhere, with forged contents.

    python scripts/fuzz_readers.py [--minutes 60] [--targets policy dqn ...] [--seed 0]

Policies, checkpoints, configurations and tapes have the right digests and one to three changes:
values of other kinds, sizes and signs, arrays of other shapes and types. Other projects' policies,
shared runs and files of settings have bytes changed too. Each has to be refused in one line that
names it, or to be good: a policy acts, a run goes on for an iteration, settings make a run. No
traceback, nothing that takes longer than 30 s, nothing that a file of settings names is imported,
and the most memory that the process has had grows by no more than 1 GB.

Prints a line for each target, and the seed of a forgery that was not handled. Needs pytest and
hypothesis: pip install -e ".[test]"
"""

from __future__ import annotations

import argparse
import contextlib
import io
import resource
import signal
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

from fuzzing import foreign_files, own_files
from fuzzing.outcome import Unhandled

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "support"))

SECONDS, GROWTH = 30, 1 << 30  # of one forgery: of processor time; bytes
PATIENCE = 20  # times as long by the clock, on a machine that is busy
EXAMPLES = 100  # from one seed
FEW = ["--n-iterations=2", "--eval-freq=1", "--eval-episodes=1", "--save-freq=1", "--n-workers=0"]
DQN = ["--algo=dqn", "--n-steps=40", "--buffer-size=200", "--learning-starts=30", "--batch-size=8"]
SMALL = ["--n-steps", "40", "--hidden-sizes", "8"]
# What trains the runs whose files are forged.
RUNS = {
    "ars": ["CartPole-v1", "--n-directions", "2", "--policy", "mlp", "--hidden-sizes", "3"],
    "dqn": ["CartPole-v1", *DQN, "--hidden-sizes", "8"],
    "prioritized": [
        *["CartPole-v1", *DQN, "--hidden-sizes", "8", "--prioritized", "--return-steps", "3"],
        *["--n-envs", "2"],
    ],
    "images": ["small_worlds:Stacks-v0", *DQN, "--save-buffer", "--conv-layers", "2", "8", "4"],
    "ppo": ["Pendulum-v1", "--algo", "ppo", *SMALL, "--n-envs", "2", "--batch-size", "20",
            "--normalize-observations", "--normalize-rewards"],
    "reinforce": ["CartPole-v1", "--algo", "reinforce", *SMALL, "--n-envs", "2"],
    "actor-critic": ["CartPole-v1", "--algo", "actor-critic", "--update", "episode",
                     "--iteration-steps", "40", "--hidden-sizes", "8"],
}  # fmt: skip
TARGETS = ("policy", "config", "tape", *RUNS, "import", "shared", "settings")


def fuzz(target: str, seed: int, until: float, place: Path) -> tuple[int, int]:
    """Forge the files of a target until a time; returns how many, and how many were good."""
    from hypothesis import HealthCheck, Phase, given, settings
    from hypothesis import seed as seeded

    run = trained(target if target in RUNS else "ars", place)
    kinds = {
        "policy": own_files.policies,
        "config": own_files.configurations,
        "tape": own_files.tapes,
        "import": foreign_files.imports,
        "shared": foreign_files.shared_runs,
        "settings": foreign_files.settings_files,
    }
    tried = good = 0
    with kinds.get(target, own_files.checkpoints)(run, place) as (strategy, attempt):

        @given(strategy)
        @settings(
            max_examples=EXAMPLES,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        def read(forged: Any) -> None:
            nonlocal tried, good
            limit(SECONDS)
            tried += 1
            good += attempt(forged)
            limit(0)

        while time.monotonic() < until or not tried:
            try:
                seeded(seed)(read)()
            except BaseException:
                print(f"{target}: seed {seed}, after {tried} forgeries", file=sys.stderr)
                raise
            seed += 1
    return tried, good


def trained(name: str, place: Path) -> Path:
    """The folder of a run to forge."""
    import ars.train

    folder = place / "run"
    with contextlib.redirect_stdout(io.StringIO()):
        ars.train.main([*RUNS[name], "--run-dir", str(folder), *FEW])
    return folder


def limit(seconds: int) -> None:
    """Have `too_long` called after so many seconds of processor time, or if all hangs."""
    signal.setitimer(signal.ITIMER_PROF, seconds)
    signal.alarm(PATIENCE * seconds)


def too_long(*_: object) -> None:
    """Raises: Unhandled, as a signal handler."""
    raise Unhandled(f"longer than {SECONDS} s")


def main() -> None:
    """Fuzz each target in turn."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60.0, help="of all targets together")
    parser.add_argument("--targets", nargs="+", choices=TARGETS, default=TARGETS, metavar="NAME")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    warnings.simplefilter("error")
    for number in (signal.SIGALRM, signal.SIGPROF):
        signal.signal(number, too_long)
    for target in arguments.targets:
        until = time.monotonic() + 60 * arguments.minutes / len(arguments.targets)
        with tempfile.TemporaryDirectory(prefix="ars-fuzz-") as place:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            tried, good = fuzz(target, arguments.seed, until, Path(place))
            grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) << 10
        print(f"{target:>14}: {tried:,} forgeries, {good:,} good, the others refused", flush=True)
        if grown > GROWTH:
            raise SystemExit(f"{target}: {grown >> 20} MB of memory")


if __name__ == "__main__":
    main()
