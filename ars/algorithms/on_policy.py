"""What on-policy algorithms share: an actor-critic network, experience and the gradient step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ars.algorithms.base import TrainingContext
from ars.algorithms.deep import DeepAlgorithm, DeepConfig
from ars.algorithms.policy_kinds import scale_actions_setting
from ars.common.errors import UsageError
from ars.common.settings import setting
from ars.experience.episodes import EpisodeBuffer
from ars.learning.returns import gae
from policies import DiscreteSpec, Policy, RunningMeanStd
from policies.distributions import Categorical, Gaussian, sample_categorical, sample_gaussian
from policies.state import State

if TYPE_CHECKING:
    from torch import Tensor

    from ars.learning.losses import Loss

REWARD_CLIP = 10.0  # of normalised rewards, as in OpenAI's baselines (VecNormalize)

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class OnPolicyConfig(DeepConfig):
    """Settings of every on-policy algorithm."""

    optimizer: str = setting("adam", "rule of the gradient step", choices=("adam", "rmsprop"))
    entropy_coef: float = setting(0.0, "weight of the entropy bonus", at_least=0)
    log_std_init: float = setting(
        0.0, "initial log standard deviation of Box actions", at_least=-20, at_most=20
    )
    log_std_restart: float | None = setting(
        None,
        "the same of a policy that `init_from` names (default: what it has learned)",
        at_least=-20,
        at_most=20,
    )
    scale_actions: bool = scale_actions_setting()
    normalize_observations: bool = setting(
        False, "scale observations to mean 0 and deviation 1, clipped to +-10 (vectors)"
    )
    normalize_rewards: bool = setting(
        False, "divide rewards by the deviation of discounted returns, clipped to +-10"
    )


@dataclass(frozen=True)
class Segment:
    """Some steps of n_envs parallel environments: arrays [n_steps, n_envs, ...].

    Attributes:
        inputs: observations as the network takes them.
        actions: as drawn, int64 from 0 or float32 [.., n_out].
        outputs: the network's, from which the actions were drawn.
        values: of the observation acted on.
        next_values: of the observation that the step led to (the last one of an ended episode).
        rewards: to learn from.
        terminated: reached a terminal state.
        ended: terminated or truncated.
    """

    inputs: NDArray[Any]
    actions: NDArray[Any]
    outputs: Floats
    values: Floats
    next_values: Floats
    rewards: Floats
    terminated: NDArray[np.bool_]
    ended: NDArray[np.bool_]


class OnPolicyAlgorithm(DeepAlgorithm):
    """An actor-critic network, `_play` to run it in the environments, `_descend` to improve it.

    `action_values`: whether the critic estimates every action's value instead of the state's.
    """

    plays = "the last 100 training episodes, their actions drawn at random from the policy"

    def __init__(self, config: Any, context: TrainingContext, action_values: bool = False) -> None:
        super().__init__(config, context, distribution=True)
        from ars.learning.backprop import make_backprop
        from ars.learning.inference import ActorCriticInference
        from ars.learning.initialization import initialize_actor_critic
        from policies.networks import ActorCriticNetwork

        spec = self.policy.spec
        self.discrete = isinstance(spec.action, DiscreteSpec)
        self._action_values = action_values and spec.action.size > 1  # of one, it is the state's
        n_values = spec.action.size if self._action_values else 1
        self.network = ActorCriticNetwork(spec, config.log_std_init, n_values)
        initialize_actor_critic(self.network, config.initialization, self.initial_weights_rng())
        self._learn_with(self.network, config.optimizer)
        self.inference = ActorCriticInference(self.network, self.device)
        self.backprop = make_backprop(self.network, self.parameters, self.device)
        if config.normalize_observations:
            if spec.conv_layers:
                raise UsageError("`normalize_observations`: has no meaning for images")
            self.statistics = RunningMeanStd.zeros(spec.observation.size)
        self._discounted = np.zeros(config.n_envs)
        self._reward_statistics = RunningMeanStd.zeros(1)

    def start_from(self, policy: Policy) -> None:
        """Begin with a trained policy's weights and statistics, and the noise that is asked for.

        Raises: UsageError.
        """
        import torch

        super().start_from(policy)
        if self.network.log_std is not None and self.config.log_std_restart is not None:
            with torch.no_grad():
                self.network.log_std.fill_(self.config.log_std_restart)

    # Distributions of actions

    def _draw(self, outputs: Floats) -> NDArray[Any]:
        """Actions drawn from outputs [n, n_out]: int64 [n], or float32 [n, n_out]."""
        if self.network.log_std is None:
            return sample_categorical(outputs, self.rng)
        return sample_gaussian(outputs, self.network.log_std.detach().cpu().numpy(), self.rng)

    def _distribution(self, outputs: Tensor, in_graph: bool = False) -> Categorical | Gaussian:
        """The distribution of actions, given the network's outputs [batch, n_out].

        `in_graph`: whether autograd is to find its gradient, also that of the deviations.
        """
        log_std = self.network.log_std
        if log_std is None:
            return Categorical(outputs)
        return Gaussian(outputs, log_std if in_graph else log_std.detach())

    # Learning

    def _forward(self, inputs: Tensor) -> tuple[Categorical | Gaussian, Tensor]:
        """The distribution of actions and the values, [batch] or [batch, n_values].

        They are outside autograd's graph, so what is computed from them needs no `no_grad`.
        """
        import torch

        with torch.enable_grad():  # an environment may have disabled it
            outputs, values = self.backprop.forward(inputs)
        return self._distribution(outputs), values

    def _descend(self, distribution: Categorical | Gaussian, actions: Tensor, loss: Loss) -> Tensor:
        """Take an optimiser step to minimise a loss; returns the gradient's norm before clipping.

        Args:
            distribution: of the last `_forward`.
            actions: those whose log-probabilities and values are in the loss.
            loss: with gradients with respect to `log_probs` and `values`, [batch], and to the mean
                `entropy`.
        """
        grads, log_std = loss.gradients, self.network.log_std
        outputs_grad, log_std_grad = distribution.backward(
            actions, grads["log_probs"], grads["entropy"]
        )
        values_grad = grads["values"]
        if self._action_values:  # 0 for the other actions
            zeros = outputs_grad.new_zeros(outputs_grad.shape)
            values_grad = zeros.scatter_(1, actions.unsqueeze(1), values_grad.unsqueeze(1))
        self.backprop.backward(outputs_grad, values_grad)
        if log_std is not None and log_std.grad is not None and log_std_grad is not None:
            log_std.grad.copy_(log_std_grad)
        return self._take_step()

    # Experience

    def _advantages(self, segment: Segment, gae_lambda: float) -> Floats:
        """Generalised advantage estimates: [n_steps, n_envs]."""
        return gae(
            segment.rewards,
            segment.values,
            segment.next_values,
            segment.terminated,
            segment.ended,
            self.config.gamma,
            gae_lambda,
        )

    def _flat(self, *columns: NDArray[Any]) -> list[Tensor]:
        """[n_steps, n_envs, ...] -> [n_steps * n_envs, ...], on the device."""
        import torch

        return [
            torch.from_numpy(column.reshape(-1, *column.shape[2:])).to(self.device)
            for column in columns
        ]

    def _estimate(self, inputs: NDArray[Any]) -> tuple[Floats, Floats]:
        """The policy's outputs [n, n_out] and the values of states [n]."""
        return self.inference(inputs)

    def _values(self, inputs: NDArray[Any]) -> Floats:
        """The values of states alone: [n]."""
        return self.inference.values(inputs)

    def _play(self, n_steps: int) -> Segment:
        """Run the policy for `n_steps` steps in every environment, and count them.

        Observations are normalised with the statistics from before these steps, and then added to
        them.
        """
        environments, n = self.environments, self.config.n_envs
        n_out = self.policy.spec.action.size
        inputs, raw, actions = [], [], []
        outputs = np.empty((n_steps, n, n_out), np.float32)
        values = np.empty((n_steps + 1, n), np.float32)
        cut_values = np.zeros((n_steps, n), np.float32)
        rewards = np.empty((n_steps, n))
        terminated, ended = np.zeros((2, n_steps, n), np.bool_)
        for t in range(n_steps):
            x = self._inputs(environments.obs)
            inputs.append(x)
            raw.append(environments.obs)
            if self.inference.separate:
                outputs[t] = self.inference.outputs(x)
            else:
                outputs[t], values[t] = self._estimate(x)
            actions.append(self._draw(outputs[t]))
            step = environments.step(self._env_actions(actions[t]))
            rewards[t], terminated[t] = self._rewards(step), self._terminated(step)
            np.logical_or(terminated[t], step.truncated, out=ended[t])
            # After a time limit returns bootstrap from the value of the last observation.
            if step.truncated.any():
                cut = np.flatnonzero(step.truncated)
                cut_values[t, cut] = self._values(self._inputs(step.final_obs[cut]))
        self.timesteps += n_steps * n
        last = self._inputs(environments.obs)
        if self.inference.separate:  # all values at once, which is faster than step by step
            values[:] = self._values(np.concatenate([*inputs, last])).reshape(n_steps + 1, n)
        else:
            values[n_steps] = self._values(last)
        self._see(raw)
        if self.config.normalize_rewards:
            rewards = self._normalized_rewards(rewards, ended)
        return Segment(
            np.array(inputs),
            np.array(actions),
            outputs,
            values[:-1],
            np.where(ended, cut_values, values[1:]),
            rewards.astype(np.float32),
            terminated,
            ended,
        )

    def _see(self, obs: Sequence[NDArray[Any]]) -> None:
        """Add observations, each [n, *shape], to the statistics, if there are any."""
        if self.statistics is not None:
            vectors = self._vectors(np.concatenate(obs)).astype(np.float64)
            self.statistics.merge(RunningMeanStd.of(vectors))

    def _episode_buffer(self) -> EpisodeBuffer:
        """A buffer for the episodes that `_play_into` plays."""
        observation, n_out = self.policy.spec.observation, self.policy.spec.action.size
        return EpisodeBuffer(
            self.config.n_envs,
            inputs=(observation.shape, np.dtype(observation.dtype))
            if self.policy.spec.conv_layers
            else ((observation.size,), np.dtype(np.float32)),
            actions=((), np.dtype(np.int64)) if self.discrete else ((n_out,), np.dtype(np.float32)),
            n_actions=n_out if self.discrete else None,
        )

    def _play_into(self, episodes: EpisodeBuffer) -> None:
        """Run the policy for one step in every environment, and count it, as `_play` does."""
        obs = self.environments.obs
        x = self._inputs(obs)
        actions = self._draw(self.inference.outputs(x))
        step = self.environments.step(self._env_actions(actions))
        terminated, rewards = self._terminated(step), self._rewards(step)
        ended = terminated | step.truncated
        self.timesteps += len(obs)
        self._see([obs])
        if self.config.normalize_rewards:
            rewards = self._normalized_rewards(rewards[None], ended[None])[0]
        episodes.add(x, actions, rewards)
        if ended.any():
            final = self._inputs(step.final_obs)
            for at in np.flatnonzero(ended).tolist():
                episodes.end(at, final[at], bool(terminated[at]))

    def _normalized_rewards(
        self, rewards: NDArray[np.float64], ended: NDArray[np.bool_]
    ) -> NDArray[np.float64]:
        """Rewards [n_steps, n] divided by the deviation of all discounted returns so far.

        The returns are those of OpenAI's baselines: R = gamma R + r, forwards in time.
        Engstrom et al. (2020, arXiv 2005.12729, section 3, item 2) found how much it matters.
        """
        returns = np.empty_like(rewards)
        for t, row in enumerate(rewards):
            self._discounted = self.config.gamma * self._discounted + row
            returns[t] = self._discounted
            self._discounted[ended[t]] = 0.0
        statistics = self._reward_statistics
        statistics.merge(RunningMeanStd.of(returns.reshape(-1, 1)))
        deviation = np.sqrt(statistics.m2[0] / statistics.count + 1e-8)
        scaled: NDArray[np.float64] = np.clip(rewards / deviation, -REWARD_CLIP, REWARD_CLIP)
        return scaled

    # Checkpoints

    def _drop_episodes(self, which: list[int]) -> None:
        self._discounted[which] = 0.0

    def state(self) -> State:
        """Also the statistics by which rewards are normalised."""
        state = super().state()
        if self.config.normalize_rewards:
            state.add("rewards", self._reward_statistics, count="rewards")
            state.arrays["rewards.discounted"] = self._discounted
        return state

    def restore(self, state: State) -> None:
        """Restore a `state`. Raises: ValueError."""
        super().restore(state)
        if self.config.normalize_rewards:
            state.restore("rewards", self._reward_statistics, count="rewards")
            discounted = state.array("rewards.discounted", self._discounted.shape)
            self._discounted = discounted.copy()


def averages(names: Sequence[str], metrics: Sequence[Sequence[Tensor]]) -> dict[str, float]:
    """The mean of each metric over an iteration's updates; NaN where there were none."""
    import torch

    if not metrics:
        return dict.fromkeys(names, math.nan)
    # In one transfer, so that a GPU is waited for only once.
    means = torch.stack([torch.stack(tuple(one)) for one in metrics]).double().mean(0)
    return dict(zip(names, means.tolist(), strict=True))
