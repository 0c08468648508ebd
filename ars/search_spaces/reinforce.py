"""What a search for REINFORCE tries."""

from __future__ import annotations

from typing import Any

from ars.search_spaces.base import Search
from ars.search_spaces.deep import learning, network, on_policy


def space(search: Search) -> dict[str, Any]:
    """Step size, episodes of an update, baseline, discount, entropy, network."""
    return {
        **learning(search, 1e-4, 3e-2),
        **on_policy(search),
        **network(search),
        "n_episodes": search.whole("n_episodes", 1, 16, log=True),
        "baseline": search.choice("baseline", True, False),
    }
