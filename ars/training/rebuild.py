"""Every policy that a training went through, computed again from its tape."""

from __future__ import annotations

import bisect
from collections.abc import Iterator
from pathlib import Path

from ars.algorithms import ALGORITHMS
from ars.algorithms.base import Algorithm, Row, TrainingContext
from ars.common.errors import UsageError
from ars.common.settings import make_config
from ars.rendering.film import Moment
from ars.training.evaluation import Candidate, policy_file
from ars.training.run_folder import ResolvedPolicy, describe_policy, find_policy
from ars.training.stored_settings import current_settings
from ars.training.tape import TAPE, Header, Tape, read_tape
from policies import FileError, PolicySpec


def chosen_policy(run: str, latest: bool = False, at: int | None = None) -> ResolvedPolicy:
    """The policy that RUN means: its best, its latest, or the one it had at some timesteps.

    Args:
        run: a run folder, a policy file or the name of a shipped policy.
        latest: of a run folder, the latest policy instead of the best.
        at: of a run folder with a tape, timesteps: the policy after the last iteration that had
            done no more.

    Raises:
        UsageError: there is no such run or policy.
        FileError: its file is damaged.
    """
    if at is None:
        return find_policy(run, latest)
    if latest:
        raise UsageError(f"`at` {at}: has no meaning beside `latest`")
    return policies_at(run, [at])[0]


def policies_at(run: str, moments: list[int]) -> list[ResolvedPolicy]:
    """The policies that a run had at some timesteps, in increasing order; see `chosen_policy`."""
    tape = tape_of(run, f"`at` {moments[0]}")
    steps = tape.timesteps
    if moments[0] < steps[0]:
        raise UsageError(f"`at` {moments[0]}: the tape of {run} begins at {steps[0]:,} timesteps")
    return _policies(tape, [bisect.bisect_right(steps, moment) - 1 for moment in moments])


def training_moments(run: str, count: int = 10) -> list[Moment]:
    """Policies of a run, evenly spaced in timesteps, from the first to the last.

    At most `count`: fewer where the run had fewer. Raises: UsageError where the run has no tape;
    FileError where it is damaged.
    """
    tape = tape_of(run, "`over_training`")
    steps = tape.timesteps
    span = steps[-1] - steps[0]
    moments = [steps[0] + span * k // (count - 1) for k in range(count)]
    positions = sorted({bisect.bisect_right(steps, moment) - 1 for moment in moments})
    found = [resolved.file for resolved in _policies(tape, positions)]
    return [Moment(file.policy, file.training["timesteps"]) for file in found]


def replayed(tape: Tape, algorithm: Algorithm) -> Iterator[Row]:
    """Take an algorithm through a tape; gives what follows from each record, as it is reached.

    Before the first, where the tape begins, an empty row. Raises: FileError.
    """
    try:
        algorithm.restore(tape.header.start)
        yield {}
        for index in range(len(tape.records)):
            yield algorithm.replay(tape.record(index))
    except (ValueError, TypeError) as error:
        where = f"after iteration {algorithm.iteration:,}"
        raise FileError(f"{tape.path}: not a usable tape ({where}: {error})") from None


def make_algorithm(header: Header, path: Path) -> Algorithm:
    """The algorithm of a tape, as a new run of its settings has it. Raises: FileError."""
    run = header.run
    try:
        kind = ALGORITHMS[run["algo"]].load()
        if kind.replay is Algorithm.replay:
            raise ValueError(f"{run['algo']} has no tape")
        config = make_config(kind.Config, current_settings(kind.Config, run))
        spec = PolicySpec.from_json(header.policy)
        context = TrainingContext(
            str(run["env_id"]),
            spec.observation,
            spec.action,
            dict(run["env_kwargs"]),
            int(run["seed"]),
            str(run["on_nonfinite"]),
            notify=lambda message: None,
        )
        algorithm = kind(config, context)
        if algorithm.policy.spec != spec:
            raise ValueError("its policy is not that of its settings")
    except (KeyError, ValueError, TypeError) as error:
        raise FileError(f"{path}: not a usable tape ({error})") from None
    return algorithm


def tape_of(run: str, shown: str) -> Tape:
    """The tape of a RUN; `shown`: what asks for it, in messages.

    Raises: UsageError where it has none; FileError where it is damaged.
    """
    path = Path(run) / TAPE
    if not Path(run).is_dir():
        found = find_policy(run)  # which says it where there is no such RUN at all
        raise UsageError(f"{shown}: {found.path} is one policy; only a run folder has a tape")
    if not path.is_file():
        raise UsageError(
            f"{shown}: {run} has no {TAPE}; runs of ars write one, those of deep algorithms and of "
            "versions before 0.2 do not"
        )
    return read_tape(path)


def _policies(tape: Tape, positions: list[int]) -> list[ResolvedPolicy]:
    """The policies at positions in a tape: 0 is where it begins. Raises: FileError."""
    algorithm = make_algorithm(tape.header, tape.path)
    wanted = set(positions)
    by_position = {}
    for position, _ in enumerate(replayed(tape, algorithm)):
        if position in wanted:
            candidate = Candidate(algorithm.snapshot(), algorithm.iteration, algorithm.timesteps)
            file = policy_file(algorithm, candidate, tape.header.training)
            by_position[position] = ResolvedPolicy(
                tape.path, file, describe_policy("policy from", tape.path, file)
            )
        if position == max(wanted):
            break
    return [by_position[position] for position in positions]
