"""The policies as torch modules: the same parameters, for learning on CPU or GPU.

    PolicyNetwork       the network of a policy: convolutions for images, then affine layers
    DuelingNetwork      state value and advantages, for Q-learning
    ActorCriticNetwork  a policy and a state value

The first `spec.n_weights` parameters of each network are the policy's, in the order of its flat
weight vector. Parameters that only learning needs follow them. New ones are on the CPU and of the
type that is asked for, whatever torch's defaults are: an environment may change those.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import torch
from torch import nn

from policies.activations import ACTIVATIONS
from policies.base import Policy
from policies.parameters import load_flat
from policies.registry import POLICIES
from policies.spec import PolicySpec


def resolve_device(name: str) -> torch.device:
    """Return the torch device for `auto` (CUDA if available), `cpu` or `cuda`.

    Raises: ValueError for any other name, or for `cuda` if there is no CUDA device.
    """
    if name not in ("auto", "cpu", "cuda"):
        raise ValueError(f"`device` {name!r} is not one of auto, cpu, cuda")
    if name == "cuda" and not torch.cuda.is_available():
        raise ValueError("`device` 'cuda': torch finds no CUDA device here; use auto or cpu")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


class Pixels(nn.Module):
    """uint8 images [batch, *shape] -> float32 [batch, channels, height, width] from 0 to 1."""

    def __init__(self, spec: PolicySpec) -> None:
        super().__init__()
        self._shape, self._channels_last = spec.image_shape, spec.channels_last

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x = images.movedim(-1, 1) if self._channels_last else images
        return x.reshape(-1, *self._shape).float() * (1.0 / 255.0)


def make_trunk(spec: PolicySpec, dtype: torch.dtype = torch.float32) -> nn.Sequential:
    """Return a network's layers but the last: observations -> [batch, layer_sizes[-2]].

    With `NATURE_CONV_LAYERS` and `NATURE_HIDDEN_SIZES` it is the network of Mnih et al. (2015).
    """
    activation: type[nn.Module] = getattr(nn, ACTIVATIONS[spec.activation].module)
    modules: list[nn.Module] = []
    if spec.conv_layers:
        modules.append(Pixels(spec))
        channels = spec.image_shape[0]
        for filters, kernel, stride in spec.conv_layers:
            modules += [
                nn.Conv2d(channels, filters, kernel, stride, device="cpu", dtype=dtype),
                activation(),
            ]
            channels = filters
        modules.append(nn.Flatten())
    for n_in, n_out in itertools.pairwise(spec.layer_sizes[:-1]):
        modules += [nn.Linear(n_in, n_out, spec.bias, "cpu", dtype), activation()]
    return nn.Sequential(*modules)


def _head(n_in: int, n_out: int, bias: bool = True) -> nn.Linear:
    return nn.Linear(n_in, n_out, bias, "cpu", torch.float32)


def affine_layers(*modules: nn.Module) -> list[nn.Linear]:
    """Return every affine layer in `modules`, in order."""
    inner = (layer for module in modules for layer in module.modules())
    return [layer for layer in inner if isinstance(layer, nn.Linear)]


class PolicyNetwork(nn.Module):
    """The network of a policy: observations [batch, *shape] -> outputs [batch, n_out].

    Vectors are flat, [batch, obs_dim]; images are uint8. Parameters are in the order of the
    policy's flat weight vector: row-major weights, then bias, layer by layer. `load` also copies
    the policy's normaliser; without one, observations are used unchanged.
    """

    mean: torch.Tensor | None
    std: torch.Tensor | None

    def __init__(self, spec: PolicySpec, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.spec, self.dtype = spec, dtype
        head = nn.Linear(spec.layer_sizes[-2], spec.layer_sizes[-1], spec.bias, "cpu", dtype)
        self.layers = nn.Sequential(*make_trunk(spec, dtype), head)
        self.register_buffer("mean", None)
        self.register_buffer("std", None)
        self.clip: float | None = None

    def forward(self, obs: torch.Tensor) -> torch.Tensor:
        if self.mean is not None and self.std is not None:
            obs = (obs - self.mean) / self.std
            if self.clip is not None:
                obs = obs.clamp(-self.clip, self.clip)
        y: torch.Tensor = self.layers(obs)
        return y

    def load(self, policy: Policy) -> None:
        """Copy a policy's weights and normaliser."""
        load_flat(self, policy.network_weights)
        normalizer = policy.normalizer
        if normalizer is None:
            self.mean = self.std = self.clip = None
            return
        self.mean = torch.from_numpy(normalizer.mean).to(self.dtype)
        self.std = torch.from_numpy(normalizer.std).to(self.dtype)
        self.clip = normalizer.rule.clip


