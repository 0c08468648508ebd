"""What the deep algorithms share: environments, network, optimiser, schedules, checkpoints.

What remains for each is a Config, a network, and `_iterate` with the steps of its paper.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ars.algorithms.base import (
    Algorithm,
    Row,
    TrainingContext,
    check_finite,
    check_same_network,
    statistics_behind,
    tell_of_other_rule,
)
from ars.algorithms.episode_length import EpisodeConfig
from ars.algorithms.objective import WeightSchedule
from ars.algorithms.policy_kinds import (
    DEEP_POLICIES,
    deep_policy_for,
    defaults_in_words,
    make_deep_policy,
)
from ars.algorithms.schedules import Scheduled, horizon_setting, schedule_setting
from ars.common.errors import RunError, UsageError
from ars.common.host import take_back_files
from ars.common.interrupts import waiting
from ars.common.seeding import Stream, generator
from ars.common.settings import LARGE, LARGEST_STEP, in_words, setting
from ars.experience.recent import RecentEpisodes
from ars.experience.vector_env import Step, VectorEnv
from ars.rollout.pool import Pool
from ars.rollout.task import Snapshot
from policies import (
    ACTIVATIONS,
    POLICIES,
    DiscreteSpec,
    FiniteSpec,
    Normalizer,
    NormalizerRule,
    Policy,
    RunningMeanStd,
)
from policies.state import State

if TYPE_CHECKING:
    import torch

    from ars.learning.optimizers import Optimizer

INITIALIZATIONS = ("orthogonal", "xavier", "he", "uniform")
# Normalised observations are clipped as in OpenAI's baselines (VecNormalize).
OBSERVATION_RULE = NormalizerRule(ddof=0, clip=10.0)


@dataclass(frozen=True)
class DeepConfig(EpisodeConfig):
    """Settings of every deep algorithm."""

    n_envs: int = setting(1, "environments stepped together", at_least=1, at_most=LARGE)
    policy: str = setting(
        "auto",
        f"kind of policy; auto: {deep_policy_for(images=True)} for images, else "
        f"{deep_policy_for(images=False)}",
        choices=("auto", *DEEP_POLICIES),
    )
    hidden_sizes: tuple[int, ...] = setting(
        (),
        f"units of each hidden layer ({defaults_in_words('hidden_sizes', DEEP_POLICIES)})",
        at_least=1,
        at_most=LARGE,
    )
    conv_layers: tuple[int, ...] = setting(
        (),
        "filters, kernel and stride of each convolution "
        f"({defaults_in_words('conv_layers', DEEP_POLICIES)})",
        at_least=1,
        at_most=LARGE,
        requires={"policy": ("auto", *(k for k in DEEP_POLICIES if POLICIES[k].reads_images))},
    )
    activation: str | None = setting(
        None,
        f"hidden activation ({defaults_in_words('activation', DEEP_POLICIES)})",
        choices=[*ACTIVATIONS],
    )
    initialization: str = setting(
        "orthogonal", "how initial weights are drawn", choices=INITIALIZATIONS
    )
    learning_rate: float = setting(
        3e-4, "step size of the optimiser", above=0, at_most=LARGEST_STEP
    )
    learning_rate_schedule: str = schedule_setting()
    gamma: float = setting(0.99, "discount factor", at_least=0, at_most=1)
    max_grad_norm: float | None = setting(
        0.5, "bound on the gradient's Euclidean norm; 0 for none", at_least=0
    )
    reward_clip: float | None = setting(
        None, "bound on each step's absolute reward while training", above=0
    )
    reward_scale: float = setting(1.0, "factor of each reward while training", above=0)
    cut_returns: bool = setting(
        True, "end returns where a life is lost in an Atari game, or a point played in Pong"
    )
    horizon: int | None = horizon_setting()

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.conv_layers) % 3:
            raise UsageError(
                f"`conv_layers` {in_words(self.conv_layers)}: must be three numbers a layer, its "
                "filters, kernel and stride"
            )


class DeepAlgorithm(Scheduled, Algorithm):
    """Learns by gradients from environments of its own; the pool is for evaluations.

    A subclass's `__init__` makes its network and passes it to `_learn_with`; its `_iterate` learns
    from a fixed number of steps, counts `timesteps` and returns the algorithm's own metrics.
    `distribution`: whether the policy draws its actions.
    """

    trains_in_pool: ClassVar[bool] = False

    def __init__(self, config: Any, context: TrainingContext, distribution: bool) -> None:
        from ars.learning.device import prepare_device

        self.config, self.context = config, context
        self.policy = make_deep_policy(config, context, distribution)
        observation = self.policy.spec.observation
        self._finite = observation if isinstance(observation, FiniteSpec) else None
        images = bool(self.policy.spec.conv_layers)
        self.device = prepare_device(context.device, images, context.opened)
        self.rng = generator(context.seed, Stream.ACTIONS)
        self.statistics: RunningMeanStd | None = None
        self._normalizer: Normalizer | None = None  # of the iteration in progress
        self._recent = RecentEpisodes(context.objective)
        self._reward_weights = WeightSchedule(config, context.env_id, context.objective)
        self.environments = VectorEnv(
            context.env_id,
            context.env_kwargs,
            config.n_envs,
            context.seed,
            config.most_steps,
            context.env_processes,
            context.notify,
            objective=context.objective,
            weighs=self._reward_weights.used,
            end_when_down=config.end_when_down,
            obs_dtype=observation.dtype,
        )
        context.opened.callback(self.environments.close)

    # Network and optimiser

    def initial_weights_rng(self) -> np.random.Generator:
        """The generator of the initial weights."""
        return generator(self.context.seed, Stream.INITIAL_WEIGHTS)

    def _learn_with(
        self, network: torch.nn.Module, optimizer: str = "adam", eps: float = 1e-5
    ) -> None:
        """Move the network to the device, its parameters into one vector; make its optimiser."""
        from ars.learning.optimizers import Adam, RMSprop
        from policies.parameters import FlatParameters

        self.parameters = FlatParameters(network.to(self.device))
        kind = {"adam": Adam, "rmsprop": RMSprop}[optimizer]
        self.optimizer: Optimizer = kind(self.parameters, self.config.learning_rate, eps)

    def _take_step(self) -> torch.Tensor:
        """Clip the gradient and take an optimiser step; returns the norm before clipping."""
        norm = self.parameters.clip_grad(self.config.max_grad_norm or None)
        self.optimizer.step()
        return norm

    # Schedules

    def _set_learning_rate(self) -> float:
        """Give the optimiser the scheduled learning rate; returns it."""
        rate = self._scheduled("learning_rate")
        self.optimizer.learning_rate = rate
        return rate

    # Observations and actions

    def _inputs(self, obs: NDArray[Any]) -> NDArray[Any]:
        """Observations [n, *shape] as the network takes them.

        Images stay bytes; vectors become float32 [n, obs_dim], normalised with the statistics at
        the iteration's start, if there are any.
        """
        if self.policy.spec.conv_layers:
            return obs
        x = self._vectors(obs)
        if self._normalizer is not None:
            x = self._normalizer(x)
        return x.astype(np.float32, copy=False)

    def _vectors(self, obs: NDArray[Any]) -> NDArray[Any]:
        """Observations [n, *shape] as vectors [n, obs_dim]; of a state, that of its number."""
        return obs.reshape(len(obs), -1) if self._finite is None else self._finite.one_hots(obs)

    def _rewards(self, step: Step) -> NDArray[np.float64]:
        """A step's rewards to learn from: [n]."""
        bound = self.config.reward_clip
        rewards = step.rewards if bound is None else step.rewards.clip(-bound, bound)
        scaled: NDArray[np.float64] = self.config.reward_scale * rewards
        return scaled

    def _terminated(self, step: Step) -> NDArray[np.bool_]:
        """Where returns end after a step, without bootstrapping: [n]."""
        cut = step.cut if self.config.cut_returns else None
        return step.terminated if cut is None else step.terminated | cut

    def _env_actions(self, actions: NDArray[Any]) -> NDArray[Any]:
        """The network's actions ([n] from 0, or [n, n_out]) as environments take them."""
        action = self.policy.spec.action
        if isinstance(action, DiscreteSpec):
            return actions + action.start if action.start else actions
        if not np.isfinite(actions).all():  # checked here, so that no environment is blamed
            raise self._diverged()
        return self.policy.box_actions(actions)

    def _diverged(self) -> RunError:
        return RunError(
            f"iteration {self.iteration + 1}: the network's weights are no longer finite; a lower "
            "`learning_rate` or `max_grad_norm` may help"
        )

    # The interface to the trainer

    def snapshot(self) -> Snapshot:
        weights = self.parameters.numpy()[: self.policy.spec.n_weights].astype(np.float64)
        return Snapshot(weights, self._frozen())

    def _frozen(self) -> Normalizer | None:
        return None if self.statistics is None else self.statistics.freeze(OBSERVATION_RULE)

    def iterate(self, pool: Pool) -> Row:
        """Learn from a fixed number of steps of the environments; the pool is not used.

        The row's returns and lengths are those of the last 100 episodes that ended.
        """
        if self.iteration == 0:
            with waiting():  # for processes that start: there is nothing to complete yet
                self.environments.reset()
        self._drop_lost_episodes()
        self.environments.weigh_by(self._reward_weights.at(self.timesteps))
        self._normalizer = self._frozen()
        # A network that diverges in the middle of an iteration is reported below.
        with np.errstate(over="ignore", invalid="ignore"):
            metrics = self._iterate()
        take_back_files()
        if not math.isfinite(float(self.parameters.data.detach().sum())):
            raise self._diverged()
        if self.statistics is not None:
            check_finite(self.statistics, self.iteration + 1)
        self.iteration += 1
        finished = self.environments.finished
        self.episodes += len(finished)
        self._recent.add(finished)
        finished.clear()
        return {
            **self._recent.returns(),
            **metrics,
            **self._recent.objective(),
        }

    def _drop_lost_episodes(self) -> None:
        """Forget the episodes that evaluations have cut off, as `VectorEnv.lent` may."""
        if self.environments.begun_anew:
            self._drop_episodes(self.environments.begun_anew)
            self.environments.begun_anew.clear()

    def _drop_episodes(self, which: list[int]) -> None:  # most have nothing of them
        """Forget the episodes in progress of environments whose next ones have begun instead."""

    @abstractmethod
    def _iterate(self) -> Row:
        """Learn for one iteration; returns the algorithm's own metrics, the same every time."""

    def start_from(self, policy: Policy) -> None:
        given_spec, spec = policy.spec, self.policy.spec
        shapes = given_spec.observation.shape, spec.observation.shape
        names = ("kind", "conv_layers", "layer_sizes", "activation", "bias", "scale_actions")
        if shapes[0] != shapes[1]:
            raise UsageError(
                f"`init_from`: its policy sees observations of shape {shapes[0]}, this run "
                f"{shapes[1]}"
            )
        check_same_network(spec, given_spec, names)
        given = policy.normalizer
        if (given is None) != (self.statistics is None):
            raise UsageError(
                f"`init_from`: its policy acts on {'raw' if given is None else 'normalised'} "
                f"observations, this run's on {'raw' if self.statistics is None else 'normalised'}"
            )
        tell_of_other_rule(given, OBSERVATION_RULE, self.context.notify)
        # A policy without a distribution lacks the log deviations after the network's weights.
        same = given_spec.distribution == spec.distribution
        self.parameters.load(policy.weights if same else policy.network_weights)
        self.statistics = statistics_behind(given) or self.statistics

    def state(self) -> State:
        """Counters, network, optimiser, random numbers, environments and the latest episodes."""
        self._drop_lost_episodes()  # a subclass adds the others to what this returns
        state = super().state()
        state.arrays["parameters"] = self.parameters.numpy()
        state.add("optimizer", self.optimizer, steps="optimizer_steps")
        state.values["rng"] = self.rng.bit_generator.state
        if self.iteration > 0:
            state.add("environments", self.environments)
        state.add("recent", self._recent)
        if self.statistics is not None:
            state.add("statistics", self.statistics, count="observations")
        return state

    def restore(self, state: State) -> None:
        """Restore a `state`. Raises: ValueError."""
        super().restore(state)
        shape = self.parameters.numpy().shape
        self.parameters.load(state.array("parameters", shape, np.float32))
        state.restore("optimizer", self.optimizer, steps="optimizer_steps")
        state.restore_generator("rng", self.rng)
        state.restore("recent", self._recent)
        if self.statistics is not None:
            state.restore("statistics", self.statistics, count="observations")
        if self.iteration > 0:
            self._check_actions(state.nested("environments"))
            state.restore("environments", self.environments)

    def _check_actions(self, environments: State) -> None:
        """Raises: ValueError if the stored actions are not of our space."""
        action = self.policy.spec.action
        if not environments.counts("lengths", None).any():  # without any step they have no shape
            return
        if isinstance(action, DiscreteSpec):
            last = action.start + action.n - 1
            environments.array("actions", (None,), np.int64, action.start, last)
        else:
            actions = environments.array("actions", (None, *action.shape), action.dtype)
            if self.policy.spec.clip_actions and not action.contains(actions):
                raise environments.error("actions", "not all are within the bounds of their space")

    def environments_lent(self) -> AbstractContextManager[None]:
        return self.environments.lent()

    def close(self) -> None:
        self.context.opened.close()
