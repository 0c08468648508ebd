"""REINFORCE: the policy gradient from whole episodes (Williams, 1992, section 5).

Episodes are played to their end; after every `n_episodes` of them the policy takes a step

    theta <- theta + alpha * mean over their steps of (G_t - b(s_t)) grad log pi(a_t|s_t)

with the discounted return G_t from step t on. The baseline b is 0, or with `baseline` a value
function learned from the same returns. The weights (G_t - b) are standardised over the update's
steps. The factor gamma^t of a step in its episode is left out, as is usual.

Where a time limit cuts an episode short, the baseline's value of its last observation stands for
the rewards that would have followed; without a baseline they count as 0.

With several environments an episode may have begun under the weights before one or more updates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ars.algorithms.base import Row, TrainingContext
from ars.algorithms.on_policy import Floats, OnPolicyAlgorithm, OnPolicyConfig
from ars.common.settings import LARGE, LARGEST_STEP, setting
from ars.common.statistics import mean
from ars.experience.episodes import Trajectory
from ars.learning.returns import discounted_returns
from policies.state import State

if TYPE_CHECKING:
    from torch import Tensor

METRICS = ("policy_loss", "value_loss", "entropy", "grad_norm")
CHUNK = 1024  # steps that pass through the network at once: activations of images take memory


@dataclass(frozen=True)
class REINFORCEConfig(OnPolicyConfig):
    """Settings of REINFORCE. An iteration is n_envs * n_steps environment steps.

    Episodes and updates span iterations.
    """

    n_steps: int = setting(
        1000, "steps of each environment in an iteration", at_least=1, at_most=LARGE
    )
    n_episodes: int = setting(4, "episodes in an update", at_least=1)
    standardize: bool = setting(True, "scale the weights of an update to mean 0 and deviation 1")
    baseline: bool = setting(False, "learn a state's value, and subtract it from the returns")
    value_coef: float = setting(0.5, "weight of the baseline's loss", at_least=0)
    learning_rate: float = setting(
        3e-3, "step size of the optimiser", above=0, at_most=LARGEST_STEP
    )

    @property
    def idle(self) -> dict[str, str]:
        """The settings that decide nothing beside the others, each with the reason."""
        return {} if self.baseline else {"value_coef": "without `baseline`"}


class REINFORCE(OnPolicyAlgorithm):
    """REINFORCE; the update is `_update`."""

    Config = REINFORCEConfig

    def __init__(self, config: REINFORCEConfig, context: TrainingContext) -> None:
        super().__init__(config, context)
        self.config: REINFORCEConfig = config
        self._episodes = self._episode_buffer()

    def _iterate(self) -> Row:
        rate, metrics = self._set_learning_rate(), []
        episodes, n = self._episodes.finished, self.config.n_episodes
        for _ in range(self.config.n_steps):
            self._play_into(self._episodes)
            while len(episodes) >= n:
                metrics.append(self._update(episodes[:n]))
                del episodes[:n]
        means = {name: mean([update[name] for update in metrics]) for name in METRICS}
        return {**means, "learning_rate": rate}

    def _update(self, episodes: Sequence[Trajectory]) -> dict[str, float]:
        """One step of the policy, and of the baseline, along the gradient of whole episodes."""
        import torch

        config = self.config
        inputs = np.concatenate([episode.inputs for episode in episodes])
        actions = np.concatenate([episode.actions for episode in episodes])
        # 1. The return of every step.
        returns = np.concatenate([self._returns(episode) for episode in episodes])
        # 2. The weight of every step: its return less the baseline, standardised.
        parts = [slice(start, start + CHUNK) for start in range(0, len(inputs), CHUNK)]
        weights = returns
        if config.baseline:
            weights = returns - np.concatenate([self._values(inputs[part]) for part in parts])
        if config.standardize:
            weights = (weights - weights.mean()) / (weights.std() + 1e-8)
        # 3. The gradient, summed over parts of the steps, and the step.
        self.parameters.grad.zero_()
        metrics = dict.fromkeys(METRICS, 0.0)
        for part in parts:
            share = len(inputs[part]) / len(inputs)
            with torch.enable_grad():  # an environment may have disabled it
                terms = self._terms(inputs[part], actions[part], weights[part], returns[part])
                loss = terms["policy_loss"] - config.entropy_coef * terms["entropy"]
                if config.baseline:
                    loss = loss + config.value_coef * terms["value_loss"]
                (share * loss).backward()
            for name, value in terms.items():
                metrics[name] += share * float(value.detach())
        return {**metrics, "grad_norm": float(self._take_step())}

    def _terms(self, *columns: NDArray[Any]) -> dict[str, Tensor]:
        """The terms of the loss over some steps: inputs, actions, weights, returns."""
        import torch

        from ars.learning.losses import policy_gradient_loss, squared_loss

        tensors = (torch.from_numpy(column).to(self.device) for column in columns)
        inputs, actions, weights, returns = tensors
        outputs, values = self.network(inputs)
        distribution = self._distribution(outputs, in_graph=True)
        log_probs = distribution.log_prob(actions)
        return {
            "policy_loss": policy_gradient_loss(log_probs, weights).value(),
            "value_loss": squared_loss(values, returns).value(),
            "entropy": distribution.entropy(),
        }

    def _returns(self, episode: Trajectory) -> Floats:
        """G_t of every step of an episode: [length]."""
        rewards = episode.rewards.copy()
        if self.config.baseline and not episode.terminated:
            rewards[-1] += self.config.gamma * self._values(episode.final_input[None])[0]
        never_ended = np.zeros((len(rewards), 1), np.bool_)
        returns = discounted_returns(rewards[:, None], never_ended, self.config.gamma)
        return returns[:, 0].astype(np.float32)

    def _drop_episodes(self, which: list[int]) -> None:
        super()._drop_episodes(which)
        self._episodes.drop(which)

    def state(self) -> State:
        """Also the episodes in progress."""
        state = super().state()
        state.add("trajectories", self._episodes)
        return state

    def restore(self, state: State) -> None:
        """Restore a `state`. Raises: ValueError."""
        super().restore(state)
        state.restore("trajectories", self._episodes)
