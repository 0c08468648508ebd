"""Is a run what it claims to be? Its files are compared with its tape, and its tape with rollouts.

The digests are checked, every policy is rebuilt from the tape and compared with the run's files,
and whole iterations are replayed. A forged result needs a forged tape, and an iteration that was
forged on the tape differs when it is replayed.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ars.algorithms.base import Algorithm, Row
from ars.common.errors import RunError, UsageError
from ars.common.interrupts import Interrupts
from ars.common.settings import counted
from ars.training import checkpoint
from ars.training.comparison import Comparison
from ars.training.config import TrainingConfig, parse_workers
from ars.training.evaluation import Candidate, policy_file
from ars.training.interruptible_pool import InterruptiblePool
from ars.training.logger import read_table
from ars.training.rebuild import make_algorithm, replayed, tape_path
from ars.training.resolve import resolve_resumed
from ars.training.run import make_pool
from ars.training.run_folder import BEST_POLICY, CONFIG, LATEST_POLICY, PROGRESS, read_json
from ars.training.stored_settings import check_identity, raisable_settings
from ars.training.tape import Tape, machine_now, read_tape
from ars.training.trust import check_trust
from policies import FileError, PolicyFile, read_policy
from policies.state import State

# Packages that decide what a rollout gives, beside the processor and the C library.
DECISIVE = ("numpy", "gymnasium", "pybullet", "mujoco")

Check = Callable[[Algorithm], None]


@dataclass(frozen=True)
class Verification:
    """What was checked of a run and found to be right.

    Attributes:
        folder: the run folder.
        n_iterations: how many are on the tape.
        first: the iteration after which the tape begins.
        init_from: the policy that the run began with, of which nothing is checked; None for a new
            one.
        compared: the files that match the tape, in words.
        uncompared: those of iterations before the tape begins, in words.
        played: the iterations that were replayed.
        n_rollouts: how many rollouts they had.
        other_machine: how this machine differs from the run's, if bits cannot be compared.
    """

    folder: Path
    n_iterations: int
    first: int
    init_from: str | None
    compared: list[str]
    uncompared: list[str]
    played: list[int]
    n_rollouts: int
    other_machine: str | None

    @property
    def share(self) -> float:
        """The share of the iterations that were replayed."""
        return len(self.played) / self.n_iterations if self.n_iterations else 0.0

    def chance_to_find(self, n_forged: int) -> float:
        """The probability that at least one of so many forged iterations was detected."""
        return chance_to_find(self.n_iterations, len(self.played), n_forged)


def chance_to_find(n: int, n_drawn: int, n_forged: int) -> float:
    """The probability that a sample without replacement contains a forged item.

    1 - C(n - k, m) / C(n, m) for k = n_forged and m = n_drawn.
    """
    missed = math.prod(max(0, n - n_drawn - i) / (n - i) for i in range(min(n_forged, n)))
    return 1.0 - missed


def verify_run(
    run: str,
    share: float = 0.01,
    iterations: int | None = None,
    seed: int | None = None,
    n_workers: str = "0",
    on_iteration: Callable[[], None] = lambda: None,
    notify: Callable[[str], None] = lambda message: None,
    trust: bool = False,
) -> Verification:
    """Verify a run folder.

    Args:
        run: the folder.
        share: of the iterations to replay, at least one.
        iterations: how many to replay, instead of a share.
        seed: for drawing them; None: fresh entropy.
        n_workers: the workers that replay them, as for training.
        on_iteration: called after each iteration that was replayed.
        notify: shows the user a line.
        trust: import the module that a run from elsewhere names.

    Raises:
        UsageError: there is no such run, it has no tape, or a module would have to be imported.
        FileError, RunError, RolloutError: it is not verified; the message says what differs.
    """
    parse_workers(n_workers)  # refused before anything is done
    path = tape_path(run, f"`run` {run}")
    folder = path.parent
    if not (folder / CONFIG).is_file():
        raise UsageError(f"`run` {run}: not a run folder (no {CONFIG} in it)")
    claims = _Claims.of(folder)  # first: a run that goes on writes its tape before what it claims
    tape = read_tape(path)
    config = resolve_resumed(folder, {}, trust=trust)
    header = tape.header.run  # which names an environment too
    check_trust(folder, str(header.get("env_id")), header.get("env_kwargs") or {}, trust)
    workers = dataclasses.replace(config.workers, n_workers=n_workers, ray_address=None)
    config = dataclasses.replace(config, workers=workers)
    other_machine = _other_machine(tape, folder)
    verifier = _Verifier(tape, claims, config, Comparison(exact=other_machine is None), trust)
    n = len(tape.records)
    n_drawn = min(n, math.ceil(share * n) if iterations is None else iterations)
    drawn = np.random.default_rng(seed).permutation(n)[:n_drawn].tolist()
    befores = verifier.rebuild(set(drawn))
    n_rollouts = verifier.play(befores, on_iteration, notify)
    first = tape.header.first
    played = [first + index + 1 for index in befores]
    start = None if first else config.init_from
    return Verification(
        folder,
        n,
        first,
        start,
        verifier.compared,
        verifier.uncompared,
        played,
        n_rollouts,
        other_machine,
    )


def _other_machine(tape: Tape, folder: Path) -> str | None:
    """How the machines that ran a run, as far as is known, differ from this one."""
    here, stored = machine_now(), read_json(folder / CONFIG)
    last = {"versions": stored.get("versions"), **_object(stored.get("platform"))}
    names = {"cpu": "processor", "libc": "C library"}
    found = []
    for there in (tape.header.machine, last):
        pairs = [(title, there.get(name), here[name]) for name, title in names.items()]
        versions = _object(there.get("versions"))
        pairs += [(name, versions.get(name), here["versions"].get(name)) for name in DECISIVE]
        found += [
            f"{title} {theirs} there, {ours} here"
            for title, theirs, ours in pairs
            if theirs is not None and theirs != ours
        ]
    return "; ".join(dict.fromkeys(found)) or None


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


@dataclass(frozen=True)
class _Claims:
    """What the files of a run say, to be compared with its tape.

    Attributes:
        folder: of the run.
        rows: of progress.csv, by iteration.
        policies: its policy files.
        checkpoint: its last one; None without.
    """

    folder: Path
    rows: dict[int, dict[str, str]]
    policies: dict[Path, PolicyFile]
    checkpoint: State | None

    @classmethod
    def of(cls, folder: Path) -> _Claims:
        """Read them. Raises: FileError."""
        # First what is written last: a run that goes on has the rows of what it has saved.
        saved = checkpoint.load(folder) if checkpoint.exists(folder) else None
        paths = [folder / name for name in (LATEST_POLICY, BEST_POLICY)]
        policies = {path: read_policy(path) for path in paths if path.is_file()}
        return cls(folder, _rows(folder / PROGRESS), policies, saved)


class _Verifier:
    """Compares a tape with the files of its run, and its iterations with their rollouts."""

    def __init__(
        self,
        tape: Tape,
        claims: _Claims,
        config: TrainingConfig,
        comparison: Comparison,
        trust: bool,
    ) -> None:
        self.tape, self.claims, self.config, self.comparison = tape, claims, config, comparison
        self.folder, self._rows = claims.folder, claims.rows
        self.compared: list[str] = []
        self.uncompared: list[str] = []
        self.algorithm = make_algorithm(tape.header, tape.path, trust)
        self._check_tape_identity(tape.header.run)

    def rebuild(self, drawn: set[int]) -> dict[int, State]:
        """Rebuild every policy and compare; returns the states before the drawn records."""
        self._check_start()
        checks = dict[int, list[Check]]()
        for path, iteration, check in self._file_checks():
            if iteration < self.tape.header.first:
                self.uncompared.append(f"{path.name} (iteration {iteration:,}, before the tape)")
            else:
                checks.setdefault(iteration, []).append(check)
        befores, n_rows = dict[int, State](), 0
        for position, row in enumerate(replayed(self.tape, self.algorithm)):
            iteration = self.algorithm.iteration
            if position:
                self._check_record(position - 1)
                n_rows += self._check_row(iteration, row)
            for check in checks.pop(iteration, ()):
                check(self.algorithm)
            if position in drawn:
                befores[position] = self.algorithm.state()
        # The records say what was raised since the header: never above what config.json has.
        config = self.algorithm.config
        raised = {name: getattr(config, name) for name in raisable_settings(type(config))}
        self._check_tape_identity(self.tape.header.run | raised)
        if beyond := [iteration for iteration in self._rows if iteration > self.tape.last]:
            raise RunError(
                f"{self.folder / PROGRESS}: has a row of iteration {min(beyond):,}; the tape ends "
                f"after iteration {self.tape.last:,}"
            )
        self.compared.insert(0, f"{counted(n_rows, 'row')} of {PROGRESS}")
        return befores

    def play(
        self,
        befores: dict[int, State],
        on_iteration: Callable[[], None],
        notify: Callable[[str], None],
    ) -> int:
        """Replay iterations from the states before them; returns the number of rollouts."""
        if not befores:
            return 0
        episodes, interrupts = 0, Interrupts()
        algorithm = self.algorithm
        with (
            interrupts.handled(),
            closing(make_pool(self.config, algorithm.rollout_spec, notify)) as pool,
        ):
            for position, before in befores.items():
                algorithm.restore(before)
                algorithm.adopt(self.tape.record(position))
                row = algorithm.iterate(InterruptiblePool(pool, interrupts))
                found = algorithm.tape_record()
                assert found is not None
                where = f"{self.tape.path}: iteration {algorithm.iteration:,}"
                self.comparison.played(where, self.tape.record(position), found)
                if self.comparison.exact:
                    self._check_row(algorithm.iteration, row)
                episodes += algorithm.episodes - before.count("episodes")
                on_iteration()
        return episodes

    def _check_identity(self, claimed: dict[str, Any]) -> None:
        """Raises: ValueError if the tape or the checkpoint is of another run."""
        check_identity(claimed, self.config.identity, type(self.config.algorithm))

    def _check_tape_identity(self, claimed: dict[str, Any]) -> None:
        try:
            self._check_identity(claimed)
        except ValueError as error:
            raise RunError(f"{self.tape.path}: not the tape of this run ({error})") from None

    def _check_start(self) -> None:
        """A tape of a whole training begins in the state that the settings give."""
        if self.tape.header.first or self.config.init_from is not None:
            return
        self._check_state(f"{self.tape.path}: its start", self.tape.header.start, self.algorithm)

    def _check_record(self, index: int) -> None:
        """The counters of a record follow from the record before it and from the scores."""
        found, where = self.algorithm.tape_record(), f"{self.tape.path}: record {index + 1:,}"
        assert found is not None
        for name, array in self.tape.record(index).items():
            self.comparison.array(where, name, array, np.asarray(found[name]))

    def _check_row(self, iteration: int, found: Row) -> int:
        """Compare a row of progress.csv with what follows from the tape; returns 1 if it exists.

        Rows after the checkpoint may be missing: the run was killed, or is still going on.
        """
        claimed = self._rows.get(iteration)
        if claimed is None:
            return 0
        where, algorithm = f"{self.folder / PROGRESS}: iteration {iteration:,}", self.algorithm
        counters = {"timesteps": algorithm.timesteps, "episodes": algorithm.episodes}
        self.comparison.row(where, claimed, {**counters, **found})
        return 1

    def _check_state(self, where: str, claimed: State, algorithm: Algorithm) -> None:
        found = algorithm.state()
        for name, value in found.values.items():
            self.comparison.value(where, name, claimed.values.get(name), value)
        for name, array in found.arrays.items():
            try:
                stored = claimed.array(name, array.shape, array.dtype)
            except ValueError as error:
                raise RunError(f"{where}: {error}") from None
            self.comparison.array(where, name, stored, array)

    # The run's files

    def _file_checks(self) -> Iterator[tuple[Path, int, Check]]:
        """The run's files, the iteration that each is of, and the check of it."""
        for path, file in self.claims.policies.items():
            check = self._policy_check(path, file)
            yield path, self._reached(path, file.training.get("iteration")), check
        path, state = checkpoint.path(self.folder), self.claims.checkpoint
        if state is None:
            return
        try:
            self._check_identity(state.value("run", dict))
            stored = State(state.arrays, state.value("algorithm", dict))
            iteration = self._reached(path, stored.count("iteration"))
        except ValueError as error:
            raise RunError(f"{path}: not a checkpoint of this run ({error})") from None
        missing = range(self.tape.header.first + 1, iteration + 1) - self._rows.keys()
        if missing:
            raise RunError(f"{self.folder / PROGRESS}: has no row of iteration {min(missing):,}")

        def check_checkpoint(algorithm: Algorithm) -> None:
            self._check_state(str(path), stored, algorithm)
            self.compared.append(f"the checkpoint (iteration {iteration:,})")

        yield path, iteration, check_checkpoint

    def _policy_check(self, path: Path, file: PolicyFile) -> Check:
        def check(algorithm: Algorithm) -> None:
            found = policy_file(algorithm, Candidate.of(algorithm), self.tape.header.training)
            compare, where = self.comparison, str(path)
            compare.value(where, "env_id", file.env_id, found.env_id)
            compare.value(where, "env_kwargs", file.env_kwargs, found.env_kwargs)
            compare.value(where, "policy", file.policy.spec, found.policy.spec)
            for name in sorted(found.training.keys() & file.training.keys()):
                compare.value(where, name, file.training[name], found.training[name])
            compare.array(where, "weights", file.policy.weights, found.policy.weights)
            theirs, ours = file.policy.normalizer, found.policy.normalizer
            compare.value(where, "normalizer", theirs is None, ours is None)
            if theirs is not None and ours is not None:
                compare.value(where, "normalizer.rule", theirs.rule, ours.rule)
                compare.value(where, "normalizer.count", theirs.count, ours.count)
                compare.array(where, "normalizer.mean", theirs.mean, ours.mean)
                compare.array(where, "normalizer.var", theirs.var, ours.var)
            self.compared.append(f"{path.name} (iteration {algorithm.iteration:,})")

        return check

    def _reached(self, path: Path, iteration: Any) -> int:
        """The iteration that a file is of. Raises: RunError if the tape ends before it."""
        if not isinstance(iteration, int) or iteration < 0:
            raise FileError(f"{path}: does not say its iteration")
        if iteration > self.tape.last:
            raise RunError(
                f"{self.tape.path}: ends after iteration {self.tape.last:,}, but {path} is of "
                f"iteration {iteration:,}"
            )
        return iteration


def _rows(path: Path) -> dict[int, dict[str, str]]:
    """The rows of progress.csv by iteration. Raises: FileError."""
    table = read_table(path)
    rows = [dict(zip(table, row, strict=True)) for row in zip(*table.values(), strict=True)]
    try:
        found = {int(row["iteration"]): row for row in rows}
        if len(found) < len(rows):
            raise ValueError("two rows of one iteration")
    except (ValueError, KeyError) as error:
        raise FileError(f"{path}: not the {PROGRESS} of a run ({error})") from None
    return found
