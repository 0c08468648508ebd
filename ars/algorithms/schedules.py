"""Settings that change over a run, and what algorithms share of them."""

from __future__ import annotations

from typing import Any

from ars.algorithms.base import TrainingContext
from ars.common.settings import setting

SCHEDULES = ("constant", "linear")


def horizon_setting() -> Any:
    """The setting of the timesteps over which linear schedules run."""
    return setting(
        None,
        "timesteps over which schedules run; kept on resume unless raised (default: "
        "`total_timesteps` at the start)",
        at_least=1,
        starts_as="total_timesteps",
    )


def schedule_setting() -> Any:
    """The setting of how another one changes: `learning_rate_schedule` for `learning_rate`."""
    return setting("constant", "linear: down to 0 at the horizon", choices=SCHEDULES)


def epsilon_start_setting(default: float) -> Any:
    """The setting of an epsilon-greedy policy at the start."""
    return setting(default, "probability of a random action at the start", at_least=0, at_most=1)


def epsilon_end_setting(default: float) -> Any:
    """The setting of an epsilon-greedy policy at the end."""
    return setting(
        default,
        "probability of a random action from `exploration_steps` on",
        at_least=0,
        at_most=1,
    )


def exploration_steps_setting(default: int) -> Any:
    """The setting of how long an epsilon-greedy policy takes from its start to its end."""
    return setting(
        default,
        "timesteps over which it falls from `epsilon_start` to `epsilon_end`",
        at_least=1,
    )


class Scheduled:
    """What an algorithm's settings are now, by `timesteps`."""

    config: Any
    context: TrainingContext
    timesteps: int
    iteration: int

    @property
    def remaining(self) -> float:
        """The fraction of the horizon that is left: 1 at the start, 0 from its end on."""
        horizon = self.config.horizon
        return 1.0 if horizon is None else max(0.0, 1.0 - self.timesteps / horizon)

    @property
    def epsilon(self) -> float:
        """The probability of a random action now."""
        config = self.config
        done = min(1.0, self.timesteps / config.exploration_steps)
        return float(config.epsilon_start + done * (config.epsilon_end - config.epsilon_start))

    def _scheduled(self, name: str) -> float:
        """The current value of a setting, by the schedule that `<name>_schedule` sets."""
        value: float = getattr(self.config, name)
        if getattr(self.config, f"{name}_schedule") == "constant":
            return value
        if self.remaining == 0.0:
            self.context.notify_once(
                f"the schedule of `{name}` has come to 0 at its horizon of "
                f"{self.config.horizon:,} timesteps",
                self.iteration + 1,
            )
        return value * self.remaining
