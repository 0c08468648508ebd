"""Replay buffers: what is drawn is what happened, worked out by hand."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from closeness import close

from ars.experience.gpu_storage import GpuFrameStorage
from ars.experience.prioritized import PrioritizedReplayBuffer, SumTree
from ars.experience.replay import ReplayBuffer
from ars.experience.storage import HostFrameStorage, MakeFrameStorage

GAMMA = 0.5
STORAGES: dict[str, Any] = {
    "host": HostFrameStorage,
    "device": partial(GpuFrameStorage, torch.device("cpu")),
}


class Walk:
    """Feeds a buffer with scripted steps of one or more environments, observations [n_envs, 1]."""

    def __init__(self, buffer: ReplayBuffer) -> None:
        self.buffer = buffer

    def step(
        self,
        obs: list[float],
        rewards: list[float],
        next_obs: list[float],
        *,
        terminated: list[int] | None = None,
        truncated: list[int] | None = None,
        cut: list[int] | None = None,
    ) -> None:
        none = [0] * len(obs)
        self.buffer.add(
            np.array(obs)[:, None],
            np.arange(len(obs)),
            np.array(rewards),
            np.array(terminated or none, bool),
            np.array(truncated or none, bool),
            np.array(next_obs)[:, None],
            None if cut is None else np.array(cut, bool),
        )


def drawn(buffer: ReplayBuffer, n: int = 500) -> set[tuple[float, int, float, float, float]]:
    """Every transition there is: (obs, action, return, next obs, discount)."""
    batch = buffer.sample(np.random.default_rng(0), n)
    return set(
        zip(
            batch.obs[:, 0].tolist(),
            batch.actions.tolist(),
            batch.returns.tolist(),
            batch.next_obs[:, 0].tolist(),
            batch.discounts.tolist(),
            strict=True,
        )
    )


def test_one_step_transitions_of_two_environments() -> None:
    buffer = ReplayBuffer(10, 2, (1,), gamma=GAMMA)
    walk = Walk(buffer)
    walk.step([1, 10], [1, 2], [2, 11])
    walk.step([2, 11], [3, 4], [3, 12], terminated=[1, 0], truncated=[0, 1])
    assert len(buffer) == 4
    assert drawn(buffer) == {
        (1, 0, 1, 2, 0.5),
        (10, 1, 2, 11, 0.5),
        (2, 0, 3, 3, 0.0),  # terminated: nothing to bootstrap from
        (11, 1, 4, 12, 0.5),  # truncated: the final observation's value counts
    }


def test_three_step_returns_end_with_their_episode() -> None:
    """Environment 0 terminates after its second step, environment 1 is truncated there."""
    buffer = ReplayBuffer(20, 2, (1,), n_step=3, gamma=GAMMA)
    walk = Walk(buffer)
    walk.step([1, 11], [1, 1], [2, 12])
    walk.step([2, 12], [2, 2], [3, 13], terminated=[1, 0], truncated=[0, 1])
    walk.step([101, 201], [4, 4], [102, 202])
    walk.step([102, 202], [8, 8], [103, 203])
    assert len(buffer) == 4  # the last two steps of each may still grow
    walk.step([103, 203], [16, 16], [104, 204])
    walk.step([104, 204], [32, 32], [105, 205])
    assert drawn(buffer) == {
        (1, 0, 1 + 0.5 * 2, 3, 0.0),
        (2, 0, 2, 3, 0.0),
        (11, 1, 1 + 0.5 * 2, 13, 0.25),
        (12, 1, 2, 13, 0.5),
        (101, 0, 4 + 0.5 * 8 + 0.25 * 16, 104, 0.125),
        (102, 0, 8 + 0.5 * 16 + 0.25 * 32, 105, 0.125),
        (201, 1, 4 + 0.5 * 8 + 0.25 * 16, 204, 0.125),
        (202, 1, 8 + 0.5 * 16 + 0.25 * 32, 205, 0.125),
    }


def test_a_cut_ends_returns_and_not_the_episode() -> None:
    buffer = ReplayBuffer(10, 1, (1,), n_step=2, gamma=GAMMA)
    walk = Walk(buffer)
    walk.step([1], [1], [2])
    walk.step([2], [2], [3], cut=[1])
    walk.step([3], [4], [4])
    walk.step([4], [8], [5])
    assert drawn(buffer) == {(1, 0, 2, 3, 0), (2, 0, 2, 3, 0), (3, 0, 8, 5, 0.25)}


def test_the_newest_take_the_place_of_the_oldest() -> None:
    buffer = ReplayBuffer(3, 1, (1,), n_step=2, gamma=GAMMA)
    walk = Walk(buffer)
    for step in range(7):
        walk.step([step], [1], [step + 1])
    assert len(buffer) == 2
    assert drawn(buffer) == {(4, 0, 1.5, 6, 0.25), (5, 0, 1.5, 7, 0.25)}


def test_draws_are_uniform() -> None:
    buffer = ReplayBuffer(4, 1, (1,))
    walk = Walk(buffer)
    for step in range(6):
        walk.step([step], [0], [step + 1])
    batch = buffer.sample(np.random.default_rng(3), 40_000)
    counts = np.bincount(batch.obs[:, 0].astype(int), minlength=6)
    assert counts[:2].tolist() == [0, 0]
    assert np.all(np.abs(counts[2:] / 10_000 - 1) < 0.04)  # four deviations of 1 %
    assert (batch.weights == 1).all()


def test_nothing_can_be_drawn_from_nothing() -> None:
    with pytest.raises(ValueError, match="nothing to draw from"):
        ReplayBuffer(4, 1, (1,)).sample(np.random.default_rng(0), 1)
    with pytest.raises(ValueError, match="3 transitions of 4 environments are too few"):
        ReplayBuffer(3, 4, (1,))
    with pytest.raises(ValueError, match="no stack of 3"):
        ReplayBuffer(8, 1, (4, 2, 2), dtype=np.uint8, n_stacked=3)


# Images


def picture(number: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.full((2, 3), number, np.uint8)


class Game:
    """Episodes of given lengths whose frames are numbered on, stacked as their wrappers do."""

    def __init__(self, lengths: list[int], n_stacked: int, first_number: int) -> None:
        self.lengths, self.n_stacked, self.number = list(lengths), n_stacked, first_number
        self._reset()

    def _reset(self) -> None:
        self.left = self.lengths.pop(0)
        self.stack = [self.number] * self.n_stacked
        self.number += 1

    def observation(self) -> Any:
        return np.stack([picture(number) for number in self.stack])

    def step(self) -> tuple[Any, Any, bool]:
        obs = self.observation()
        self.stack = [*self.stack[1:], self.number]
        self.number += 1
        next_obs = self.observation()
        self.left -= 1
        ended = self.left == 0
        if ended:
            self._reset()
        return obs, next_obs, ended


@pytest.mark.parametrize("n_step", [1, 3])
@pytest.mark.parametrize("terminates", [True, False])
@pytest.mark.parametrize("frame_storage", STORAGES.values(), ids=STORAGES)
def test_stacks_are_rebuilt_as_they_were_seen(
    n_step: int, terminates: bool, frame_storage: MakeFrameStorage
) -> None:
    """Against a plain list of whole stacks, through several times the buffer's capacity."""
    lengths = [5, 1, 2, 7, 3, 1, 1, 9, 4] * 4
    games = [Game(lengths, 3, 0), Game(lengths[3:], 3, 128)]
    seen: dict[str, Any] = {"dtype": np.uint8, "n_stacked": 3, "frame_storage": frame_storage}
    buffer = ReplayBuffer(24, 2, (3, 2, 3), **seen, n_step=n_step, gamma=GAMMA)
    whole = ReplayBuffer(24, 2, (18,), n_step=n_step, gamma=GAMMA)
    for count in range(60):
        obs, next_obs, ended = (np.array(x) for x in zip(*(g.step() for g in games), strict=True))
        terminated, truncated = (ended, ~ended & ended) if terminates else (ended & ~ended, ended)
        actions, rewards = np.array([count, -count]), np.array([count, 2.0 * count])
        buffer.add(obs, actions, rewards, terminated, truncated, next_obs)
        flat = [x.reshape(2, 18) for x in (obs, next_obs)]
        whole.add(flat[0], actions, rewards, terminated, truncated, flat[1])
        if count < n_step:
            continue
        ours = buffer.sample(np.random.default_rng(count), 64)
        theirs = whole.sample(np.random.default_rng(0), 1000)  # every one of at most 48
        by_index = {index: n for n, index in enumerate(theirs.indices.tolist())}
        for n, index in enumerate(ours.indices.tolist()):
            other = by_index[index]
            assert (np.asarray(ours.obs[n]).ravel() == theirs.obs[other]).all()
            assert (np.asarray(ours.next_obs[n]).ravel() == theirs.next_obs[other]).all()
            assert ours.returns[n] == theirs.returns[other]
            assert ours.discounts[n] == theirs.discounts[other]
            assert ours.actions[n] == theirs.actions[other]


