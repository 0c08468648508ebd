"""Every policy that a training went through, computed again from its tape."""

from __future__ import annotations

import bisect
from collections.abc import Iterator
from dataclasses import replace
from numbers import Real
from pathlib import Path

import numpy as np

from ars.algorithms import ALGORITHMS
from ars.algorithms.base import Algorithm, Row, TrainingContext
from ars.common.errors import RunError, UsageError
from ars.common.settings import make_config
from ars.rendering.film import Moment
from ars.training.env_check import probe
from ars.training.evaluation import Candidate, policy_file
from ars.training.run_folder import (
    TAPE,
    ResolvedPolicy,
    find_policy,
    one_of_those_in,
)
from ars.training.shared_run import shipped_file, unpacked
from ars.training.stored_settings import current_settings
from ars.training.tape import Header, Tape, read_tape
from ars.training.trust import NotTrusted, check_trust
from envs.objective import NOTHING_KNOWN
from policies import FileError, PolicySpec


def chosen_policy(
    run: str,
    latest: bool = False,
    at: int | None = None,
    trust: bool = False,
    setting: str = "run",
) -> ResolvedPolicy:
    """The policy that RUN means: its best, its latest, or the one it had at some timesteps.

    Args:
        run: a run folder, a policy file or the name of a shipped policy.
        latest: of a run folder, the latest policy instead of the best.
        at: of a run folder with a tape: the policy after as many timesteps, which is the one after
            the last iteration that had used no more.
        trust: import the module that a tape from elsewhere names, if that is needed to read it.
        setting: the setting that it was given as, for messages.

    Raises:
        UsageError: there is no such run or policy, or a module would have to be imported.
        FileError: its file is damaged.
    """
    given, run = run, unpacked(run)
    if at is None:
        found = find_policy(run, latest, setting)
        if shipped_file(given) is not None:
            which = "latest shipped policy" if latest else "shipped policy"
            return replace(found, which=which, name=given)
        return replace(found, name=found.name.replace(run, given))
    if isinstance(at, bool) or not isinstance(at, Real) or not float(at).is_integer():
        raise UsageError(f"`at` {at}: must be a whole number")
    at = int(at)
    if latest:
        raise UsageError(f"`at` {at}: has no meaning beside `latest`")
    tape = tape_of(given, f"`at` {at}")
    steps = tape.timesteps
    if at < steps[0]:
        raise UsageError(f"`at` {at}: the tape of {given} begins at {steps[0]:,} timesteps")
    [resolved] = _policies(tape, [bisect.bisect_right(steps, at) - 1], trust)
    return replace(resolved, name=resolved.name.replace(run, given))


