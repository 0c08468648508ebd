"""The pools of this process: what a watch hears of them, and what cannot be made."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from rollouts import EVALUATION, expected, make_snapshot, make_spec, plain

from ars.common.errors import RolloutError
from ars.rollout.pool import BorrowingPool, LocalPool

if TYPE_CHECKING:
    from collections.abc import Iterator


class Heard:
    """A `Watch` that counts."""

    def __init__(self) -> None:
        self.submitted_rollouts = self.answered_rollouts = self.steps = self.waits = 0

    def submitted(self, rollouts: int) -> None:
        self.submitted_rollouts += rollouts

    def answered(self, rollouts: int, steps: int, seconds: float) -> None:
        assert seconds > 0
        self.answered_rollouts, self.steps = self.answered_rollouts + rollouts, self.steps + steps

    def waiting(self) -> None:
        self.waits += 1


@pytest.mark.parametrize("borrows", [False, True])
def test_a_watch_hears_of_every_rollout(borrows: bool) -> None:
    lent: list[str] = []

    @contextmanager
    def lend() -> Iterator[None]:
        lent.append("lent")
        yield
        lent.append("given back")

    heard, spec = Heard(), make_spec()
    pool = BorrowingPool(spec, lend, watch=heard) if borrows else LocalPool(spec, watch=heard)
    episodes = pool.collect(pool.submit(make_snapshot(), EVALUATION))
    pool.close()
    assert plain(episodes) == expected(spec, EVALUATION)
    assert (heard.submitted_rollouts, heard.answered_rollouts, heard.waits) == (10, 10, 10)
    assert heard.steps == sum(episode.length for episode in episodes)
    assert lent == (["lent", "given back"] if borrows else [])


def test_an_environment_that_cannot_be_made_again_is_said_in_a_line(tmp_path: Path) -> None:
    @contextmanager
    def lend() -> Iterator[None]:
        yield

    (tmp_path / "flag").touch()
    spec = make_spec("faulty_envs:BrokenConstructor-v0", flag=str(tmp_path / "flag"))
    pool = BorrowingPool(spec, lend)
    request = pool.submit(make_snapshot(), EVALUATION)
    with pytest.raises(RolloutError, match=r"cannot be made again: .*no such robot") as raised:
        pool.collect(request)
    assert "\n" not in str(raised.value)
