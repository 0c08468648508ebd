"""Actor-critic methods: the policy learns from a critic's estimates of values.

A segment of steps is played and learned from, again and again:

    w     <- w - beta d/dw (critic - G)^2                  the critic, towards the returns G
    theta <- theta + alpha A d/dtheta log pi(a|s)          the actor

`update` says what a segment is. `step`: one step (one-step actor-critic; Sutton and Barto, 2018,
section 13.5). `episode`: a whole episode, when it has ended. `n-step`: some steps of several
environments side by side (A2C, the synchronous form of A3C; Mnih et al., 2016, arXiv 1602.01783,
Algorithm S3).

`critic` says what the critic estimates. `v`, the value of a state: A is the advantage G - V(s)
(advantage actor-critic). `q`, the value of every action: A is Q(s, a) itself (Q actor-critic, by
the policy gradient theorem; Sutton et al., 2000, Theorem 1), and a state's value is the mean of Q
over the policy's actions (Expected Sarsa; van Seijen et al., 2009).

Actor and critic may have different step sizes (`critic_learning_rate`), as in the book. The factor
gamma^t of a step in its episode is left out, as is usual.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ars.algorithms.base import Row, TrainingContext
from ars.algorithms.on_policy import Floats, OnPolicyAlgorithm, OnPolicyConfig, Segment, averages
from ars.common.errors import UsageError
from ars.common.settings import LARGE, LARGEST_STEP, setting
from ars.experience.episodes import Trajectory
from ars.experience.vector_env import Step
from envs.shaping import GOAL_DISTANCES, goal_distance
from policies import DiscreteSpec, space_spec
from policies.state import State

if TYPE_CHECKING:
    from torch import Tensor

UPDATES = ("step", "episode", "n-step")
METRICS = ("policy_loss", "value_loss", "entropy", "grad_norm")


@dataclass(frozen=True)
class ActorCriticConfig(OnPolicyConfig):
    """Settings of actor-critic. An iteration is n_envs * iteration_steps environment steps."""

    update: str = setting("step", "experience that an update learns from", choices=UPDATES)
    n_steps: int | None = setting(
        None,
        "steps of each environment between two updates (n-step: 5)",
        at_least=1,
        at_most=LARGE,
        requires={"update": ("n-step",)},
    )
    iteration_steps: int = setting(
        500, "steps of each environment in an iteration, which holds many updates", at_least=1
    )
    critic: str = setting(
        "v", "what the critic estimates: values of states (v) or of actions (q)", choices=("v", "q")
    )
    gae_lambda: float = setting(
        1.0,
        "decay of the terms of the advantage estimate (lambda); 1: returns of full length",
        at_least=0,
        at_most=1,
        requires={"critic": ("v",)},
    )
    normalize_advantages: bool = setting(
        False,
        "scale the advantages of an update to mean 0 and deviation 1",
        requires={"critic": ("v",)},
    )
    value_coef: float = setting(0.5, "weight of the critic's loss", at_least=0)
    critic_learning_rate: float | None = setting(
        None,
        "step size of the parameters of the critic alone (default: `learning_rate`)",
        above=0,
        at_most=LARGEST_STEP,
    )
    distance_penalty: float = setting(
        0.0, "subtracted from each reward while training, per unit of distance to the goal"
    )
    time_penalty: float = setting(0.0, "subtracted from each reward while training")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.iteration_steps % self.segment_length:
            raise UsageError(
                f"`iteration_steps` {self.iteration_steps}: must be a multiple of `n_steps` "
                f"{self.segment_length}"
            )
        if self.normalize_advantages and self.update == "step" and self.n_envs == 1:
            raise UsageError(
                "`normalize_advantages`: has no meaning where an update is of one step"
            )

    @property
    def idle(self) -> dict[str, str]:
        """The settings that decide nothing beside the others, each with the reason."""
        return {"gae_lambda": "where an update is of one step"} if self.update == "step" else {}

    @property
    def segment_length(self) -> int:
        """Steps of each environment in a segment."""
        return (self.n_steps or 5) if self.update == "n-step" else 1


@dataclass(frozen=True)
class A2CConfig(ActorCriticConfig):
    """Settings of A2C. An iteration is n_envs * iteration_steps environment steps.

    The defaults are those of Stable-Baselines3, after OpenAI's baselines.
    """

    n_envs: int = setting(8, "environments stepped together", at_least=1, at_most=LARGE)
    update: str = setting("n-step", "experience that an update learns from", choices=UPDATES)
    optimizer: str = setting("rmsprop", "rule of the gradient step", choices=("adam", "rmsprop"))
    learning_rate: float = setting(
        7e-4, "step size of the optimiser", above=0, at_most=LARGEST_STEP
    )


class ActorCritic(OnPolicyAlgorithm):
    """Actor-critic methods; the update is `_update`."""

    Config: ClassVar[type[ActorCriticConfig]] = ActorCriticConfig

    def __init__(self, config: ActorCriticConfig, context: TrainingContext) -> None:
        by_action = config.critic == "q"
        if by_action and not isinstance(space_spec(context.action_space, "action"), DiscreteSpec):
            raise UsageError(
                "`critic` q: values each action of a Discrete space, and this one is a Box; use v"
            )
        self._goal_distance = goal_distance(context.env_id)
        if config.distance_penalty and self._goal_distance is None:
            raise UsageError(
                f"`distance_penalty` {config.distance_penalty}: no goal of {context.env_id} is "
                f"known; there is one in {', '.join(GOAL_DISTANCES)}"
            )
        super().__init__(config, context, action_values=by_action)
        self.config: ActorCriticConfig = config
        if config.critic_learning_rate is not None:
            factor = config.critic_learning_rate / config.learning_rate
            if not factor <= LARGEST_STEP:
                raise UsageError(
                    f"`critic_learning_rate` {config.critic_learning_rate}: too many times "
                    f"`learning_rate` {config.learning_rate}"
                )
            self.optimizer.scale_last(self.network.n_critic, factor)
        self._episodes = self._episode_buffer()

    def _iterate(self) -> Row:
        rate, metrics = self._set_learning_rate(), []
        for _ in range(self.config.iteration_steps // self.config.segment_length):
            metrics += [self._update(segment) for segment in self._segments()]
        return {**averages(METRICS, metrics), "learning_rate": rate}

    def _segments(self) -> Iterator[Segment]:
        """Play on; yields a segment of every environment, or the episodes that ended."""
        if self.config.update != "episode":
            yield self._play(self.config.segment_length)
            return
        self._play_into(self._episodes)
        while self._episodes.finished:
            yield self._segment_of(self._episodes.finished.pop(0))

    def _update(self, segment: Segment) -> tuple[Tensor, ...]:
        """One step of actor and critic along the gradient of a segment; returns METRICS."""
        from ars.learning.losses import entropy_bonus, policy_gradient_loss, squared_loss

        config = self.config
        # 1. Returns: the segment's rewards, then the critic's value. GAE averages over lengths.
        advantages = self._advantages(segment, config.gae_lambda)
        inputs, actions, weights, returns = self._flat(
            segment.inputs, segment.actions, advantages, advantages + segment.values
        )
        pi, values = self._forward(inputs)
        # 2. The weight of each action: its advantage, or its value.
        if config.critic == "q":
            if self._action_values:
                values = values.gather(1, actions.unsqueeze(1)).squeeze(1)
            weights = values
        elif config.normalize_advantages and len(weights) > 1:
            weights = (weights - weights.mean()) / (weights.std() + 1e-8)
        # 3. Both losses, and the entropy bonus.
        policy_loss = policy_gradient_loss(pi.log_prob(actions), weights)
        value_loss = squared_loss(values, returns)
        entropy = entropy_bonus(pi.entropy)
        metrics = policy_loss.value(), value_loss.value(), entropy.value()
        # 4. The step.
        loss = policy_loss + config.value_coef * value_loss - config.entropy_coef * entropy
        norm = self._descend(pi, actions, loss)
        return *metrics, norm

    def _segment_of(self, episode: Trajectory) -> Segment:
        """An episode as a segment of one environment, with the critic's current values."""
        states = np.concatenate([episode.inputs, episode.final_input[None]])
        outputs, values = self._estimate(states)
        ended = np.arange(len(episode)) == len(episode) - 1
        columns: tuple[NDArray[Any], ...] = (
            episode.inputs,
            episode.actions,
            outputs[:-1],
            values[:-1],
            values[1:],
            episode.rewards.astype(np.float32),
            ended & episode.terminated,
            ended,
        )
        return Segment(*(column[:, None] for column in columns))

    def _estimate(self, inputs: NDArray[Any]) -> tuple[Floats, Floats]:
        """If the critic values actions, a state's value is the mean over the policy's actions."""
        outputs, values = self.inference(inputs)
        if self._action_values:
            values = (_softmax(outputs) * values).sum(axis=1)
        return outputs, values

    def _values(self, inputs: NDArray[Any]) -> Floats:
        return self._estimate(inputs)[1] if self._action_values else self.inference.values(inputs)

    def _rewards(self, step: Step) -> NDArray[np.float64]:
        """The rewards less the penalties, which are scaled like the rewards."""
        config, rewards = self.config, super()._rewards(step)
        if config.distance_penalty and self._goal_distance is not None:
            distances = self._goal_distance(step.final_obs)
            rewards = rewards - config.reward_scale * config.distance_penalty * distances
        return rewards - config.reward_scale * config.time_penalty

    def _drop_episodes(self, which: list[int]) -> None:
        super()._drop_episodes(which)
        self._episodes.drop(which)

    def state(self) -> State:
        """Also the episodes in progress."""
        state = super().state()
        if self.config.update == "episode":
            state.add("trajectories", self._episodes)
        return state

    def restore(self, state: State) -> None:
        """Restore a `state`. Raises: ValueError."""
        super().restore(state)
        if self.config.update == "episode":
            state.restore("trajectories", self._episodes)


class A2C(ActorCritic):
    """Advantage actor-critic on n-step returns of several environments."""

    Config = A2CConfig


def _softmax(outputs: Floats) -> Floats:
    weights = np.exp(outputs - outputs.max(axis=1, keepdims=True))
    probabilities: Floats = weights / weights.sum(axis=1, keepdims=True)
    return probabilities