def training_moments(
    run: str,
    count: int = 10,
    trust: bool = False,
    *,
    latest: bool = False,
    at: int | None = None,
) -> list[Moment]:
    """Policies of a run, evenly spaced in timesteps, from the first to the last.

    Args:
        run: the run folder.
        count: how many; fewer if the run had fewer.
        trust: as for `chosen_policy`.
        latest: refused, and so is `at`: they choose a single policy.

    Raises:
        UsageError: the run has no tape, or a single policy is asked for.
        FileError: it is damaged.
    """
    if latest or at is not None:
        one = "`latest`" if latest else f"`at` {at}"
        raise UsageError(f"{one}: has no meaning beside `over_training`")
    tape = tape_of(run, "`over_training`")
    steps = tape.timesteps
    span = steps[-1] - steps[0]
    moments = [steps[0] + span * k // (count - 1) for k in range(count)]
    positions = sorted({bisect.bisect_right(steps, moment) - 1 for moment in moments})
    found = [resolved.file for resolved in _policies(tape, positions, trust)]
    return [Moment(file.policy, file.training["timesteps"]) for file in found]


def replayed(tape: Tape, algorithm: Algorithm) -> Iterator[Row]:
    """Take an algorithm through a tape; yields the part of each row that follows from its record.

    The first row is empty: there the algorithm is in the state in which the tape begins.

    Raises:
        FileError: a record cannot follow the one before it.
    """
    try:
        algorithm.restore(tape.header.start)
        yield {}
        for index in range(len(tape.records)):
            yield algorithm.replay(tape.record(index))
    except (ValueError, TypeError, RunError) as error:
        where = f"after iteration {algorithm.iteration:,}"
        raise FileError(f"{tape.path}: not a usable tape ({where}: {error})") from None


def make_algorithm(header: Header, path: Path, trust: bool = False) -> Algorithm:
    """The algorithm of a tape, as a new run of its settings has it.

    Raises:
        FileError: the tape is not usable.
        NotTrusted: it would import a module, and nothing says that it is the user's own.
    """
    run = header.run
    try:
        kind = ALGORITHMS[run["algo"]].load()
        if kind.replay is Algorithm.replay:
            raise ValueError(f"{run['algo']} has no tape")
        config = make_config(kind.Config, current_settings(kind.Config, run))
        spec = PolicySpec.from_json(header.policy)
        header.start.array("weights", (spec.n_weights,))  # before as many are made
        if config.hidden_sizes not in ((), spec.hidden_sizes):
            raise ValueError("its policy is not that of its settings")
        objective = NOTHING_KNOWN
        if config.reward_weights or config.end_when_down:  # which terms there are, must be known
            check_trust(path.parent, str(run["env_id"]), dict(run["env_kwargs"]), trust)
            objective = probe(str(run["env_id"]), dict(run["env_kwargs"])).objective
        context = TrainingContext(
            str(run["env_id"]),
            spec.observation,
            spec.action,
            dict(run["env_kwargs"]),
            int(run["seed"]),
            str(run["on_nonfinite"]),
            notify=lambda message: None,
            objective=objective,
        )
        algorithm = kind(config, context)
        if algorithm.policy.spec != spec:
            raise ValueError("its policy is not that of its settings")
        for name, array in (algorithm.tape_record() or {}).items():
            kind_of_field = np.dtype((array.dtype.newbyteorder("<"), array.shape))
            if header.fields[name] != kind_of_field:
                raise ValueError(f"its records have {name} of another kind")
    except NotTrusted:
        raise
    except (KeyError, ValueError, TypeError, OverflowError) as error:
        raise FileError(f"{path}: not a usable tape ({error})") from None
    return algorithm


def tape_of(run: str, shown: str) -> Tape:
    """The tape of a RUN. Arguments and errors: see `tape_path`; FileError: it is damaged."""
    return read_tape(tape_path(run, shown))


def tape_path(run: str, shown: str) -> Path:
    """The file of a RUN's tape.

    Args:
        run: the run folder.
        shown: the setting that asks for it, in messages.

    Raises:
        UsageError: it has none.
    """
    given, run = run, unpacked(run)
    path = Path(run) / TAPE
    if not Path(run).is_dir():
        found = find_policy(run)  # which says it where there is no such RUN at all
        raise UsageError(f"{shown}: {found.name} is one policy; only a run folder has a tape")
    if not path.is_file():
        why = one_of_those_in(Path(run)) or (
            "; ARS, PGPE and separable CMA-ES write one, earlier versions and other algorithms "
            "do not"
        )
        name = "it" if shown.endswith(f" {given}") else given
        raise UsageError(f"{shown}: {name} has no {TAPE}{why}")
    return path


def _policies(tape: Tape, positions: list[int], trust: bool) -> list[ResolvedPolicy]:
    """The policies at positions in a tape, in increasing order; 0 is where it begins."""
    algorithm, found = make_algorithm(tape.header, tape.path, trust), []
    for position, _ in enumerate(replayed(tape, algorithm)):
        if position in positions:
            file = policy_file(algorithm, Candidate.of(algorithm), tape.header.training)
            found.append(ResolvedPolicy(tape.path, file, "policy from", str(tape.path)))
        if position == positions[-1]:
            break
    return found
