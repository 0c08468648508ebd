"""The interface between the trainer and an algorithm."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ars.common.errors import RunError, UsageError
from ars.common.settings import in_words
from ars.rollout.pool import Pool
from ars.rollout.task import RolloutSpec, Snapshot
from envs.objective import NOTHING_KNOWN, ObjectiveSpec
from policies import Normalizer, NormalizerRule, Policy, PolicySpec, RunningMeanStd
from policies.state import State

Row = dict[str, int | float]
Record = Mapping[str, NDArray[np.float64] | NDArray[np.int64]]

COUNTERS = ("iteration", "timesteps", "episodes")


@dataclass(frozen=True)
class TrainingContext:
    """What an algorithm is given for a run, besides its own settings.

    Attributes:
        env_id: as for `envs.make`.
        observation_space: the environment's.
        action_space: the environment's.
        env_kwargs: for `envs.make`.
        seed: of everything random in the run.
        on_nonfinite: what to do on a NaN or infinite number, "stop" or "exclude".
        notify: shows the user a line.
        device: where networks learn, "auto", "cpu" or "cuda".
        env_processes: processes that share the training environments, if the algorithm steps its
            own; 0: this process.
        objective: what is known of the environment's reward.
        obs_dtype: a type that observations fit, if that of their space is none.
        only_one_env: whether the environment of training must be closed to have another one.
        opened: closes what an algorithm has opened, also one that cannot be made to the end.
    """

    env_id: str
    observation_space: Any
    action_space: Any
    env_kwargs: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    on_nonfinite: str = "stop"
    notify: Callable[[str], None] = print
    device: str = "auto"
    env_processes: int = 0
    objective: ObjectiveSpec = NOTHING_KNOWN
    obs_dtype: str | None = None
    only_one_env: bool = False
    opened: ExitStack = field(default_factory=ExitStack, init=False, repr=False, compare=False)
    _notified: set[str] = field(default_factory=set, init=False, repr=False)

    def notify_once(self, event: str, iteration: int) -> None:
        """Show the user an event and its iteration, but only the first time that it happens."""
        if event not in self._notified:
            self._notified.add(event)
            self.notify(f"iteration {iteration}: {event} (said once)")


class Algorithm(ABC):
    """Learns one iteration at a time; knows nothing of files, displays or stopping.

    A subclass's module must not import torch; its constructor may.

    Attributes:
        Config: the dataclass of its settings, an `EpisodeConfig`, from which the flags are made.
            An optional class attribute `retired` of it maps each removed setting to the value at
            which it had no effect, so that runs which stored that value can be resumed.
        plays: the episodes that training's returns are of, in words for the user; empty where none
            are played.
        trains_in_pool: whether training's rollouts run in the pool, so that workers help, and
            nothing changes until they are collected. Otherwise only evaluations run there, and a
            run that fails in the middle of an iteration goes on from the last checkpoint.
        learns_table: whether it learns a value for each state and action, so that both must be
            countable: Discrete observations and actions.
        latest_is_best: whether it comes nearer to an exact solution with every iteration, so that
            the latest policy is kept as the best, whatever luck its evaluation's episodes had.
        config: its settings.
        context: of the run.
        policy: what is being learned.
        iteration: how many are done.
        timesteps: environment steps taken in training.
        episodes: ended in training.

    Raises:
        UsageError: the settings do not suit the environment.
        UnsupportedSpace: no policy supports the environment's spaces.
    """

    Config: ClassVar[type[Any]]
    plays: ClassVar[str] = "the episodes played in training"
    trains_in_pool: ClassVar[bool] = True
    learns_table: ClassVar[bool] = False
    latest_is_best: ClassVar[bool] = False

    config: Any
    context: TrainingContext
    policy: Policy
    iteration: int = 0
    timesteps: int = 0
    episodes: int = 0

    @abstractmethod
    def __init__(self, config: Any, context: TrainingContext) -> None: ...

    @property
    def rollout_spec(self) -> RolloutSpec:
        """What a pool's workers are built from."""
        return RolloutSpec(
            self.context.env_id,
            self.policy.spec,
            dict(self.context.env_kwargs),
            self.context.seed,
            rollout_length=self.config.most_steps,
            eval_length=self.config.eval_length,
            objective=self.context.objective,
        )

    @property
    def policy_metadata(self) -> dict[str, Any]:
        """What policy files say about training, besides the algorithm's and the preset's name."""
        return {}

    @abstractmethod
    def snapshot(self) -> Snapshot:
        """The current weights and frozen normaliser, to evaluate or save."""

    @abstractmethod
    def iterate(self, pool: Pool) -> Row:
        """Learn for one iteration; returns its row for progress.csv.

        Raises:
            RunError: learning cannot go on.
            RolloutError: a rollout failed.
        """

    @abstractmethod
    def start_from(self, policy: Policy) -> None:
        """Begin with a trained policy's weights and statistics. Raises: UsageError."""

    @abstractmethod
    def state(self) -> State:
        """Everything that `restore` needs; a subclass adds its own to the counters."""
        return State(values={name: getattr(self, name) for name in COUNTERS})

    @abstractmethod
    def restore(self, state: State) -> None:
        """Restore a `state`. Raises: ValueError naming the array or value that is invalid."""
        self.iteration, self.timesteps = state.count("iteration"), state.count("timesteps")
        # An episode has at least a step.
        self.episodes = state.count("episodes", at_most=self.timesteps)

    @property
    def converged(self) -> str | None:
        """Why an iteration more would change nothing, which ends the run; None while one would."""
        return None

    def tape_record(self) -> Record | None:
        """What the tape keeps of the last iteration: float64 or int64 arrays under names.

        Of the same shapes every time, before the first iteration as well. None, as it is unless an
        algorithm defines it, for those that have no tape.
        """
        return None

    def replay(self, record: Record) -> Row:
        """Do an iteration again from its record instead of its rollouts.

        Afterwards `state()` is what it was after that iteration, bit for bit. Returns those columns
        of its row that follow from the record. Raises: ValueError where there is no such iteration.
        """
        raise NotImplementedError(f"{type(self).__name__} has no tape")

    def adopt(self, record: Record) -> None:  # noqa: B027  # most have nothing that may change
        """Take over the settings that may change on resume, before an iteration is played again."""

    def environments_lent(self) -> AbstractContextManager[None]:
        """Close environments of its own for the block, where only one may exist."""
        return nullcontext()

    def close(self) -> None:  # noqa: B027  # most have nothing to close
        """Close environments and processes of its own; safe to call twice."""


