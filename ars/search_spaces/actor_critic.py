"""What searches for actor-critic and A2C try."""

from __future__ import annotations

from typing import Any

from ars.search_spaces.base import Search, three_digits
from ars.search_spaces.deep import learning, network, on_policy


def _shared(search: Search) -> dict[str, Any]:
    settings: dict[str, Any] = {
        **learning(search, 3e-5, 5e-3),
        **on_policy(search),
        **network(search),
        "value_coef": search.real("value_coef", 0.1, 1.0),
        "optimizer": search.choice("optimizer", "adam", "rmsprop"),
    }
    if "critic_learning_rate" not in search.fixed:
        ratio = search.choice("critic_rate_ratio", 1.0, 3.0, 10.0)
        settings["critic_learning_rate"] = three_digits(ratio * settings["learning_rate"])
    return settings


def actor_critic(search: Search) -> dict[str, Any]:
    """Step sizes of actor and critic, experience of an update, discount, entropy, network."""
    updates = ("n-step",) if "n_steps" in search.fixed else ("step", "episode")
    return {**_shared(search), "update": search.choice("update", *updates)}


def _segments(iteration_steps: int | None) -> tuple[int, ...]:
    """Lengths of a segment, of which an iteration is a multiple."""
    some = (5, 8, 16, 32)
    if iteration_steps is None:
        return some
    return tuple(n for n in some if iteration_steps % n == 0) or (iteration_steps,)


def a2c(search: Search) -> dict[str, Any]:
    """The same on n steps of several environments, with the decay of the advantage estimate."""
    settings: dict[str, Any] = {
        **_shared(search),
        "n_envs": search.choice("n_envs", 8, 16, 32),
        "normalize_rewards": search.choice("normalize_rewards", False, True),
    }
    critic, update = search.fixed.get("critic", "v"), search.fixed.get("update", "n-step")
    if critic == "v" and update != "step":
        settings["gae_lambda"] = search.real("gae_lambda", 0.8, 1.0)
        settings["normalize_advantages"] = search.choice("normalize_advantages", False, True)
    if update == "n-step":
        n_steps = search.choice("n_steps", *_segments(search.fixed.get("iteration_steps")))
        settings["n_steps"] = n_steps
        if "iteration_steps" not in search.fixed:  # a multiple
            settings["iteration_steps"] = n_steps * max(1, 160 // n_steps)
    return settings
