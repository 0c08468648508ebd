"""DQN's replay buffer: what it holds of an episode, of images, and after a resume."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from learners import learn, outcome
from small_dqn import SMALL, make, train

import ars.train
from ars.algorithms.dqn import DQN
from ars.common.errors import RunError, UsageError
from ars.experience.gpu_storage import GpuFrameStorage
from ars.experience.replay import ReplayBuffer

pytestmark = pytest.mark.usefixtures("one_thread")


def remembered(buffer: ReplayBuffer) -> set[tuple[float, ...]]:
    """(obs, return, next obs, discount) of all there is."""
    batch = buffer.sample(np.random.default_rng(0), 500)
    columns = batch.obs[:, 0], batch.returns, batch.next_obs[:, 0], batch.discounts
    return set(zip(*(column.tolist() for column in columns), strict=True))


@pytest.mark.parametrize("terminates", [True, False])
def test_what_is_remembered_of_an_episode_of_four_steps(terminates: bool) -> None:
    """Three-step returns with gamma 0.5; each step gives 1, the observation counts the steps."""
    kwargs = {"terminal": 4} if terminates else {}
    dqn = make(
        "small_worlds:Corridor-v0",
        kwargs,
        return_steps=3,
        gamma=0.5,
        rollout_length=4,
        n_steps=10,
        learning_starts=400,
    )
    learn(dqn, 1)
    end = 0.0 if terminates else 1.0
    assert remembered(dqn.buffer) == {
        (0, 1.75, 3, 0.125),
        (1, 1.75, 4, 0.125 * end),
        (2, 1.5, 4, 0.25 * end),
        (3, 1.0, 4, 0.5 * end),
    }


def test_rewards_are_clipped_and_scaled_for_learning_alone() -> None:
    dqn = make("small_worlds:Corridor-v0", reward_clip=0.25, reward_scale=0.5, rollout_length=4)
    [row] = learn(dqn, 1)
    assert row["return_mean"] == 4.0
    assert {transition[1] for transition in remembered(dqn.buffer)} == {0.125}


@pytest.mark.parametrize("cut_returns", [True, False])
def test_returns_end_where_a_life_is_lost(cut_returns: bool) -> None:
    kwargs = {"pixels": "atari", "fire": True, "noop_max": 0, "repeat_action_probability": 0.0}
    settings = {"n_steps": 40, "learning_starts": 400, "buffer_size": 400}
    dqn = make("ALE/Breakout-v5", kwargs, cut_returns=cut_returns, **settings)
    learn(dqn, 1)
    batch = dqn.buffer.sample(np.random.default_rng(0), 400)
    ends = {
        index for index, d in zip(batch.indices.tolist(), batch.discounts, strict=True) if not d
    }
    assert dqn.episodes == 0
    assert len(ends) == (1 if cut_returns else 0)
    # The frames go on: the stack after the loss has those from before it.
    for index, obs in zip(batch.indices.tolist(), batch.obs, strict=True):
        if index - 1 in ends:
            assert (obs[-1] != obs[0]).any()


# Resuming

SQUASH = f"Squash --n-envs 1 --train-freq 4 --conv-layers 4 8 4 --hidden-sizes 8 {SMALL}"


@pytest.mark.parametrize(
    "words",
    [
        f"CartPole-v1 --n-envs 2 --hidden-sizes 8 --train-freq 8 --gradient-steps 8 {SMALL}",
        f"{SQUASH} --save-buffer --return-steps 2",
    ],
)
def test_4_iterations_resumed_to_10_are_10(words: str, tmp_path: Path) -> None:
    whole = train(tmp_path / "whole", f"{words} --n-iterations 10")
    parts = train(tmp_path / "parts", f"{words} --n-iterations 4")
    ars.train.main(["--resume", str(parts), "--n-iterations", "10"])
    assert outcome(parts) == outcome(whole)


def test_a_buffer_of_images_is_left_out_unless_asked_for_and_then_refills(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = train(tmp_path / "run", f"{SQUASH} --n-iterations 3")
    assert "leave the replay buffer out; --save-buffer would add up to 0.1 MB" in (
        capsys.readouterr().out
    )
    ars.train.main(["--resume", str(folder), "--n-iterations", "6"])
    out = capsys.readouterr().out
    assert "the replay buffer was not saved: it refills, and learning goes on after 60" in out
    header, *rows = (line.split(",") for line in (folder / "progress.csv").read_text().split())
    updates = [int(row[header.index("updates")]) for row in rows]
    assert updates == [0, 6, 10, 0, 6, 10]


def test_images_on_a_device_are_learned_from_as_in_the_main_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = f"{SQUASH} --save-buffer --n-iterations 6"
    here = train(tmp_path / "here", words)
    on_device = partial(GpuFrameStorage, torch.device("cpu"))
    monkeypatch.setattr(DQN, "_frame_storage", lambda self: on_device)
    there = train(tmp_path / "there", words.replace("--n-iterations 6", "--n-iterations 3"))
    ars.train.main(["--resume", str(there), "--n-iterations", "6"])
    assert outcome(there) == outcome(here)


@pytest.mark.parametrize(("size", "turned"), [(32, False), (32, True), (30, True)])
def test_stacks_are_drawn_as_they_were_seen_however_they_lie(size: int, turned: bool) -> None:
    kwargs = {"size": size, "turned": turned}
    dqn = make("small_worlds:Stacks-v0", kwargs, conv_layers=(2, 8, 4), epsilon_end=1.0)
    assert turned == (dqn.buffer.nbytes > 4 * dqn.buffer.capacity * size**2)  # kept whole
    dqn.environments.reset()
    seen = [dqn.environments.obs[0].tobytes()]
    for _ in range(60):
        dqn._play(np.ones(1, np.bool_), np.zeros(1, np.int64))
        seen.append(dqn.environments.obs[0].tobytes())
    drawn = dqn.buffer.sample(np.random.default_rng(0), 200)
    assert {obs.tobytes() for obs in drawn.obs} <= set(seen)
    dqn.close()


def test_stacked_images_that_fail_as_they_are_looked_at_are_one_line() -> None:
    with pytest.raises(
        RunError,
        match=r"^small_worlds:Stacks-v0: OSError: no camera \(at .*small_worlds\.py:\d+\)$",
    ):
        make("small_worlds:Stacks-v0", {"broken": True}, conv_layers=(2, 8, 4))


def test_a_buffer_that_no_memory_can_hold_is_refused() -> None:
    for size, told in (
        (10**15, "too large for the memory"),
        (10**18, "too large for the memory"),
        (10**30, f"must be at most {10**18}"),
    ):
        with pytest.raises(UsageError, match=rf"`buffer_size` {size}: {told}"):
            make("CartPole-v1", buffer_size=size)
