"""The latest episodes that ended, behind the metrics of a row."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable

import numpy as np

from ars.common.statistics import summarize_objective, summarize_returns
from ars.experience.vector_env import EpisodeInfo
from envs.objective import ObjectiveSpec
from policies.state import State

WINDOW = 100


class RecentEpisodes:
    """The last 100 episodes.

    Args:
        objective: what is known of their reward.
    """

    def __init__(self, objective: ObjectiveSpec) -> None:
        self._objective = objective
        self._episodes: deque[EpisodeInfo] = deque(maxlen=WINDOW)

    def add(self, episodes: Iterable[EpisodeInfo]) -> None:
        """Take in episodes that ended."""
        self._episodes += episodes

    def returns(self) -> dict[str, float]:
        """The columns of their returns and lengths."""
        episodes = self._episodes
        return summarize_returns([e.total_reward for e in episodes], [e.length for e in episodes])

    def objective(self) -> dict[str, float]:
        """The columns of what their rewards are made of."""
        return summarize_objective(self._objective, self._episodes)

    def state(self) -> State:
        """Returns and lengths, and terms and measures where these are counted."""
        episodes, terms = self._episodes, self._objective.terms
        arrays = {
            "returns": np.array([episode.total_reward for episode in episodes], np.float64),
            "lengths": np.array([episode.length for episode in episodes], np.int64),
        }
        if terms:
            counted = np.array([episode.terms for episode in episodes], np.float64)
            arrays["terms"] = counted.reshape(len(episodes), len(terms))
        for name in self._objective.measures:
            found = [episode.measures.get(name, math.nan) for episode in episodes]
            arrays[name] = np.array(found, np.float64)
        return State(arrays)

    def restore(self, state: State) -> None:
        """Take back a `state`; one of a run that did not count terms is good too.

        Raises: ValueError.
        """
        returns = state.array("returns", (None,))
        n = len(returns)
        lengths = state.counts("lengths", n, at_least=1)
        # NaN where an environment did not say it.
        terms = np.full((n, len(self._objective.terms)), np.nan)
        if "terms" in state.arrays:
            stored = state.array("terms", (n, None), nan=True)
            if stored.shape == terms.shape:  # else an earlier version knew others
                terms = stored
        measures: list[dict[str, float]] = [{} for _ in range(n)]
        for name in self._objective.measures:
            if name in state.arrays:
                found = state.array(name, (n,), nan=True).tolist()
                for episode, value in zip(measures, found, strict=True):
                    episode[name] = value
        self._episodes.clear()
        columns = returns.tolist(), lengths.tolist(), map(tuple, terms.tolist()), measures
        self._episodes.extend(map(EpisodeInfo, *columns))
