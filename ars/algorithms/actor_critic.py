"""Actor-critic methods: the policy learns from what a critic says of its actions.

A stretch of steps is played and learned from, over and over:

    w     <- down the slope of (critic - G)^2          the critic, towards the returns G
    theta <- up the slope of log pi(a|s) critique      the actor

`update` says what a stretch is. `step`: one step (one-step actor-critic; Sutton and Barto, 2018,
section 13.5). `episode`: a whole episode, when it has ended. `n-step`: some steps of several
environments side by side (A2C, the synchronous form of A3C; Mnih et al., 2016, arXiv 1602.01783,
Algorithm S3).

`critic` says what the critic knows. `v`, the value of a state: the critique is the advantage
G - V(s) (advantage actor-critic). `q`, the value of every action: the critique is Q(s, a) itself (Q
actor-critic, by the policy gradient theorem; Sutton et al., 2000, Theorem 1), and a state is worth
the mean of Q over the policy's actions (Expected Sarsa; van Seijen et al., 2009).

Both may have step sizes of their own (`critic_learning_rate`), as the two have in the book. The
factor gamma^t of a step in its episode is left out, as it usually is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ars.algorithms.base import Row, TrainingContext
from ars.algorithms.on_policy import Floats, OnPolicyAlgorithm, OnPolicyConfig, Steps, averages
from ars.common.errors import UsageError
from ars.common.settings import LARGE, setting
from ars.experience.episodes import Trajectory
from ars.experience.vector_env import Step
from ars.presets.actor_critic import A2C_PRESETS, ACTOR_CRITIC_PRESETS
from policies import DiscreteSpec, space_spec
from policies.state import State

if TYPE_CHECKING:
    from torch import Tensor

UPDATES = ("step", "episode", "n-step")
METRICS = ("policy_loss", "value_loss", "entropy", "grad_norm")


@dataclass(frozen=True)
class ActorCriticConfig(OnPolicyConfig):
    """Settings of actor-critic. An iteration is n_envs * iteration_steps environment steps."""

    update: str = setting("step", "what is played between two updates", choices=UPDATES)
    n_steps: int | None = setting(
        None, "steps of each environment between two updates (n-step: 5)", at_least=1, at_most=LARGE
    )
    iteration_steps: int = setting(
        500, "steps of each environment in an iteration, of many updates", at_least=1
    )
    critic: str = setting("v", "what the critic values: states or actions", choices=("v", "q"))
    gae_lambda: float = setting(
        1.0, "decay of the advantage estimate's terms; 1: returns as long as there are", at_least=0
    )
    normalize_advantages: bool = setting(False, "advantages of mean 0 and deviation 1 an update")
    value_coef: float = setting(0.5, "weight of the critic's loss", at_least=0)
    critic_learning_rate: float | None = setting(
        None, "step size for what is the critic's alone (default: learning_rate)", above=0
    )
    distance_penalty: float = setting(
        0.0, "subtracted from each reward while training, times LunarLander's distance to its pad"
    )
    time_penalty: float = setting(0.0, "subtracted from each reward while training")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.gae_lambda > 1:
            raise UsageError(f"`gae_lambda` {self.gae_lambda}: must be at most 1")
        if self.n_steps is not None and self.update != "n-step":
            raise UsageError(
                f"`n_steps` {self.n_steps}: has no meaning with `update` {self.update}, only with "
                "n-step"
            )
        if self.iteration_steps % self.stretch:
            raise UsageError(
                f"`iteration_steps` {self.iteration_steps}: must be a multiple of `n_steps` "
                f"{self.stretch}"
            )
        if self.normalize_advantages and self.update == "step" and self.n_envs == 1:
            raise UsageError(
                "`normalize_advantages`: has no meaning where an update is of one step"
            )
        if self.critic == "q" and (self.gae_lambda != 1 or self.normalize_advantages):
            name = "gae_lambda" if self.gae_lambda != 1 else "normalize_advantages"
            raise UsageError(f"`{name}`: has no meaning with `critic` q, which has no advantages")

    @property
    def stretch(self) -> int:
        """Steps of each environment that are played at once."""
        return (self.n_steps or 5) if self.update == "n-step" else 1


@dataclass(frozen=True)
class A2CConfig(ActorCriticConfig):
    """Settings of A2C. An iteration is n_envs * iteration_steps environment steps.

    The defaults are those of Stable-Baselines3, after OpenAI's baselines.
    """

    n_envs: int = setting(8, "environments stepped together", at_least=1, at_most=LARGE)
    update: str = setting("n-step", "what is played between two updates", choices=UPDATES)
    optimizer: str = setting("rmsprop", "rule of the gradient step", choices=("adam", "rmsprop"))
    learning_rate: float = setting(7e-4, "step size of the optimiser", above=0)


class ActorCritic(OnPolicyAlgorithm):
    """See the module's text. The update is `_update`."""

    Config: ClassVar[type[ActorCriticConfig]] = ActorCriticConfig
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = ACTOR_CRITIC_PRESETS

    def __init__(self, config: ActorCriticConfig, context: TrainingContext) -> None:
        by_action = config.critic == "q"
        if by_action and not isinstance(space_spec(context.action_space, "action"), DiscreteSpec):
            raise UsageError(
                "`critic` q: values each action of a Discrete space, and this one is a Box; use v"
            )
        if config.distance_penalty and not _base_name(context.env_id).startswith("LunarLander"):
            raise UsageError(
                f"`distance_penalty` {config.distance_penalty}: is for LunarLander, whose "
                f"observations begin with its place; {context.env_id} has no pad"
            )
        super().__init__(config, context, action_values=by_action)
        self.config: ActorCriticConfig = config
        if config.critic_learning_rate is not None:
            factor = config.critic_learning_rate / config.learning_rate
            self.optimizer.scale_last(self.network.n_critic, factor)
        self._episodes = self._episode_buffer()

    def _iterate(self) -> Row:
        rate, metrics = self._set_learning_rate(), []
        for _ in range(self.config.iteration_steps // self.config.stretch):
            metrics += [self._update(steps) for steps in self._stretches()]
        return {**averages(METRICS, metrics), "learning_rate": rate}

    def _stretches(self) -> Iterator[Steps]:
        """What is played next: some steps, or the episodes that ended with one."""
        if self.config.update != "episode":
            yield self._play(self.config.stretch)
            return
        self._play_into(self._episodes)
        while self._episodes.finished:
            yield self._steps_of(self._episodes.finished.pop(0))

    def _update(self, steps: Steps) -> tuple[Tensor, ...]:
        """One step of both along the gradient of a stretch; returns METRICS."""
        import torch

        from ars.learning.losses import policy_gradient_loss, squared_gradient, squared_loss

        config = self.config
        # 1. Returns: the stretch's rewards, then what the critic expects. GAE mixes their lengths.
        advantages = self._advantages(steps, config.gae_lambda)
        inputs, actions, critique, returns = self._flat(
            steps.inputs, steps.actions, advantages, advantages + steps.values
        )
        with torch.no_grad():
            outputs, values = self.passes.forward(inputs)
            # 2. The critique: advantages, or the action's value.
            if config.critic == "q":
                all_values, values = values, values.gather(1, actions.unsqueeze(1)).squeeze(1)
                critique = values
            elif config.normalize_advantages and len(critique) > 1:
                critique = (critique - critique.mean()) / (critique.std() + 1e-8)
            # 3. Both losses' slopes, and that of the bonus for a policy that stays open.
            by_values = config.value_coef * squared_gradient(values, returns)
            if config.critic == "q":
                by_values = torch.zeros_like(all_values).scatter_(
                    1, actions.unsqueeze(1), by_values.unsqueeze(1)
                )
            metrics = (
                policy_gradient_loss(self._log_probs(outputs, actions), critique),
                squared_loss(values, returns),
                self._entropy(outputs),
            )
            # 4. The step.
            norm = self._descend(
                outputs,
                actions,
                by_log_prob=critique / -len(critique),
                by_values=by_values,
                by_entropy=-config.entropy_coef,
            )
        return *metrics, norm

    def _steps_of(self, episode: Trajectory) -> Steps:
        """An episode as the steps of one environment, valued as the critic does now."""
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
        return Steps(*(column[:, None] for column in columns))

    def _estimate(self, inputs: NDArray[Any]) -> tuple[Floats, Floats]:
        """See OnPolicyAlgorithm."""
        outputs, values = self.inference(inputs)
        if self.config.critic == "q":
            values = (_softmax(outputs) * values).sum(axis=1)
        return outputs, values

    def _values(self, inputs: NDArray[Any]) -> Floats:
        """See OnPolicyAlgorithm."""
        return (
            self._estimate(inputs)[1]
            if self.config.critic == "q"
            else self.inference.values(inputs)
        )

    def _rewards(self, step: Step) -> NDArray[np.float64]:
        """See OnPolicyAlgorithm: less the penalties, which are of the reward's own scale."""
        config, rewards = self.config, super()._rewards(step)
        if config.distance_penalty:
            distances = np.hypot(*step.final_obs[:, :2].T)
            rewards = rewards - config.reward_scale * config.distance_penalty * distances
        return rewards - config.reward_scale * config.time_penalty

    def state(self) -> State:
        """With the episodes under way."""
        state = super().state()
        if self.config.update == "episode":
            state.add("trajectories", self._episodes)
        return state

    def restore(self, state: State) -> None:
        """Take back a `state`. Raises: ValueError."""
        super().restore(state)
        if self.config.update == "episode":
            state.restore("trajectories", self._episodes)


class A2C(ActorCritic):
    """Advantage actor-critic on n-step returns of several environments."""

    Config = A2CConfig
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = A2C_PRESETS


def _base_name(env_id: str) -> str:
    """An id without the module that registers it."""
    return env_id.rpartition(":")[2]


def _softmax(outputs: Floats) -> Floats:
    weights = np.exp(outputs - outputs.max(axis=1, keepdims=True))
    shares: Floats = weights / weights.sum(axis=1, keepdims=True)
    return shares
