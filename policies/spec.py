"""The specification of a policy: its spaces, layers and distribution; everything but weights."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from policies.activations import ACTIVATIONS
from policies.finite import FiniteSpec
from policies.state import State

DISTRIBUTIONS = ("none", "categorical", "gaussian")
# The most numbers in an observation, and the most actions: a picture of 8,192 by 2,048 pixels. A
# specification from elsewhere must not make a program ask for more memory than its file has.
LARGEST_SPACE = 2**24
_MOST_AXES, _MOST_LAYERS = 32, 1000

# Of Mnih et al. (2015), "Human-level control through deep reinforcement learning", Methods.
NATURE_CONV_LAYERS = ((32, 8, 4), (64, 4, 2), (64, 3, 1))
NATURE_HIDDEN_SIZES = (512,)


# A finite bound this far out is none in effect: what some write instead of infinity.
UNBOUNDED = 1e18


class UnsupportedSpace(ValueError):
    """A space is not supported; the message is one line."""


# Types of the elements of a Box, as NumPy names them.
_NUMBERS = tuple(np.dtype(kind).name for kinds in ("efdg", "bhil", "BHIL", "?") for kind in kinds)


@dataclass(frozen=True)
class BoxSpec:
    """A Box space: `shape`, name of the NumPy `dtype`, flat row-major bounds (None = unbounded)."""

    shape: tuple[int, ...]
    dtype: str
    low: tuple[float, ...] | None = None
    high: tuple[float, ...] | None = None

    @property
    def size(self) -> int:
        """Number of scalars in an element of the space."""
        return math.prod(self.shape)

    def contains(self, elements: NDArray[Any]) -> bool:
        """Whether elements of the space's shape and type, [n, *shape], are within its bounds."""
        flat = elements.reshape(-1, self.size)
        low, high = ((bound or ()) for bound in (self.low, self.high))
        return not low or bool((flat >= np.array(low)).all() and (flat <= np.array(high)).all())


@dataclass(frozen=True)
class DiscreteSpec:
    """The integers `start`, ..., `start + n - 1`."""

    n: int
    start: int = 0

    @property
    def size(self) -> int:
        """Number of outputs a policy needs: one score for each action."""
        return self.n


class _HasSpaceAttributes(Protocol):
    """The part of a Gymnasium space that is used here, so that Gymnasium need not be imported."""

    @property
    def shape(self) -> tuple[int, ...] | None: ...


def observation_spec(space: _HasSpaceAttributes | FiniteSpec) -> BoxSpec | FiniteSpec:
    """Describe a Gymnasium space of observations.

    Args:
        space: a Box, a Discrete, a MultiDiscrete or a Tuple of Discrete spaces; or its description,
            which is returned as it is.

    Raises:
        UnsupportedSpace: for any other space.
    """
    values: Any = space
    if isinstance(values, FiniteSpec):
        return values
    kinds = _kinds(space)
    if "Discrete" in kinds:
        finite = FiniteSpec((), (int(values.n),), (int(values.start),))
    elif "MultiDiscrete" in kinds:
        numbers = (tuple(np.ravel(part).tolist()) for part in (values.nvec, values.start))
        finite = FiniteSpec(tuple(values.shape), *numbers)
    elif "Tuple" in kinds and all("Discrete" in _kinds(part) for part in values.spaces):
        sizes = tuple(int(part.n) for part in values.spaces)
        finite = FiniteSpec((len(sizes),), sizes, tuple(int(part.start) for part in values.spaces))
    else:
        found = space_spec(space, "observation")
        assert isinstance(found, BoxSpec)  # space_spec refuses other observations
        return found
    if not 1 <= finite.size <= LARGEST_SPACE:
        raise UnsupportedSpace(
            f"observation space is a {type(space).__name__} of {finite.size:,} states; only those "
            f"of up to {LARGEST_SPACE:,} are supported"
        )
    # float32, in which deep algorithms keep observations, tells them apart up to there.
    ends = zip(finite.starts, finite.sizes, strict=True)
    largest = max((max(-start, start + size - 1) for start, size in ends), default=0)
    if largest > LARGEST_SPACE:
        raise UnsupportedSpace(
            f"observation space is a {type(space).__name__} with the number {largest:,}; only "
            f"numbers of up to {LARGEST_SPACE:,} are supported"
        )
    return finite


