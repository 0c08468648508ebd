"""Proximal Policy Optimization (Schulman et al., 2017, arXiv 1707.06347, Algorithm 1).

Each iteration plays `n_steps` steps in each of `n_envs` environments, estimates every step's
advantage (GAE, Schulman et al., 2016), and takes gradient steps over several epochs of minibatches
to maximise

    E[min(rho A, clip(rho, 1 - epsilon, 1 + epsilon) A)] - c1 E[(V - V_target)^2] + c2 E[H]

with rho the ratio of the new policy's probability of an action to the old one's (equations 7, 9).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from ars.algorithms.base import Row
from ars.algorithms.on_policy import OnPolicyAlgorithm, OnPolicyConfig, Segment, averages
from ars.algorithms.schedules import schedule_setting
from ars.common.errors import UsageError
from ars.common.settings import LARGE, setting

if TYPE_CHECKING:
    from torch import Tensor

    from ars.learning.losses import Loss

METRICS = ("policy_loss", "value_loss", "entropy", "approximate_kl")


@dataclass(frozen=True)
class PPOConfig(OnPolicyConfig):
    """Settings of PPO. An iteration is n_envs * n_steps environment steps."""

    n_envs: int = setting(8, "environments stepped together", at_least=1, at_most=LARGE)
    n_steps: int = setting(
        128, "steps of each environment in an iteration", at_least=1, at_most=LARGE
    )
    batch_size: int = setting(256, "steps in a minibatch", at_least=2)
    n_epochs: int = setting(10, "passes over an iteration's steps", at_least=1)
    gae_lambda: float = setting(
        0.95, "decay of the terms of the advantage estimate (lambda)", at_least=0, at_most=1
    )
    clip_range: float = setting(
        0.2, "clip range of the probability ratio (epsilon)", above=0, at_most=LARGE
    )
    clip_range_schedule: str = schedule_setting()
    value_clip: float | None = setting(
        None,
        "bound on a value's change in an iteration (default: none)",
        above=0,
        at_most=LARGE,
    )
    value_coef: float = setting(0.5, "weight of the value loss (c1)", at_least=0)
    target_kl: float | None = setting(
        None, "end an iteration's epochs once the KL divergence exceeds 1.5 times this", above=0
    )
    normalize_advantages: bool = setting(
        True, "scale the advantages of a minibatch to mean 0 and deviation 1"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.batch_size > self.n_envs * self.n_steps:
            raise UsageError(
                f"`batch_size` {self.batch_size}: more than the {self.n_envs * self.n_steps} steps "
                "of an iteration (`n_envs` times `n_steps`); a larger `n_steps` would do"
            )


class RolloutSamples(NamedTuple):
    """Steps in any order: `obs` [n, *shape], `actions` [n] or [n, n_out], others [n]."""

    obs: Tensor
    actions: Tensor
    old_log_probs: Tensor
    old_values: Tensor
    advantages: Tensor
    targets: Tensor


class PPO(OnPolicyAlgorithm):
    """Proximal Policy Optimization: an iteration is `_iterate`; the loss is in `_optimize`."""

    Config = PPOConfig

    def _iterate(self) -> Row:
        rate, clip = self._set_learning_rate(), self._scheduled("clip_range")
        # 1. Run the policy for n_steps steps in every environment.
        segment = self._play(self.config.n_steps)
        # 2. Estimate the advantages.
        batch = self._batch(segment)
        # 3. Optimise the surrogate for n_epochs epochs of minibatches.
        metrics = self._optimize(batch, clip)
        return {**metrics, "learning_rate": rate}

    def _batch(self, segment: Segment) -> RolloutSamples:
        import torch

        estimates = self._advantages(segment, self.config.gae_lambda)
        obs, actions, outputs, values, advantages, targets = self._flat(
            segment.inputs,
            segment.actions,
            segment.outputs,
            segment.values,
            estimates,
            estimates + segment.values,
        )
        with torch.no_grad():
            old_log_probs = self._distribution(outputs).log_prob(actions)
        return RolloutSamples(obs, actions, old_log_probs, values, advantages, targets)

    def _minibatches(self, batch: RolloutSamples) -> Iterator[RolloutSamples]:
        """One epoch: all steps in a random order, `batch_size` at a time."""
        import torch

        n, size = len(batch.obs), self.config.batch_size
        columns = batch
        if size < n:
            order = torch.from_numpy(self.rng.permutation(n)).to(self.device)
            columns = RolloutSamples(*(column[order] for column in batch))
        for start in range(0, n, size):
            part = RolloutSamples(*(column[start : start + size] for column in columns))
            if self.config.normalize_advantages and len(part.obs) > 1:
                deviation, mean = torch.std_mean(part.advantages)
                part = part._replace(advantages=(part.advantages - mean) / (deviation + 1e-8))
            yield part

    def _optimize(self, batch: RolloutSamples, clip: float) -> dict[str, float]:
        """Optimise for n_epochs; metrics are of the last epoch, or of all with a `target_kl`."""
        from ars.learning.losses import approximate_kl, clipped_surrogate_loss, entropy_bonus

        config, metrics = self.config, []
        for epoch in range(config.n_epochs):
            measured = epoch == config.n_epochs - 1 or config.target_kl is not None
            for part in self._minibatches(batch):
                pi, values = self._forward(part.obs)
                ratio = pi.log_prob(part.actions), part.old_log_probs
                policy_loss = clipped_surrogate_loss(*ratio, part.advantages, clip)
                value_loss = self._value_loss(values, part)
                entropy = entropy_bonus(pi.entropy)
                if measured:
                    losses = policy_loss.value(), value_loss.value(), entropy.value()
                    metrics.append((*losses, approximate_kl(*ratio)))
                    if self._exceeds_target_kl(metrics[-1]):
                        return averages(METRICS, metrics)
                # Equation 9, negated, since it is minimised.
                loss = policy_loss + config.value_coef * value_loss - config.entropy_coef * entropy
                self._descend(pi, part.actions, loss)
        return averages(METRICS, metrics)

    def _value_loss(self, values: Tensor, part: RolloutSamples) -> Loss:
        from ars.learning.losses import clipped_value_loss, squared_loss

        bound = self.config.value_clip
        if bound is None:
            return squared_loss(values, part.targets)
        return clipped_value_loss(values, part.old_values, part.targets, bound)

    def _exceeds_target_kl(self, metrics: tuple[Tensor, ...]) -> bool:
        target = self.config.target_kl
        return target is not None and float(metrics[-1]) > 1.5 * target