def check_same_network(ours: PolicySpec, theirs: PolicySpec, names: Sequence[str]) -> None:
    """Raises: UsageError if a policy to start from differs in one of the attributes `names`."""
    for name in names:
        if name == "activation" and not ours.hidden_sizes:
            continue  # a linear policy has none
        wanted, given = getattr(ours, name), getattr(theirs, name)
        if wanted != given:
            if name == "layer_sizes":
                theirs_in_words, ours_in_words = (
                    " into ".join(map(str, sizes)) for sizes in (given, wanted)
                )
                raise UsageError(
                    f"`init_from`: its policy turns {theirs_in_words} numbers, this run's "
                    f"{ours_in_words}"
                )
            raise UsageError(f"`init_from`: its policy has {name} {given}, this run's {wanted}")


def tell_of_other_rule(
    given: Normalizer | None, ours: NormalizerRule, notify: Callable[[str], None]
) -> None:
    """Tell where a policy to start from normalises observations in another way than this run."""
    if given is None:
        return
    names = ("var_floor", "min_std", "clip")  # ddof makes no difference to speak of
    pairs = [(name, getattr(given.rule, name), getattr(ours, name)) for name in names]
    if differs := [f"{name} {in_words(a)}, here {in_words(b)}" for name, a, b in pairs if a != b]:
        notify(
            f"`init_from`: its policy normalises observations with {'; '.join(differs)}: the run "
            "begins with another one"
        )


def check_finite(statistics: RunningMeanStd, iteration: int) -> None:
    """Raises: RunError if the mean of the observations has overflowed in this iteration."""
    if not np.isfinite(statistics.mean).all():
        raise RunError(
            f"iteration {iteration}: the mean of the observations is too large for a float"
        )


def statistics_behind(normalizer: Normalizer | None) -> RunningMeanStd | None:
    """The statistics that a normaliser was frozen from; None if it has too few observations."""
    if normalizer is None or normalizer.count <= normalizer.rule.ddof:
        return None
    m2 = normalizer.var * (normalizer.count - normalizer.rule.ddof)
    return RunningMeanStd(normalizer.mean.copy(), m2, normalizer.count)