def _kinds(space: object) -> list[str]:
    return [parent.__name__ for parent in type(space).__mro__]


def space_spec(space: _HasSpaceAttributes, role: str) -> BoxSpec | DiscreteSpec:
    """Describe a Gymnasium space.

    Args:
        space: a Box or, for actions, a Discrete; or its description, which is returned as it is.
        role: "observation" or "action".

    Raises:
        UnsupportedSpace: for any other space.
    """
    values: Any = space
    if isinstance(values, BoxSpec | DiscreteSpec):
        return values
    kind, kinds = type(space).__name__, _kinds(space)
    if "Box" in kinds:
        if math.prod(values.shape) < 1 or np.dtype(values.dtype).kind not in "fiub":
            raise UnsupportedSpace(
                f"{role} space is a Box of shape {values.shape} and type {values.dtype}; only "
                "Boxes of at least one number are supported"
            )
        if math.prod(values.shape) > LARGEST_SPACE:
            raise UnsupportedSpace(
                f"{role} space is a Box of shape {values.shape}; only Boxes of up to "
                f"{LARGEST_SPACE:,} numbers are supported"
            )
        bounds = {
            name: tuple(float(x) for x in np.ravel(getattr(values, name)))
            for name in ("low", "high")
        }
        unbounded = not any(map(math.isfinite, bounds["low"] + bounds["high"]))
        limits = {} if unbounded or role == "observation" else bounds
        return BoxSpec(tuple(values.shape), np.dtype(values.dtype).name, **limits)
    if "Discrete" in kinds and role == "action":
        return DiscreteSpec(int(values.n), int(values.start))
    allowed, wrapper = "Box and Discrete", ""
    if role == "observation":
        allowed = "Box, Discrete, MultiDiscrete and Tuple-of-Discrete"
        wrapper = " (`wrappers` gymnasium.wrappers:FlattenObservation may do)"
    raise UnsupportedSpace(
        f"{role} space is {kind}; only {allowed} {role}s are supported: wrap the environment so "
        f"that it has one{wrapper}"
    )


