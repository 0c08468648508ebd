"""One robot that plays a policy in real time, again and again, in a thread of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Protocol

import gymnasium

from ars.common.errors import RolloutError, RunError, UsageError, failures, one_line
from ars.common.seeding import Stream, reset_seed
from ars.rendering.recorder import as_picture, follow
from ars.rendering.show import expect_no_display, step_seconds, steps_per_second
from ars.rollout.episode import rollout
from ars.training.evaluation import acting
from ars.training.run_folder import ResolvedPolicy
from envs.drawing.possible import why_not_drawn
from envs.registry import resolve

FPS = 30.0
_BEHIND = 0.25  # seconds that play may be late, and between pictures while it is
Env = gymnasium.Env[Any, Any]


class Body(Protocol):
    """What a page shows of a robot."""

    def model(self, model: Any) -> None:
        """A robot of ours, whose shapes are drawn."""

    def move(self, model: Any, seconds: float, total: float) -> None:
        """It has moved; `seconds` of its episode and its return so far."""

    def picture(self, picture: Any, seconds: float, total: float) -> None:
        """A picture of an environment that is no robot of ours."""

    def say(self, text: str) -> None:
        """What cannot be shown, or of which policy it is."""


class _Live(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Shows each step at its time; ends an episode that is not wanted any more."""

    def __init__(self, env: Env, show: Callable[[int, float], None], lane: Lane) -> None:
        super().__init__(env)
        self._show, self._lane = show, lane
        self._count, self._total = 0, 0.0
        self._rate = steps_per_second(env)
        self._due = self._shown = time.perf_counter()

    def reset(self, **details: Any) -> tuple[Any, dict[str, Any]]:
        result = self.env.reset(**details)
        self._count, self._total, self._due = 0, 0.0, time.perf_counter()
        self._show(0, 0.0)
        return result

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        obs, reward, terminated, truncated, info = self.env.step(action)
        self._count += 1
        self._total += float(reward)
        stride, now = max(1, round(self._rate * self._lane.speed / FPS)), time.perf_counter()
        # A busy machine leaves out pictures rather than play in slow motion.
        in_time = now - self._due < 1 / FPS or now - self._shown >= _BEHIND
        if (self._count % stride == 0 and in_time) or terminated or truncated:
            self._show(self._count, self._total)
            self._shown = now
        self._due = max(self._due + 1 / (self._rate * self._lane.speed), now - _BEHIND)
        self._lane.pause(self._due - time.perf_counter())
        return obs, reward, terminated, truncated or self._lane.changed, info


class Lane:
    """Plays a policy, and another one as soon as it is given.

    Args:
        body: shows it.

    Attributes:
        speed: of the play; 1 is real time.
    """

    def __init__(self, body: Body) -> None:
        self._body, self.speed = body, 1.0
        self._wanted: ResolvedPolicy | None = None
        self._news = threading.Condition()
        self.changed = self._ended = self._seen = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def play(self, resolved: ResolvedPolicy) -> None:
        """Play this policy from now on."""
        with self._news:
            self._wanted, self.changed = resolved, True
            self._news.notify_all()

    def close(self) -> None:
        """End the thread."""
        with self._news:
            self._ended = self.changed = True
            self._news.notify_all()
        self._thread.join(timeout=5.0)

    def look(self, seen: bool) -> None:
        """Play while somebody looks; the processor is for trainings otherwise."""
        with self._news:
            self._seen = seen
            self._news.notify_all()

    def pause(self, seconds: float) -> None:
        """Wait, also until somebody looks, but not if something changes."""
        with self._news:
            if not self.changed and seconds > 0:
                self._news.wait(seconds)
            while not (self.changed or self._seen):
                self._news.wait()

    def _run(self) -> None:
        while not self._ended:
            with self._news:
                while not self.changed:
                    self._news.wait()
                self.changed = False
                resolved = self._wanted
            if resolved is None or self._ended:
                continue
            try:
                self._open(resolved)
            except (RunError, RolloutError, UsageError) as error:
                self._body.say(str(error))
            except failures() as error:
                self._body.say(f"{resolved.file.env_id}: {one_line(error)}")

    def _open(self, resolved: ResolvedPolicy) -> None:
        """Play a policy, and others that act in the same environment, as they are given."""
        env_id = resolved.file.env_id
        if (reason := why_not_drawn(resolve(env_id))) is not None:
            raise RunError(f"{env_id} is no robot that a browser can draw, and {reason}")
        expect_no_display()
        # A robot of ours draws nothing before it is asked to.
        with acting(resolved, None, warn=lambda line: None, render_mode="rgb_array") as rollouts:
            env, seconds = rollouts.env, step_seconds(rollouts.env)
            robot: Any = env.unwrapped
            show: Callable[[int, float], None]
            if hasattr(robot, "drawable"):
                env.reset(seed=0)
                model = robot.drawable()
                self._body.model(model)

                def move(count: int, total: float) -> None:
                    self._body.move(model, count * seconds, total)

                show = move
            else:
                follow(env)

                def draw(count: int, total: float) -> None:
                    self._body.picture(as_picture(env.render()), count * seconds, total)

                show = draw
            self._episodes(resolved, rollouts, show)

    def _episodes(
        self,
        resolved: ResolvedPolicy,
        rollouts: Any,
        show: Callable[[int, float], None],
    ) -> None:
        live, index = _Live(rollouts.env, show, self), 0
        while not self._ended:
            with self._news:
                if self._wanted is not None and self.changed:
                    before, resolved, index = resolved.file, self._wanted, 0
                    if (before.env_id, before.env_kwargs) != (
                        resolved.file.env_id,
                        resolved.file.env_kwargs,
                    ):
                        return  # `changed` stays, and another environment is opened
                self.changed = False
            seed = reset_seed(rollouts.spec.seed, Stream.RENDERING, index)
            rollout(live, resolved.file.policy, seed, rollouts.spec.rollout_length)
            index += 1
            self.pause(0.7)  # so that an end can be seen