def test_a_frame_is_kept_once() -> None:
    stacked = ReplayBuffer(1000, 1, (4, 84, 84), dtype=np.uint8, n_stacked=4)
    assert stacked.nbytes < 1.15 * 1000 * 84 * 84
    apart = ReplayBuffer(1000, 1, (4, 84, 84), dtype=np.uint8, n_stacked=1)
    assert apart.nbytes > 4 * 1000 * 84 * 84


def test_short_episodes_use_up_frames_and_the_oldest_leave_earlier() -> None:
    buffer = ReplayBuffer(64, 1, (2, 2, 3), dtype=np.uint8, n_stacked=2)
    game = Game([1] * 200, 2, 0)  # two frames for each transition
    for _ in range(100):
        obs, next_obs, _ = game.step()
        yes, no = np.array([True]), np.array([False])
        buffer.add(obs[None], np.zeros(1, np.int64), np.zeros(1), yes, no, next_obs[None])
    assert 30 < len(buffer) < 64
    batch = buffer.sample(np.random.default_rng(0), 500)
    firsts, nexts = batch.obs[:, :, 0, 0], batch.next_obs[:, :, 0, 0]
    assert (firsts[:, 0] == firsts[:, 1]).all()
    assert (nexts[:, 0] == firsts[:, 1]).all()
    assert (nexts[:, 1] == firsts[:, 1] + 1).all()


