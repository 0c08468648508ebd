"""The trials of a search in the journal of its folder; all that is Optuna's is here.

What is suggested for a trial follows from the search's seed, the trial's number and the trials
before it, so that a search that was interrupted goes on as if it had not been.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ars.common.errors import RunError
from ars.search_spaces.base import Suggests
from policies import FileError

if TYPE_CHECKING:
    import optuna

JOURNAL = "trials.journal"
COMPLETE, PRUNED, FAILED, UNDER_WAY = "complete", "pruned", "failed", "under way"
STARTUP_TRIALS = 10  # are random; the search learns from then on
_KEEP = 3  # one of so many goes on, by halving
_FIRST_COMPARED = 5  # complete trials before the median is of any
_AMONG_THE_BEST = 5  # of so many an importance can be told
_SETTINGS, _BESTS, _REASON = "settings", "bests", "reason"  # names of what a trial has noted

Bests = dict[str, list[float]]
# The settings of a trial, from its number and what is suggested for it.
Space = Callable[[int, Suggests], dict[str, Any]]


class TrialRow(NamedTuple):
    """A trial as it is stored.

    Attributes:
        number: from 0 on.
        state: `complete`, `pruned`, `failed` or `under way`.
        value: of a complete trial, or the last one that a pruned one was compared with.
        point: how many times it was compared.
        suggested: values by the names that the search has for them.
        settings: of the training that follow from them.
        seconds: from its start to its end; None while it is under way.
        reason: why it failed.
    """

    number: int
    state: str
    value: float | None
    point: int
    suggested: Mapping[str, Any]
    settings: Mapping[str, Any]
    seconds: float | None
    reason: str | None


class StoredTrial:
    """A trial under way: what it tries, and what it has reached.

    Attributes:
        number: from 0 on.
        settings: of its training.
        bests: by seed the best evaluation until each point of comparison.
        point: at how many of them it was compared.
    """

    def __init__(self, trial: optuna.Trial, settings: dict[str, Any], bests: Bests) -> None:
        self._trial = trial
        self.number, self.settings, self.bests = trial.number, settings, bests
        self.point = 0

    def note(self) -> None:
        """Store the best evaluations."""
        self._trial.set_user_attr(_BESTS, self.bests)

    def is_hopeless(self, value: float) -> bool:
        """Store a value at the next point; returns whether the trial is to end there."""
        self.point += 1
        self._trial.report(value, self.point)
        return self._trial.should_prune()


class TrialStore:
    """The trials of a search.

    Args:
        folder: of the search, locked by the caller.
        seed: of what is suggested.
        pruner: one of `PRUNERS`.
        n_points: at which trials are compared.

    Raises:
        RunError: Optuna is not installed.
        FileError: the journal is damaged.
    """

    def __init__(self, folder: Path, seed: int, pruner: str, n_points: int) -> None:
        optuna = import_optuna()
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend

        self._optuna, self._seed = optuna, seed
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._path = folder / JOURNAL
        with self._reading():
            _cut_torn_end(self._path)
            lock: Any = _NoLock()
            storage = JournalStorage(JournalFileBackend(str(self._path), lock))
            self._study = optuna.create_study(
                storage=storage,
                sampler=self._sampler(0),
                pruner=_pruner(pruner, n_points),
                study_name="tune",
                direction="maximize",
                load_if_exists=True,
            )

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise RunError(f"{self._path}: cannot be written: {error.strerror}") from None
        except Exception as error:  # Optuna's reader raises what Python does at a wrong record
            raise FileError(f"{self._path}: damaged ({type(error).__name__}: {error})") from None

    def _sampler(self, number: int) -> optuna.samplers.BaseSampler:
        """Suggests the values of one trial: those of others are in the journal."""
        from optuna.samplers import TPESampler

        return TPESampler(n_startup_trials=STARTUP_TRIALS, seed=_seed_of_trial(self._seed, number))

    def ask(self, space: Space) -> StoredTrial:
        """A new trial with the settings that a space makes of what is suggested."""
        self._study.sampler = self._sampler(len(self._study.get_trials(deepcopy=False)))
        return self._begin(self._study.ask(), space)

    def unfinished(self, space: Space) -> list[StoredTrial]:
        """The trials under way when the search was interrupted."""
        found = []
        for frozen in self._study.get_trials(deepcopy=False):
            if frozen.state.is_finished():
                continue
            self._study.sampler = self._sampler(frozen.number)
            trial = self._optuna.Trial(self._study, frozen._trial_id)
            if _SETTINGS not in frozen.user_attrs:  # interrupted before all was suggested
                found.append(self._begin(trial, space))
                continue
            bests = {s: [*b] for s, b in frozen.user_attrs.get(_BESTS, {}).items()}
            stored = StoredTrial(trial, frozen.user_attrs[_SETTINGS], bests)
            stored.point = frozen.last_step or 0
            found.append(stored)
        return found

    def _begin(self, trial: optuna.Trial, space: Space) -> StoredTrial:
        settings = space(trial.number, trial)
        trial.set_user_attr(_SETTINGS, settings)
        return StoredTrial(trial, settings, {})

    def complete(self, trial: StoredTrial, value: float) -> None:
        """A trial has ended well."""
        self._study.tell(trial.number, value)

    def prune(self, trial: StoredTrial) -> None:
        """A trial was ended early."""
        self._study.tell(trial.number, state=self._optuna.trial.TrialState.PRUNED)

    def fail(self, trial: StoredTrial, reason: str) -> None:
        """A trial has failed."""
        trial._trial.set_user_attr(_REASON, reason)
        self._study.tell(trial.number, state=self._optuna.trial.TrialState.FAIL)

    def rows(self) -> list[TrialRow]:
        """All trials, in their order."""
        return [_row(frozen) for frozen in self._study.get_trials(deepcopy=False)]

    def importances(self) -> dict[str, float]:
        """How much each suggested value matters for being among the best; adds up to 1.

        By PED-ANOVA (Watanabe et al., 2023, arXiv 2304.10255) of the complete trials. Empty where
        there are too few to tell.
        """
        n = sum(row.state == COMPLETE and bool(row.suggested) for row in self.rows())
        if n < 2 * _AMONG_THE_BEST:
            return {}
        best = max(0.1, _AMONG_THE_BEST / n)  # as Optuna's documentation advises
        evaluator = self._optuna.importance.PedAnovaImportanceEvaluator(target_quantile=best)
        with warnings.catch_warnings(action="ignore"):  # where all trials are alike
            found = self._optuna.importance.get_param_importances(self._study, evaluator=evaluator)
        return dict(found)


def import_optuna() -> Any:
    """Optuna. Raises: RunError: it is not installed."""
    try:
        import optuna
    except ImportError as error:
        raise RunError(
            f"a search needs Optuna ({error}): pip install optuna (from a checkout: pip install "
            "-e '.[tune]')"
        ) from None
    return optuna


def _seed_of_trial(seed: int, number: int) -> int:
    import numpy as np

    return int(np.random.SeedSequence((seed, number)).generate_state(1)[0])


def _pruner(name: str, n_points: int) -> optuna.pruners.BasePruner:
    from optuna import pruners

    if name == "median":
        # The first fifth of a training says little of its end.
        return pruners.MedianPruner(_FIRST_COMPARED, n_warmup_steps=n_points // 5)
    if name == "halving":
        return pruners.SuccessiveHalvingPruner(
            min_resource=max(1, n_points // _KEEP**2), reduction_factor=_KEEP
        )
    return pruners.NopPruner()


class _NoLock:
    """Instead of Optuna's file: the folder has a lock, which a dead process cannot hold."""

    def acquire(self) -> bool:
        return True

    def release(self) -> None: ...


def _cut_torn_end(path: Path) -> None:
    """Cut off a last record that a killed process has not written to its end."""
    if not path.exists():
        return
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        with path.open("r+b") as file:
            file.truncate(whole)


def _row(frozen: optuna.trial.FrozenTrial) -> TrialRow:
    states = {"COMPLETE": COMPLETE, "PRUNED": PRUNED, "FAIL": FAILED}
    attributes = frozen.user_attrs
    return TrialRow(
        frozen.number,
        states.get(frozen.state.name, UNDER_WAY),
        frozen.value,
        frozen.last_step or 0,
        frozen.params,
        attributes.get(_SETTINGS, {}),
        None if frozen.duration is None else frozen.duration.total_seconds(),
        attributes.get(_REASON),
    )


def best_first(rows: Sequence[TrialRow]) -> list[TrialRow]:
    """The complete trials, the best one first; of equal ones the earlier."""
    complete = [row for row in rows if row.state == COMPLETE and row.value is not None]
    return sorted(complete, key=lambda row: -(row.value or 0.0))
