"""A table of the values of every action in every state: action = argmax_a Q(s, a)."""

from __future__ import annotations

from policies.base import Array, Policy
from policies.spec import PolicySpec


class TablePolicy(Policy):
    """`forward` looks up a row of Q, row-major float64 [n_states, n_actions]."""

    def __init__(self, spec: PolicySpec) -> None:
        super().__init__(spec)
        self._table = self._weights.reshape(spec.observation.size, spec.action.size)

    def forward(self, x: Array) -> Array:
        """`x`: float64 [n_states], 1 at the state's number -> float64 [n_actions]."""
        values: Array = self._table[x.argmax()]
        return values.copy()

    def _load(self, flat: Array) -> None:
        """The table is a view of the weights."""
