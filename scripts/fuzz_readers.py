"""Fuzz what reads files: policies, checkpoints, configurations and tapes with forged contents.

    python scripts/fuzz_readers.py [--minutes 60] [--targets policy dqn ...] [--seed 0]

Each file has the right digests and one to three changes: values of other kinds, sizes and signs,
arrays of other shapes and types. It has to be refused in one line that names it, or to be good: a
policy acts, and a run goes on for an iteration. No traceback, nothing that takes longer than 30 s,
and no more than 1 GB of memory beyond what reading the whole files takes.

Prints a line for each target, and the seed of a forgery that was not handled. Needs pytest and
hypothesis: pip install -e ".[test]"
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import resource
import shutil
import signal
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
for folder in (ROOT / "tests" / "support", ROOT):
    sys.path.insert(0, str(folder))

SECONDS, GROWTH = 30, 1 << 30  # of one forgery; bytes
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
TARGETS = ("policy", "config", "tape", *RUNS)


# The strategy for a file's forgeries, and what tries one: returns whether it was good.
Target = tuple[Any, Callable[[Any], bool]]


class Unhandled(Exception):
    """A forgery that was neither refused in one line nor good."""


def checked(message: str) -> None:
    """A refusal. Raises: Unhandled unless it is one line of sensible length."""
    if "\n" in message or len(message) > 2000:
        raise Unhandled(f"not one line: {message[:300]}")


@contextlib.contextmanager
def policies(run: Path, place: Path) -> Iterator[Target]:
    """The strategy for a run's policy file, and what tries a forgery."""
    import forgeries
    import numpy as np

    from policies import FileError, read_policy
    from policies.file import read_arrays

    arrays, document = read_arrays(run / "policy.safetensors", "policy")

    def attempt(forged: Any) -> bool:
        forgeries.write(place / "p.safetensors", "policy", *forged)
        try:
            policy = read_policy(place / "p.safetensors").policy
        except FileError as error:
            checked(str(error))
            return False
        with np.errstate(all="ignore"):
            policy.act(np.zeros(policy.spec.observation.shape))
        return True

    yield forgeries.forgeries(arrays, document), attempt


@contextlib.contextmanager
def checkpoints(run: Path, place: Path) -> Iterator[Target]:
    """The same for its checkpoint."""
    import forgeries
    from resumed import Resumed

    from ars.common.errors import RolloutError, RunError
    from ars.training import checkpoint
    from policies.state import State

    with closing(Resumed(run)) as resumed:
        state = resumed.state

        def attempt(forged: Any) -> bool:
            arrays, values = forged
            forgeries.write(place / "state.safetensors", "checkpoint", arrays, values)
            shutil.copy(place / "state.safetensors", checkpoint.path(run))
            try:
                said = resumed.refusal(checkpoint.load(run))
                if said:
                    checked(said)
                    return False
                resumed.algorithm.iterate(resumed.pool)
            except (RolloutError, RunError, ValueError) as error:
                if not isinstance(error, RolloutError | RunError):
                    raise Unhandled(f"{type(error).__name__}: {error}") from error
                checked(str(error))
            return True

        yield forgeries.forgeries(state.arrays, State(values=state.values).values), attempt


@contextlib.contextmanager
def configurations(run: Path, place: Path) -> Iterator[Target]:
    """The same for its config.json."""
    import forgeries

    from ars.common.errors import UsageError
    from ars.training.resolve import resolve_resumed
    from policies import FileError

    document = json.loads((run / "config.json").read_text())

    def attempt(forged: Any) -> bool:
        (place / "config.json").write_text(json.dumps(forged[1]))
        try:
            resolve_resumed(place, {})
        except (FileError, UsageError) as error:
            checked(str(error))
            return False
        return True

    yield forgeries.forgeries({}, document), attempt


@contextlib.contextmanager
def tapes(run: Path, place: Path) -> Iterator[Target]:
    """The same for the header of its tape."""
    import forgeries
    from tapes import forge_header

    from ars.common.errors import UsageError
    from ars.training.rebuild import make_algorithm, replayed
    from ars.training.tape import MAGIC, read_tape
    from policies import FileError

    path = run / "tape.bin"
    text, _, _ = read_tape(path).header.encoded[len(MAGIC) + 8 : -32].partition(b"\n")

    def attempt(forged: Any) -> bool:
        shutil.copy(path, place / "tape.bin")

        def edit(document: dict[str, Any]) -> None:
            document.clear()
            document.update(forged[1])

        forge_header(place / "tape.bin", edit)
        try:
            tape = read_tape(place / "tape.bin")
            for _ in replayed(tape, make_algorithm(tape.header, tape.path)):
                pass
        except (FileError, UsageError) as error:
            checked(str(error))
            return False
        return True

    yield forgeries.forgeries({}, json.loads(text)), attempt


def fuzz(target: str, seed: int, until: float, place: Path) -> tuple[int, int]:
    """Forge the files of a target until a time; returns how many, and how many were good."""
    from hypothesis import HealthCheck, Phase, given, settings
    from hypothesis import seed as seeded

    run = trained(target if target in RUNS else "ars", place)
    kinds = {"policy": policies, "config": configurations, "tape": tapes}
    tried = good = 0
    with kinds.get(target, checkpoints)(run, place) as (strategy, attempt):

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
            signal.alarm(SECONDS)
            tried += 1
            good += attempt(forged)
            signal.alarm(0)

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
    signal.signal(signal.SIGALRM, too_long)
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
