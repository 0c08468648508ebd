"""The table of policies: a new one is a file and a line here."""

from __future__ import annotations

from policies.base import Policy
from policies.cnn import CNNPolicy
from policies.linear import LinearPolicy
from policies.mlp import MLPPolicy
from policies.spec import PolicySpec

POLICIES: dict[str, type[Policy]] = {
    "linear": LinearPolicy,
    "mlp": MLPPolicy,
    "cnn": CNNPolicy,  # loads torch when one is built
}


def build_policy(spec: PolicySpec) -> Policy:
    """The policy a spec describes, weights zero. Raises: ValueError for an unknown kind."""
    if spec.kind not in POLICIES:
        raise ValueError(f"policy {spec.kind!r} is not one of {sorted(POLICIES)}")
    if spec.kind == "linear" and spec.hidden_sizes:
        raise ValueError(f"a linear policy has no hidden_sizes, but {spec.hidden_sizes} were given")
    return POLICIES[spec.kind](spec)
