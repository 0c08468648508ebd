"""PPO learns what can be learnt in a moment, and keeps to its paper where that can be computed."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from closeness import close
from learners import set_parameters

import ars.train
import envs
from ars.algorithms.base import TrainingContext
from ars.algorithms.ppo import PPO, PPOConfig, RolloutSamples
from ars.common.settings import make_config
from ars.learning import losses
from ars.rollout.episode import rollout
from ars.rollout.pool import LocalPool
from policies import load_policy

TINY = {"n_envs": 4, "n_steps": 8, "batch_size": 8, "n_epochs": 2, "hidden_sizes": (8,)}


def make(env_id: str, env_kwargs: dict[str, Any] | None = None, **settings: Any) -> PPO:
    env = envs.make(env_id, **(env_kwargs or {}))
    task = TrainingContext(
        env_id, env.observation_space, env.action_space, env_kwargs or {}, seed=3
    )
    env.close()
    return PPO(make_config(PPOConfig, {**TINY, **settings}), task)


def mean_return(ppo: PPO, env_kwargs: dict[str, Any] | None = None) -> float:
    env = envs.make(ppo.context.env_id, **(env_kwargs or {}))
    ppo.policy.weights = ppo.snapshot().weights
    ppo.policy.normalizer = ppo.snapshot().normalizer
    returns = [rollout(env, ppo.policy, seed, 1000).total_reward for seed in range(10)]
    env.close()
    return float(np.mean(returns))


def learn(ppo: PPO, iterations: int) -> None:
    pool = LocalPool(ppo.rollout_spec)
    for _ in range(iterations):
        ppo.iterate(pool)
    pool.close()
    ppo.close()


VECTORS = {"n_steps": 32, "batch_size": 32, "n_epochs": 8, "learning_rate": 3e-3}
IMAGES = {
    "n_steps": 16,
    "batch_size": 64,
    "n_epochs": 4,
    "learning_rate": 1e-3,
    "hidden_sizes": (16,),
}


@pytest.mark.parametrize(
    ("env_id", "env_kwargs", "settings"),
    [
        ("small_worlds:Identity-v0", {"start": 5}, VECTORS),
        (
            "small_worlds:Identity-v0",
            {},
            {**VECTORS, "normalize_observations": True, "value_clip": 0.2, "entropy_coef": 0.001},
        ),
        (
            "small_worlds:IdentityBox-v0",
            {},
            {**VECTORS, "log_std_init": -1.0, "normalize_rewards": True},
        ),
        ("small_worlds:Images-v0", {}, IMAGES),
    ],
)
@pytest.mark.usefixtures("one_thread")
def test_the_obvious_is_learnt(
    env_id: str, env_kwargs: dict[str, Any], settings: dict[str, Any]
) -> None:
    ppo = make(env_id, env_kwargs, gamma=0.0, **settings)
    before = mean_return(ppo, env_kwargs)
    learn(ppo, 16)
    assert before < 16
    assert mean_return(ppo, env_kwargs) > 19


def test_a_truncated_episode_goes_on_in_its_values() -> None:
    """Observations count the steps: what is worth what can be read off."""
    ppo = make("small_worlds:ShortCorridor-v0", n_envs=2, rollout_length=3)
    ppo.environments.reset()
    segment = ppo._play(7)
    worth = ppo.inference.values(np.arange(5, dtype=np.float32)[:, None]).tolist()
    acted_on, led_to = [0, 1, 2, 0, 1, 2, 0], [1, 2, 3, 1, 2, 3, 1]
    for env in range(2):
        assert segment.inputs[:, env, 0].tolist() == acted_on
        close(segment.values[:, env], [worth[k] for k in acted_on])
        close(segment.next_values[:, env], [worth[k] for k in led_to])
        assert segment.ended[:, env].tolist() == [False, False, True] * 2 + [False]
    assert not segment.terminated.any()
    ppo.close()


@pytest.mark.parametrize("cut_returns", [True, False])
def test_returns_may_end_with_a_life(cut_returns: bool) -> None:
    ppo = make("small_worlds:Corridor-v0", {"cut": 2}, n_envs=1, cut_returns=cut_returns)
    ppo.environments.reset()
    segment = ppo._play(4)
    assert segment.inputs[:, 0, 0].tolist() == [0, 1, 2, 3]
    assert segment.terminated[:, 0].tolist() == [False, cut_returns, False, False]
    assert segment.ended.tolist() == segment.terminated.tolist()
    ppo.close()


def test_a_terminal_state_is_worth_nothing() -> None:
    """One step an episode, reward 1: every advantage is 1 - V, whatever the network says."""
    ppo = make("small_worlds:Corridor-v0", {"terminal": 1}, n_steps=4)
    ppo.environments.reset()
    batch = ppo._batch(ppo._play(4))
    close(batch.targets, torch.ones_like(batch.targets))
    close(batch.advantages, 1.0 - batch.old_values, scale=1.0)
    ppo.close()


def test_advantages_are_estimated_with_the_lambda_that_is_asked_for() -> None:
    """Reward 1 and value 4 at every step: each temporal-difference error is 1 + 4/2 - 4."""
    ppo = make("small_worlds:Corridor-v0", n_envs=1, gamma=0.5, gae_lambda=0.25)
    set_parameters(ppo, critic__bias=[4.0])
    ppo.environments.reset()
    batch = ppo._batch(ppo._play(3))
    advantages = [-(1 + 0.125 + 0.125**2), -(1 + 0.125), -1.0]
    close(batch.advantages, advantages)
    close(batch.targets, [4.0 + advantage for advantage in advantages])
    ppo.close()


def minibatch(ppo: PPO, n: int) -> RolloutSamples:
    """Random steps, on every side of every bound."""
    rng = np.random.default_rng(0)
    obs = torch.from_numpy(rng.standard_normal((n, 3)).astype(np.float32))
    outputs, values = (part.detach() for part in ppo.network(obs))
    actions = torch.from_numpy(ppo._draw(outputs.numpy()))
    log_probs = ppo._distribution(outputs).log_prob(actions)
    noise = torch.from_numpy(rng.standard_normal((4, n)).astype(np.float32))
    return RolloutSamples(
        obs, actions, log_probs + 0.3 * noise[0], values + noise[1], noise[2], values + 2 * noise[3]
    )


@pytest.mark.parametrize("normalize_advantages", [False, True])
@pytest.mark.parametrize("value_clip", [None, 0.5])
@pytest.mark.parametrize("env_id", ["small_worlds:Identity-v0", "small_worlds:IdentityBox-v0"])
def test_a_step_follows_the_gradient_of_equation_9(
    env_id: str, value_clip: float | None, normalize_advantages: bool
) -> None:
    n = 32
    ppo = make(
        env_id,
        batch_size=n,
        n_epochs=1,
        max_grad_norm=0.0,
        value_clip=value_clip,
        value_coef=0.7,
        entropy_coef=0.3,
        normalize_advantages=normalize_advantages,
    )
    batch, twin = minibatch(ppo, n), copy.deepcopy(ppo.network)
    ppo._optimize(batch, 0.15)
    outputs, values = twin(batch.obs)
    if twin.log_std is None:
        pi: Any = torch.distributions.Categorical(logits=outputs)
    else:
        normal = torch.distributions.Normal(outputs, twin.log_std.exp())
        pi = torch.distributions.Independent(normal, 1)
    ratios, advantages = (pi.log_prob(batch.actions) - batch.old_log_probs).exp(), batch.advantages
    if normalize_advantages:
        advantages = (advantages - advantages.mean()) / advantages.std()
    gains = torch.minimum(ratios * advantages, ratios.clamp(0.85, 1.15) * advantages)
    errors = (values - batch.targets).square()
    if value_clip is not None:
        moved = (values - batch.old_values).clamp(-value_clip, value_clip)
        errors = torch.maximum(errors, (batch.old_values + moved - batch.targets).square())
    loss = -gains.mean() + 0.7 * errors.mean() - 0.3 * pi.entropy().mean()
    expected = torch.autograd.grad(loss, [*twin.parameters()])
    close(ppo.parameters.grad, torch.cat([part.ravel() for part in expected]))
    ppo.close()


def test_an_epoch_takes_every_step_once_in_an_order_of_its_own() -> None:
    ppo = make("CartPole-v1", batch_size=12, normalize_advantages=False)
    batch = RolloutSamples(*[torch.arange(32.0)] * 6)
    orders = []
    for _ in range(2):
        parts = [*ppo._minibatches(batch)]
        assert [len(part.obs) for part in parts] == [12, 12, 8]
        assert all(torch.equal(column, part.obs) for part in parts for column in part)
        orders.append(torch.cat([part.obs for part in parts]).tolist())
    assert sorted(orders[0]) == sorted(orders[1]) == [*range(32)]
    assert orders[0] != orders[1] and [*range(32)] not in orders
    ppo.close()


@pytest.mark.parametrize(
    ("env_id", "settings"),
    [("CartPole-v1", {}), ("small_worlds:IdentityBox-v0", {"log_std_init": -0.5})],
)
def test_the_first_ratio_is_1(env_id: str, settings: dict[str, Any]) -> None:
    """What acted and what learns agree on every action's probability."""
    ppo = make(env_id, **settings)
    ppo.environments.reset()
    batch = ppo._batch(ppo._play(8))
    outputs, values = ppo.network(batch.obs)
    log_probs = ppo._distribution(outputs).log_prob(batch.actions)
    torch.testing.assert_close(log_probs, batch.old_log_probs, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(values, batch.old_values, rtol=1e-5, atol=1e-5)
    ppo.close()


def test_rewards_are_scaled_by_the_deviation_of_discounted_returns() -> None:
    ppo = make("small_worlds:Corridor-v0", gamma=0.5, n_envs=1, rollout_length=2)
    ended = np.array([[False], [True], [False], [False]])
    rewards = np.array([[1.0], [2.0], [4.0], [4.0]])
    # Discounted returns 1, 0.5 + 2, then anew 4, 2 + 4.
    scale = np.std([1.0, 2.5, 4.0, 6.0])
    np.testing.assert_allclose(ppo._normalized_rewards(rewards, ended), rewards / scale)
    again = ppo._normalized_rewards(rewards[:1], ended[:1])  # 3 + 1 follows
    np.testing.assert_allclose(again, 1.0 / np.std([1.0, 2.5, 4.0, 6.0, 4.0]))
    assert ppo._normalized_rewards(1000 * rewards[:1], ended[:1]).max() <= 10.0
    ppo.close()


def test_observations_are_normalised_by_what_was_seen_before() -> None:
    ppo = make("CartPole-v1", normalize_observations=True)
    pool = LocalPool(ppo.rollout_spec)
    first = ppo.snapshot().normalizer
    assert first is not None and (first.count, first.std.tolist()) == (0, [1.0] * 4)
    for iteration in range(1, 3):
        ppo.iterate(pool)
        normalizer = ppo.snapshot().normalizer
        assert normalizer is not None and normalizer.count == iteration * 32
        assert normalizer.rule.clip == 10.0
    pool.close()
    ppo.close()


def test_an_iteration_ends_where_the_policy_has_moved_far_enough() -> None:
    moved = []
    for target_kl in (None, 1e-5):
        ppo = make("CartPole-v1", target_kl=target_kl, n_epochs=20, learning_rate=1e-2)
        row = ppo.iterate(LocalPool(ppo.rollout_spec))
        moved.append((ppo.optimizer.steps, row["approximate_kl"]))
        ppo.close()
    assert moved[0][0] == 20 * 4
    assert moved[1][0] < 20
    assert moved[1][1] < moved[0][1]


def test_it_ends_beyond_one_and_a_half_times_the_target(monkeypatch: pytest.MonkeyPatch) -> None:
    divergences = iter([0.0, 0.149, 0.151])
    monkeypatch.setattr(losses, "approximate_kl", lambda *ratio: torch.tensor(next(divergences)))
    ppo = make("CartPole-v1", target_kl=0.1)
    ppo.iterate(LocalPool(ppo.rollout_spec))
    assert ppo.optimizer.steps == 2
    ppo.close()


def test_schedules_end_at_the_horizon(monkeypatch: pytest.MonkeyPatch) -> None:
    ppo = make(
        "CartPole-v1",
        horizon=64,
        learning_rate=0.01,
        learning_rate_schedule="linear",
        clip_range_schedule="linear",
    )
    clips: list[float] = []
    optimize = ppo._optimize

    def watch(batch: RolloutSamples, clip: float) -> dict[str, float]:
        clips.append(clip)
        return optimize(batch, clip)

    monkeypatch.setattr(ppo, "_optimize", watch)
    pool = LocalPool(ppo.rollout_spec)
    rates = [ppo.iterate(pool)["learning_rate"] for _ in range(2)]
    assert (rates, clips) == ([0.01, 0.005], [0.2, 0.1])
    assert (ppo._scheduled("learning_rate"), ppo._scheduled("clip_range")) == (0.0, 0.0)
    pool.close()
    ppo.close()


@pytest.mark.parametrize(("asked", "begins"), [({}, -1.5), ({"log_std_restart": -0.5}, -0.5)])
def test_noise_begins_as_asked_for_or_as_it_was(asked: dict[str, Any], begins: float) -> None:
    """In a run that starts from a trained policy."""
    trained = make("small_worlds:IdentityBox-v0", log_std_init=-1.5)
    policy = trained.policy
    policy.weights = weights = trained.snapshot().weights
    ppo = make("small_worlds:IdentityBox-v0", **asked)
    ppo.start_from(policy)
    n = policy.spec.n_network_weights
    assert ppo.snapshot().weights[:n].tolist() == weights[:n].tolist()
    assert ppo.snapshot().weights[n:].tolist() == [begins]
    ppo.close()
    trained.close()


def test_a_policy_of_ars_may_be_learnt_on(tmp_path: Path) -> None:
    """An ARS policy has no log deviations; PPO brings its own."""
    ars_run, ppo_run = tmp_path / "ars", tmp_path / "ppo"
    common = "Pendulum-v1 --n-iterations 1 --eval-episodes 1 --eval-freq 1 --hidden-sizes 8"
    ars_words = f"--run-dir {ars_run} --n-workers 0 --policy mlp --variant v1 --n-directions 1"
    ars.train.main(f"{common} {ars_words}".split())
    ppo_words = f"--run-dir {ppo_run} --algo ppo --n-steps 32 --learning-rate 1e-30"
    ars.train.main(f"{common} {ppo_words} --init-from {ars_run}".split())
    ours = load_policy(ppo_run / "policy.safetensors")
    theirs = load_policy(ars_run / "best_policy.safetensors")
    close(ours.network_weights, theirs.weights, 1e-6)
    assert abs(ours.weights[-1]) < 1e-20


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--batch-size 9 --n-envs 2 --n-steps 4", "--batch-size 9: more than the 8 steps"),
        ("--gae-lambda 1.1", "--gae-lambda 1.1: must be at most 1"),
        ("--clip-range 0", "--clip-range 0.0: must be greater than 0"),
        ("--clip-range-schedule cosine", "must be one of constant, linear"),
    ],
)
def test_wrong_words_end_in_one_line(
    words: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        ars.train.main(["CartPole-v1", "--algo", "ppo", *words.split()])
    assert stopped.value.code == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert message in err


def test_images_are_not_normalised(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["small_worlds:Images-v0", "--algo", "ppo", "--normalize-observations"]
    with pytest.raises(SystemExit) as stopped:
        ars.train.main(words)
    assert stopped.value.code == 2
    assert "--normalize-observations: has no meaning for images" in capsys.readouterr().err


def test_finite_observations_are_normalised_as_the_vectors_that_they_are() -> None:
    ppo = make("FrozenLake-v1", {"is_slippery": False}, normalize_observations=True)
    learn(ppo, 2)
    assert ppo.statistics is not None and ppo.statistics.count == 64
    close(ppo.statistics.mean.sum(), 1.0, 1e-12)  # each has a single 1
    assert (ppo.statistics.mean >= 0.0).all()
    several = make("Blackjack-v1", normalize_observations=True)  # a state of three numbers
    learn(several, 1)
    assert several.statistics is not None
    close(several.statistics.mean.sum(), 1.0, 1e-12)