def make_network(
    policy: Policy, device: str = "auto", dtype: torch.dtype = torch.float32
) -> PolicyNetwork:
    """Return a policy's torch module. Outputs agree to 1e-12 in float64 and 1e-5 in float32.

    Raises:
        ValueError: for a kind of policy that is not made of layers, or a device that is missing.
    """
    if not POLICIES[policy.spec.kind].is_layered:
        raise ValueError(f"a {policy.spec.kind} policy has no twin in torch")
    network = PolicyNetwork(policy.spec, dtype)
    network.load(policy)
    return network.to(resolve_device(device))


class DuelingNetwork(nn.Module):
    """Q(s, a) = V(s) + A(s, a) - mean_b A(s, b) on a shared trunk (Wang et al., 2016, equation 9).

    Observations [batch, *shape] -> [batch, n_actions]. The policy's network consists of the trunk
    and the advantage head, since the action with the largest advantage also has the largest Q.
    """

    def __init__(self, spec: PolicySpec) -> None:
        super().__init__()
        self.spec = spec
        width = spec.layer_sizes[-2]
        self.trunk = make_trunk(spec)
        self.advantage = _head(width, spec.action.size, spec.bias)
        self.value = _head(width, 1)

    def forward(self, obs: torch.Tensor) -> torch.Tensor:
        features = self.trunk(obs)
        advantages: torch.Tensor = self.advantage(features)
        value: torch.Tensor = self.value(features)
        return value + advantages - advantages.mean(1, keepdim=True)


class ActorCriticNetwork(nn.Module):
    """A policy and a critic: `(outputs [batch, n_out], values [batch])`.

    For vectors these are two networks with the same hidden layers; for images, one trunk with two
    heads.

    Args:
        spec: the policy's.
        log_std: initial log standard deviation of a Gaussian policy.
        n_values: 1 for the state value. With more, such as one per action, the values are
            [batch, n_values].

    Attributes:
        log_std: the log standard deviations of a Gaussian policy, [n_out]; otherwise None.
    """

    log_std: nn.Parameter | None

    def __init__(self, spec: PolicySpec, log_std: float = 0.0, n_values: int = 1) -> None:
        super().__init__()
        self.spec = spec
        width = spec.layer_sizes[-2]
        self.shared = bool(spec.conv_layers)
        self.trunk = make_trunk(spec)
        self.actor = _head(width, spec.action.size, spec.bias)
        log_stds = torch.full((spec.action.size,), log_std, device="cpu", dtype=torch.float32)
        self.log_std = nn.Parameter(log_stds) if spec.distribution == "gaussian" else None
        self.critic_trunk = self.trunk if self.shared else make_trunk(spec)
        self.critic = _head(width, n_values)

    def forward(self, obs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        features = self.trunk(obs)
        outputs: torch.Tensor = self.actor(features)
        values: torch.Tensor = self.critic(features if self.shared else self.critic_trunk(obs))
        return outputs, values.squeeze(1)  # without effect on several values

    @property
    def n_critic(self) -> int:
        """Number of parameters that belong to the critic alone; they come last."""
        own = [self.critic] if self.shared else [self.critic_trunk, self.critic]
        return sum(parameter.numel() for part in own for parameter in part.parameters())

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, nn.Parameter]]:
        """The same as in torch, but with `log_std` after the policy's network instead of first."""
        named = list(super().named_parameters(prefix, recurse, remove_duplicate))
        ours = [pair for pair in named if pair[1] is self.log_std]
        rest = [pair for pair in named if pair[1] is not self.log_std]
        n_policy = len([*self.trunk.parameters(), *self.actor.parameters()])
        yield from [*rest[:n_policy], *ours, *rest[n_policy:]]
