"""A robot on a page plays for those who look, and for nobody else."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gymnasium
import pytest
from processes import wait_until

from ars.training.rebuild import chosen_policy
from ars.watching import lane as module
from ars.watching.lane import Lane

PATIENCE = 60.0  # seconds; nothing here takes one


class Body:
    """Counts what it is shown."""

    def __init__(self) -> None:
        self.moves, self.said = 0, list[str]()
        self._news = threading.Condition()

    def model(self, model: Any) -> None: ...

    def picture(self, picture: Any, seconds: float, total: float) -> None:
        self.move(None, seconds, total)

    def say(self, text: str) -> None:
        self.said.append(text)

    def move(self, model: Any, seconds: float, total: float) -> None:
        with self._news:
            self.moves += 1
            self._news.notify_all()

    def wait_for(self, moves: int) -> None:
        with self._news:
            assert self._news.wait_for(lambda: self.moves >= moves, PATIENCE), self.said

    def rests(self) -> bool:
        before = self.moves
        time.sleep(0.2)
        return self.moves == before


def test_it_plays_while_somebody_looks(cheetah: Path) -> None:
    body = Body()
    lane = Lane(body)
    try:
        lane.play(chosen_policy(str(cheetah)))
        body.wait_for(1)  # as it begins, for the first who comes
        time.sleep(0.2)
        assert body.moves <= 2
        lane.look(True)
        body.wait_for(10)
        lane.look(False)
        assert wait_until(body.rests, PATIENCE)  # a step may be under way
        moves = body.moves
        lane.play(chosen_policy(str(cheetah)))  # another policy is shown as it begins, all the same
        body.wait_for(moves + 1)
    finally:
        lane.close()


@pytest.mark.usefixtures("no_display")
def test_pygame_is_told_that_there_is_no_display(
    square: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SDL_VIDEODRIVER", "")  # so that it is as before afterwards
    monkeypatch.delenv("SDL_VIDEODRIVER")
    body = Body()
    lane = Lane(body)
    try:
        lane.play(chosen_policy(str(square)))
        body.wait_for(1)
        assert os.environ["SDL_VIDEODRIVER"] == "dummy"
    finally:
        lane.close()


@pytest.mark.parametrize(("seconds", "most"), [(0.0, 60), (0.05, 24)])
def test_a_busy_machine_leaves_out_pictures(
    seconds: float, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, shown = [0.0], list[int]()
    monkeypatch.setattr(module, "time", SimpleNamespace(perf_counter=lambda: clock[0]))

    def wait(seconds: float) -> None:
        clock[0] += max(0.0, seconds)

    class Slow(gymnasium.Env[Any, Any]):
        metadata = {"render_fps": 60}  # noqa: RUF012

        def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
            clock[0] += seconds
            return None, 0.0, False, False, {}

    here: Any = SimpleNamespace(speed=1.0, changed=False, pause=wait)
    live = module._Live(Slow(), lambda count, total: shown.append(count), here)
    for _ in range(120):
        live.step(None)
    assert 10 <= len(shown) <= most
    assert clock[0] == pytest.approx(max(2.0, 120 * seconds), abs=0.05)
