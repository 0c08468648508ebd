"""DQN: its targets worked out by hand, its schedules, and that it learns."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from closeness import close
from learners import learn, mean_return, set_parameters
from small_dqn import SMALL, make, train
from torch import tensor

import ars.train
from ars.learning.transitions import Transitions
from ars.training.resolve import resolve_new
from policies import load_policy

pytestmark = pytest.mark.usefixtures("one_thread")


# Learning


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"dueling": True, "prioritized": True, "return_steps": 2, "gamma": 0.1},
        {"double": False, "loss": "squared", "optimizer": "rmsprop", "n_envs": 3},
        {"train_freq": 4, "gradient_steps": 4, "target_update": 1, "target_tau": 0.1},
    ],
)
def test_the_obvious_is_learnt(settings: dict[str, Any]) -> None:
    dqn = make("small_worlds:Identity-v0", {"start": 5}, **{"gamma": 0.0, **settings})
    before = mean_return(dqn)
    learn(dqn, 40)
    assert before < 16
    assert mean_return(dqn) > 19


@pytest.mark.parametrize("settings", [{}, {"dueling": True}])
def test_the_obvious_is_learnt_from_images(settings: dict[str, Any]) -> None:
    small = {"conv_layers": (4, 8, 4, 8, 4, 2), "hidden_sizes": (16,), "learning_rate": 0.003}
    dqn = make("small_worlds:Images-v0", gamma=0.0, **{**small, **settings})
    learn(dqn, 30)
    assert mean_return(dqn) > 19


def test_values_are_those_of_the_end_that_an_episode_had() -> None:
    """Every step gives 1: an end after 3 leaves 1.75, 1.5, 1; without one there are always 2."""
    settings: dict[str, Any] = {
        "gamma": 0.5,
        "epsilon_end": 1.0,
        "hidden_sizes": (16,),
        "train_freq": 2,
    }
    ends = make("small_worlds:Corridor-v0", {"terminal": 3}, **settings)
    learn(ends, 60)
    worth = ends.inference(np.arange(3, dtype=np.float32)[:, None])
    assert worth.max(1) == pytest.approx([1.75, 1.5, 1.0], abs=0.1)
    # Truncated after one step: the value of what follows is bootstrapped, and is never an end's.
    goes_on = make("small_worlds:Corridor-v0", rollout_length=1, **settings)
    goes_on.target.forward = lambda obs: (torch.where(obs == 1.0, 2.0, 100.0).expand(-1, 2),)
    learn(goes_on, 40)
    worth = goes_on.inference(np.zeros((1, 1), np.float32))
    assert worth[0] == pytest.approx([2.0, 2.0], abs=0.1)


# Targets


def transitions(n: int, returns: list[float], discounts: list[float]) -> Transitions:
    zeros = torch.zeros(n, 4)
    actions = torch.zeros(n, 1, dtype=torch.int64)
    return Transitions(zeros, actions, tensor(returns), tensor(discounts), zeros, torch.ones(n))


@pytest.mark.parametrize(
    ("double", "expected"),
    [
        (False, [1.0 + 0.5 * 5.0, 2.0 + 0.25 * 7.0, 3.0]),
        # The online network prefers actions 1, 1, 0; the target network says what they are worth.
        (True, [1.0 + 0.5 * 4.0, 2.0 + 0.25 * 7.0, 3.0]),
    ],
)
def test_targets(double: bool, expected: list[float]) -> None:
    dqn = make("CartPole-v1", double=double)
    dqn.target.forward = lambda obs: (tensor([[5.0, 4.0], [6.0, 7.0], [8.0, 9.0]]),)
    dqn.network.forward = lambda obs: (tensor([[0.0, 1.0], [2.0, 3.0], [5.0, 4.0]]),)
    targets = dqn._targets(transitions(3, [1.0, 2.0, 3.0], [0.5, 0.25, 0.0]))
    assert targets.tolist() == expected
    dqn.close()


def fill(dqn: Any, rewards: list[float], terminated: bool = False) -> None:
    """Add steps of the first action to the buffer."""
    obs, no = np.zeros((1, 4)), np.zeros(1, np.bool_)
    for reward in rewards:
        dqn.buffer.add(obs, np.zeros(1, np.int64), np.array([reward]), no | terminated, no, obs)


@pytest.mark.parametrize(("double", "nexts"), [(False, [8.0, 8.0]), (True, [2.0, 8.0])])
def test_targets_follow_the_network_through_a_round(double: bool, nexts: list[float]) -> None:
    """The first action seems the better one until its reward is learnt from."""
    dqn = make("CartPole-v1", double=double, gradient_steps=2, gamma=0.5)
    set_parameters(dqn)
    dqn.parameters.data.detach()[-2:] = tensor([0.001, 0.0])
    dqn.target.forward = lambda obs: (tensor([[2.0, 8.0]]).expand(len(obs), -1),)
    fill(dqn, [-20.0] * 4)
    dqn._learn()
    assert [set(targets.tolist()) for _, targets, _ in dqn._learned] == [
        {-20.0 + 0.5 * value} for value in nexts
    ]
    dqn.close()


# Updates


@pytest.mark.parametrize(
    ("settings", "slopes"),
    [
        ({}, [0.5, 1.0]),
        ({"loss": "squared"}, [0.5, 3.0]),
        ({"prioritized": True}, [0.5, 0.5]),
        ({"prioritized": True, "loss": "squared"}, [0.5, 1.5]),
    ],
)
def test_errors_count_by_their_loss_and_weight(
    settings: dict[str, Any], slopes: list[float]
) -> None:
    """All values are 0; of errors 1/2 and 3 the second, of the other action, weighs 1/2."""
    dqn = make("CartPole-v1", max_grad_norm=0.0, **settings)
    set_parameters(dqn)
    batch = transitions(2, [0.0, 0.0], [0.0, 0.0])
    batch = batch._replace(actions=tensor([[0], [1]]), weights=tensor([1.0, 0.5]))
    errors = dqn._update(batch, tensor([0.5, 3.0]))
    assert errors.tolist() == [0.5, 3.0]
    close(dqn.parameters.grad[-2:], [-slope / 2 for slope in slopes])
    dqn.close()


def test_priorities_become_the_errors_of_what_was_drawn() -> None:
    dqn = make("CartPole-v1", prioritized=True, priority_alpha=1.0, batch_size=2)
    set_parameters(dqn)
    fill(dqn, [0.5, -3.0], terminated=True)  # of equal priorities each is drawn once
    dqn._learn()
    close(dqn.buffer.state().arrays["priorities"][:3], [0.5, 3.0, 0.0])
    dqn.close()


# Schedules


def test_epsilon_falls_in_a_line_and_stays() -> None:
    dqn = make("CartPole-v1", epsilon_start=0.9, epsilon_end=0.1, exploration_steps=200)
    seen = []
    for dqn.timesteps in (0, 50, 200, 5000):
        seen.append(dqn.epsilon)
    assert seen == pytest.approx([0.9, 0.7, 0.1, 0.1])
    dqn.close()


@pytest.mark.parametrize(("epsilon", "share"), [(0.0, 0.0), (0.5, 0.25), (1.0, 0.5)])
def test_actions_are_random_as_often_as_epsilon_says(epsilon: float, share: float) -> None:
    """Of two actions a random one is the other in half of the cases."""
    dqn = make(
        "small_worlds:Corridor-v0",
        epsilon_start=epsilon,
        epsilon_end=epsilon,
        n_steps=500,
        n_envs=4,
        buffer_size=2000,
        learning_starts=2000,
    )
    dqn.inference = lambda obs: np.tile([0.0, 1.0], (len(obs), 1))
    learn(dqn, 1)
    actions = dqn.buffer.sample(np.random.default_rng(0), 4000).actions
    assert (actions == 0).mean() == pytest.approx(share, abs=0.04 if share else 0)


def test_learning_starts_and_comes_as_often_as_asked() -> None:
    settings: dict[str, Any] = {"n_envs": 2, "n_steps": 15, "train_freq": 5, "gradient_steps": 3}
    dqn = make("CartPole-v1", learning_starts=40, **settings)
    rows = learn(dqn, 3)
    # Rounds after steps 20, 25, 30 ... of each environment: 40 timesteps are 20 steps.
    assert [row["updates"] for row in rows] == [0, 9, 9]
    assert math.isnan(rows[0]["loss"]) and rows[1]["loss"] > 0
    assert [row["epsilon"] for row in rows] == pytest.approx(
        [1 - 0.95 * t / 400 for t in (30, 60, 90)]
    )


def test_learning_may_start_at_once() -> None:
    [row] = learn(make("CartPole-v1", learning_starts=0, return_steps=3), 1)
    assert row["updates"] == 18  # from the step on whose return is whole


@pytest.mark.parametrize(
    ("tau", "expected"), [(1.0, [0.0, 0.0, 1.0, 1.0]), (0.5, [0, 0, 0.5, 0.5])]
)
def test_the_target_network_is_renewed_every_so_many_timesteps(
    tau: float, expected: list[float]
) -> None:
    dqn = make(
        "CartPole-v1", n_envs=2, n_steps=1, target_update=6, target_tau=tau, learning_starts=500
    )
    dqn.parameters.load(np.zeros(dqn.parameters.data.numel(), np.float32))
    dqn._update_target(1.0)
    dqn.parameters.load(np.ones(dqn.parameters.data.numel(), np.float32))
    seen: list[float] = []
    dqn.environments.reset()
    for _ in range(4):
        dqn._iterate()
        values = set(dqn._target_parameters.numpy().tolist())
        assert len(values) == 1
        seen += values
    assert seen == expected
    dqn.close()


def test_prioritised_replay_corrects_for_its_bias_in_full_at_the_horizon() -> None:
    seen: list[float] = []
    dqn = make("CartPole-v1", prioritized=True, priority_beta=0.4, horizon=100)
    draw = dqn.buffer.sample_weighted

    def watch(rng: Any, n: int, beta: float) -> Any:
        seen.append(beta)
        return draw(rng, n, beta)

    dqn.buffer.sample_weighted = watch
    learn(dqn, 6)
    assert len(seen) == 101  # from timestep 20 to 120
    assert seen[0] == pytest.approx(0.4 + 0.6 * 0.2)
    assert seen[80:] == [1.0] * 21


# Runs


def test_a_run_that_starts_from_a_policy_has_its_values_as_targets(tmp_path: Path) -> None:
    folder = train(tmp_path / "run", f"CartPole-v1 --hidden-sizes 8 {SMALL} --n-iterations 3")
    dqn = make("CartPole-v1")
    dqn.start_from(load_policy(folder / "policy.safetensors"))
    assert (dqn._target_parameters.numpy() == dqn.parameters.numpy()).all()
    assert (dqn.snapshot().weights == load_policy(folder / "policy.safetensors").weights).all()
    dqn.close()


def test_presets_know_how_a_game_is_seen() -> None:
    seen = {"pixels": "atari", "fire": True}
    given = {"algo": "dqn"}
    assert resolve_new("ALE/Pong-v5", given).env_kwargs == seen
    assert resolve_new("ALE/Freeway-v5", given).env_kwargs == {}
    plan = resolve_new(
        "ALE/Freeway-v5", {**given, "preset": "atari", "env_kwargs": {"fire": False}}
    )
    assert plan.env_kwargs == {**seen, "fire": False}
    assert resolve_new("ALE/Pong-v5", {**given, "pixels": "pong"}).env_kwargs == {"pixels": "pong"}
    assert resolve_new("ALE/Pong-v5", {"algo": "ppo"}).env_kwargs == seen
    karpathy = resolve_new("ALE/Pong-v5", {"algo": "reinforce"})
    assert (karpathy.env_kwargs, karpathy.algorithm.hidden_sizes) == ({"pixels": "pong"}, (200,))
    # Nor do its convolutions bind another kind of policy.
    assert resolve_new("Squash", {**given, "policy": "mlp"}).algorithm.conv_layers == ()


# Wrong words


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("Pendulum-v1", "--algo dqn: chooses among Discrete actions, and those of Pendulum-v1 are"),
        (
            "CartPole-v1 --batch-size 64 --buffer-size 50 --learning-starts 0",
            "--batch-size 64: more",
        ),
        ("CartPole-v1 --buffer-size 500", "--learning-starts 1000: more than the 500 transitions"),
        (
            "CartPole-v1 --n-envs 8 --return-steps 10 --buffer-size 79 --learning-starts 0",
            "--return-steps 10: more than the 79 transitions of --buffer-size",
        ),
        ("CartPole-v1 --epsilon-end 2", "--epsilon-end 2.0: must be at most 1"),
        ("CartPole-v1 --target-tau 1.5", "--target-tau 1.5: must be at most 1"),
        ("CartPole-v1 --priority-alpha 0.5", "--priority-alpha 0.5: has no meaning without --prio"),
        ("CartPole-v1 --train-freq 0", "--train-freq 0: must be at least 1"),
        ("CartPole-v1 --optimizer sgd", "--optimizer sgd: must be one of adam, rmsprop"),
        ("CartPole-v1 --loss hubert", "did you mean huber?"),
    ],
)
def test_wrong_words_end_in_one_line(
    words: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        ars.train.main([*words.split(), "--algo", "dqn"])
    out, err = capsys.readouterr()
    assert stopped.value.code == 2
    assert err.startswith("error: ") and err.count("\n") == 1 and message in err
    assert "run folder" not in out


def test_the_row_tells_of_learning(tmp_path: Path) -> None:
    folder = train(tmp_path / "run", f"CartPole-v1 --hidden-sizes 8 {SMALL} --n-iterations 2")
    header = (folder / "progress.csv").read_text().splitlines()[0].split(",")
    assert {"loss", "q_mean", "grad_norm", "updates", "epsilon", "learning_rate"} <= set(header)
    assert json.loads((folder / "config.json").read_text())["algo"] == "dqn"