@dataclass(frozen=True)
class PolicySpec:
    """A policy without its weights and statistics; stored as JSON in the policy file."""

    kind: str  # a key of policies.POLICIES
    observation: BoxSpec | FiniteSpec
    action: BoxSpec | DiscreteSpec
    hidden_sizes: tuple[int, ...] = ()
    activation: str = "tanh"
    bias: bool = False
    clip_actions: bool = True
    distribution: str = "none"  # one of DISTRIBUTIONS, whose parameters the outputs are
    conv_layers: tuple[tuple[int, int, int], ...] = ()  # (filters, kernel, stride)
    scale_actions: bool = False  # outputs of -1 and 1 mean the bounds of a Box

    def __post_init__(self) -> None:
        # Lists are taken too; a spec is equal to itself after a file, and has a hash.
        object.__setattr__(self, "hidden_sizes", tuple(self.hidden_sizes))
        object.__setattr__(self, "conv_layers", tuple(map(tuple, self.conv_layers)))
        if self.activation not in ACTIVATIONS:
            raise ValueError(f"activation {self.activation!r} is not one of {sorted(ACTIVATIONS)}")
        if any(size < 1 for size in self.hidden_sizes):
            raise ValueError(f"hidden_sizes {self.hidden_sizes} must all be at least 1")
        fitting = "categorical" if isinstance(self.action, DiscreteSpec) else "gaussian"
        if self.distribution not in ("none", fitting):
            raise ValueError(
                f"distribution {self.distribution!r} is none of these actions': none, {fitting}"
            )
        if self.conv_layers:
            self._check_image()
        if self.scale_actions:
            self._check_bounds()

    def _check_image(self) -> None:
        if not is_image(self.observation):
            raise UnsupportedSpace(
                f"observation of shape {self.observation.shape} and type {self.observation.dtype}: "
                f"a {self.kind} policy takes images, uint8 boxes of shape (channels, height, "
                "width), (height, width, channels) or (height, width)"
            )
        if any(min(layer) < 1 for layer in self.conv_layers) or self.layer_sizes[0] < 1:
            raise UnsupportedSpace(
                f"conv_layers {self.conv_layers} leave nothing of an image of {self.image_shape}"
            )

    def _check_bounds(self) -> None:
        if isinstance(self.action, DiscreteSpec):
            raise UnsupportedSpace("`scale_actions`: is for Box actions, and these are Discrete")
        if self.action.low is None or self.action.high is None:
            raise UnsupportedSpace("`scale_actions`: needs bounds, and the actions have none")
        for at, bounds in enumerate(zip(self.action.low, self.action.high, strict=True), 1):
            if max(map(abs, bounds)) >= UNBOUNDED:
                number = f"number {at} of the actions" if self.action.size > 1 else "the action"
                raise UnsupportedSpace(
                    f"`scale_actions`: needs finite bounds, and {number} lies between "
                    f"{bounds[0]:g} and {bounds[1]:g}"
                )

    @property
    def action_scale(self) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
        """What outputs are scaled by: the middle of the bounds and half their width, both [n_out].

        None if they are used as they are, which they also are where the bounds are -1 and 1.
        """
        action = self.action
        if not self.scale_actions or isinstance(action, DiscreteSpec):
            return None
        low, high = np.array(action.low, np.float64), np.array(action.high, np.float64)
        if np.dtype(action.dtype).kind == "f" and (low == -1.0).all() and (high == 1.0).all():
            return None
        return (low + high) / 2, (high - low) / 2

    @property
    def channels_last(self) -> bool:
        """Whether an image observation is (height, width, channels)."""
        shape = self.observation.shape
        return len(shape) == 3 and shape[2] < shape[0]

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """An image observation's (channels, height, width)."""
        *others, a, b = self.observation.shape
        if not others:
            return 1, a, b
        return (b, others[0], a) if self.channels_last else (others[0], a, b)

    @property
    def layer_sizes(self) -> tuple[int, ...]:
        """Sizes of the affine layers, from their input (after any convolutions) to the output."""
        first = self.observation.size
        if self.conv_layers:
            _, height, width = self.image_shape
            for filters, kernel, stride in self.conv_layers:
                height, width = (max(0, (n - kernel) // stride + 1) for n in (height, width))
                first = filters * height * width
        return (first, *self.hidden_sizes, self.action.size)

    @property
    def n_network_weights(self) -> int:
        """Number of weights of the network: convolutions, then affine layers."""
        channels, total = self.image_shape[0] if self.conv_layers else 0, 0
        for filters, kernel, _ in self.conv_layers:
            total += filters * (channels * kernel * kernel + 1)
            channels = filters
        pairs = itertools.pairwise(self.layer_sizes)
        return total + sum((n_in + self.bias) * n_out for n_in, n_out in pairs)

    @property
    def n_weights(self) -> int:
        """Length of the flat vector: network weights, then log deviations if Gaussian."""
        log_std = self.action.size if self.distribution == "gaussian" else 0
        return self.n_network_weights + log_std

    @property
    def deterministic_rule(self) -> str:
        """How the outputs are turned into a deterministic action."""
        if isinstance(self.action, DiscreteSpec):
            return "argmax"
        return "mean" if self.distribution == "gaussian" else "identity"

    def to_json(self) -> dict[str, Any]:
        """Return a dictionary that can be stored as JSON; `from_json` is the inverse."""
        rule = self.deterministic_rule
        action = {"type": "discrete" if rule == "argmax" else "box", **asdict(self.action)}
        for name in {"low", "high"} & action.keys():  # JSON has no infinity
            action[name] = action[name] and [x if math.isfinite(x) else None for x in action[name]]
        fields = asdict(self)
        if not self.scale_actions:  # a file that does not scale is as it was before there was that
            del fields["scale_actions"]
        return {**fields, "action": action, "deterministic_rule": rule}

    @staticmethod
    def from_json(data: dict[str, Any]) -> PolicySpec:
        """Rebuild a spec. Raises: ValueError, naming the invalid field."""
        return PolicySpec.from_state(State(values=data))

    @staticmethod
    def from_state(state: State) -> PolicySpec:
        """Rebuild a spec from the values of a state. Raises: ValueError, naming the field."""
        read: dict[object, Callable[[str], Any]] = {"str": state.text, "bool": state.flag}
        state.text("kind")
        # Files of earlier versions lack fields that have been added since.
        simple = {
            field.name: read[field.type](field.name)
            for field in fields(PolicySpec)
            if field.type in read and field.name in state.values
        }
        spec = PolicySpec(
            observation=_observation(state.nested("observation")),
            action=_action(state.nested("action")),
            hidden_sizes=state.count_list("hidden_sizes", at_least=1, most=_MOST_LAYERS),
            conv_layers=_conv_layers(state),
            **simple,
        )
        unknown = state.values.keys() - asdict(spec).keys() - {"deterministic_rule"}
        if unknown:
            raise state.error(min(unknown), "is unknown to this version")
        state.text("deterministic_rule", (spec.deterministic_rule,))
        return spec


def is_image(space: BoxSpec | DiscreteSpec | FiniteSpec) -> bool:
    """Whether the elements of a space are images: uint8 with two or three dimensions."""
    return isinstance(space, BoxSpec) and space.dtype == "uint8" and len(space.shape) in (2, 3)


def _conv_layers(state: State) -> tuple[tuple[int, int, int], ...]:
    if "conv_layers" not in state.values:
        return ()
    layers = []
    for index, layer in enumerate(state.value("conv_layers", list)[: _MOST_LAYERS + 1]):
        one = State(values={str(index): layer}, path=f"{state.path}conv_layers.")
        sizes = one.count_list(str(index), at_least=1, most=3)
        if len(sizes) != 3 or index == _MOST_LAYERS:
            raise one.error(str(index), "is not filters, kernel and stride of a layer")
        layers.append((sizes[0], sizes[1], sizes[2]))
    return tuple(layers)


def _observation(state: State) -> BoxSpec | FiniteSpec:
    if "sizes" not in state.values:
        return _box(state)
    shape = state.count_list("shape", 1, most=_MOST_AXES)
    sizes = state.count_list("sizes", 1, most=LARGEST_SPACE)
    starts = state.count_list("starts", -(2**53), most=LARGEST_SPACE)
    if not len(sizes) == len(starts) == math.prod(shape):
        raise state.error("sizes", f"{len(sizes)}, and {len(starts)} starts, of shape {shape}")
    if math.prod(sizes) > LARGEST_SPACE:
        raise state.error("sizes", f"more than {LARGEST_SPACE:,} states")
    return FiniteSpec(shape, sizes, starts)


def _action(state: State) -> BoxSpec | DiscreteSpec:
    if state.text("type", ("box", "discrete")) == "box":
        return _box(state)
    return DiscreteSpec(state.count("n", 1, LARGEST_SPACE), state.count("start", -(2**53)))


def _box(state: State) -> BoxSpec:
    shape, dtype = state.count_list("shape", 1, most=_MOST_AXES), state.text("dtype", _NUMBERS)
    size = math.prod(shape)
    if size > LARGEST_SPACE:
        raise state.error("shape", f"a box of more than {LARGEST_SPACE:,} numbers")
    bounds: dict[str, tuple[float, ...]] = {}
    for name, unbounded in (("low", -math.inf), ("high", math.inf)):
        if state.values.get(name, 0) is None:
            continue
        bounds[name] = state.number_list(name, instead_of_none=unbounded)
        if len(bounds[name]) != size:
            raise state.error(name, f"{len(bounds[name])} bounds of a box of {size} numbers")
        if np.dtype(dtype).kind == "f":
            largest = float(np.finfo(dtype).max)
            if any(largest < abs(bound) < math.inf for bound in bounds[name]):
                raise state.error(name, f"a bound is no {dtype}")
    if len(bounds) == 1:
        raise state.error(min(bounds), "is the only bound")
    if bounds and any(a > b for a, b in zip(bounds["low"], bounds["high"], strict=True)):
        raise state.error("low", "is above high")
    return BoxSpec(shape, dtype, **bounds)