def test_first_stacks_of_different_frames_are_kept_as_they_are() -> None:
    buffer = ReplayBuffer(4, 1, (2, 2, 3), dtype=np.uint8, n_stacked=2)
    obs = np.stack([picture(0), picture(7)])[None]
    next_obs = np.stack([picture(7), picture(8)])[None]
    no = np.array([False])
    buffer.add(obs, np.zeros(1, np.int64), np.zeros(1), no, no, next_obs)
    batch = buffer.sample(np.random.default_rng(0), 1)
    assert (batch.obs == obs).all()
    assert (batch.next_obs == next_obs).all()


# Priorities


def test_the_sum_tree_finds_by_mass() -> None:
    tree = SumTree(5)
    tree.set(np.arange(5), np.array([1.0, 0.0, 3.0, 0.5, 0.0]))
    assert tree.total() == 4.5
    masses = np.array([0.0, 0.99, 1.0, 3.99, 4.0, 4.49, 4.5])
    assert tree.find(masses).tolist() == [0, 0, 2, 2, 3, 3, 3]
    tree.set(np.array([2, 4, 4]), np.array([0.0, 2.0, 2.0]))
    assert tree.total() == 3.5
    assert tree.find(np.array([1.0, 1.49, 1.5, 3.5])).tolist() == [3, 3, 4, 4]


def filled(n_step: int = 1) -> PrioritizedReplayBuffer:
    buffer = PrioritizedReplayBuffer(4, 1, (1,), alpha=1.0, n_step=n_step, gamma=GAMMA)
    for step in range(4):
        Walk(buffer).step([step], [step], [step + 1])
    return buffer


def test_transitions_are_drawn_in_proportion_to_priority() -> None:
    buffer = filled()
    everything = buffer.sample_weighted(np.random.default_rng(0), 400, 1.0)
    assert np.bincount(everything.indices).tolist() == [100] * 4  # equal shares, one draw each
    assert (everything.weights == 1).all()
    errors = np.array([1.0, -3.0, 0.0, 4.0])
    buffer.update(np.arange(4), errors)
    batch = buffer.sample_weighted(np.random.default_rng(1), 800, 0.5)
    assert np.bincount(batch.indices).tolist() == pytest.approx([100, 300, 0, 400], abs=1)
    # (N P)^-1/2, as a part of the largest: that of the smallest priority drawn.
    weight_of = dict(zip(batch.indices.tolist(), batch.weights.tolist(), strict=True))
    assert weight_of[0] == 1.0
    close(weight_of[1], 3**-0.5)
    close(weight_of[3], 0.5)


def test_alpha_flattens_priorities() -> None:
    buffer = PrioritizedReplayBuffer(2, 1, (1,), alpha=0.5)
    for step in range(2):
        Walk(buffer).step([step], [step], [step + 1])
    buffer.update(np.arange(2), np.array([1.0, 9.0]))
    batch = buffer.sample_weighted(np.random.default_rng(0), 400, 0.0)
    assert np.bincount(batch.indices).tolist() == pytest.approx([100, 300], abs=1)
    assert (batch.weights == 1).all()


@pytest.mark.parametrize("error", [0.0, 1e30])
def test_priorities_stay_numbers_above_0_whatever_alpha_is(error: float) -> None:
    first, second = (PrioritizedReplayBuffer(2, 1, (1,), alpha=400.0) for _ in range(2))
    for step in range(2):
        Walk(first).step([step], [step], [step + 1])
    first.update(np.arange(2), np.array([error, error]))
    second.restore(first.state())
    assert np.isfinite(second.sample_weighted(np.random.default_rng(0), 4, 1.0).weights).all()


@pytest.mark.parametrize("resumed", [False, True])
def test_a_new_transition_has_the_largest_priority_seen(resumed: bool) -> None:
    buffer = filled()
    buffer.update(np.arange(4), np.array([1.0, 8.0, 1.0, 1.0]))
    buffer.update(np.array([1]), np.array([1.0]))
    if resumed:
        state, buffer = buffer.state(), filled()
        buffer.restore(state)
    Walk(buffer).step([9], [9], [10])  # in the place of the first
    batch = buffer.sample_weighted(np.random.default_rng(0), 1100, 0.0)
    assert np.bincount(batch.indices).tolist() == pytest.approx([800, 100, 100, 100], abs=2)


def test_what_may_still_grow_or_is_gone_is_not_drawn() -> None:
    buffer = filled(n_step=3)
    batch = buffer.sample_weighted(np.random.default_rng(0), 200, 1.0)
    assert set(batch.indices.tolist()) == {0, 1}
    Walk(buffer).step([4], [4], [5])
    batch = buffer.sample_weighted(np.random.default_rng(0), 200, 1.0)
    assert set(batch.obs[:, 0].tolist()) == {1, 2}


# Resuming


@pytest.mark.parametrize("kind", ["vectors", "images", "images on a device", "priorities"])
def test_a_restored_buffer_goes_on_as_the_one_that_was_stored(kind: str) -> None:
    def make() -> ReplayBuffer:
        if kind == "vectors":
            return ReplayBuffer(16, 2, (3, 2, 3), n_step=3)
        seen: dict[str, Any] = {"dtype": np.uint8, "n_stacked": 3}
        if kind == "priorities":
            return PrioritizedReplayBuffer(16, 2, (3, 2, 3), alpha=0.6, n_step=3, **seen)
        storage = STORAGES["host" if kind == "images" else "device"]
        return ReplayBuffer(16, 2, (3, 2, 3), n_step=3, frame_storage=storage, **seen)

    def play(buffer: ReplayBuffer, steps: int) -> None:
        for count in range(steps):
            obs, next_obs, ended = (
                np.array(x) for x in zip(*(g.step() for g in games), strict=True)
            )
            buffer.add(
                obs, np.array([1, 2]), np.array([3.0, count]), ended, ended & False, next_obs
            )

    def draw(buffer: ReplayBuffer) -> list[bytes]:
        rng, seen = np.random.default_rng(5), []
        for _ in range(3):
            if isinstance(buffer, PrioritizedReplayBuffer):
                batch = buffer.sample_weighted(rng, 32, 0.4)
                buffer.update(batch.indices, batch.returns)
            else:
                batch = buffer.sample(rng, 32)
            seen += [np.asarray(array).tobytes() for array in batch]
        return seen

    for steps in (5, 37):
        lengths = [4, 1, 6, 2] * 9
        games = [Game(lengths, 3, 0), Game(lengths[1:], 3, 100)]
        first, second = make(), make()
        play(first, steps)
        draw(first)
        second.restore(first.state())
        assert draw(first) == draw(second)
        before = [(g.number, g.left, list(g.stack), list(g.lengths)) for g in games]
        play(first, 4)
        for game, (number, left, stack, rest) in zip(games, before, strict=True):
            game.number, game.left, game.stack, game.lengths = number, left, stack, rest
        play(second, 4)
        assert draw(first) == draw(second)
        assert stored(first) == stored(second)


def stored(buffer: ReplayBuffer) -> dict[str, object]:
    state = buffer.state()
    return state.values | {name: array.tobytes() for name, array in state.arrays.items()}


def test_a_state_of_another_buffer_is_refused() -> None:
    state = ReplayBuffer(8, 1, (2,)).state()
    with pytest.raises(ValueError, match="pairs: array of shape"):
        ReplayBuffer(8, 1, (3,)).restore(state)
    with pytest.raises(ValueError, match="seen: is missing"):
        ReplayBuffer(8, 1, (2, 2, 2), dtype=np.uint8, n_stacked=2).restore(state)


def test_a_buffer_that_holds_less_than_it_says_is_refused() -> None:
    buffer = ReplayBuffer(8, 1, (2,))
    for name, value in (("added", 3), ("first", 1), ("first", -1)):
        state = buffer.state()
        state.values[name] = value
        with pytest.raises(ValueError, match="not"):
            ReplayBuffer(8, 1, (2,)).restore(state)
