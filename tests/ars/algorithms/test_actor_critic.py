"""Actor-critics against gradients worked out by hand, and on what can be learnt in a moment."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from closeness import close
from learners import gradient, learn, make, mean_return, set_parameters

import ars.train
from ars.algorithms.actor_critic import A2C, ActorCritic
from ars.algorithms.on_policy import Segment

PLAIN = {"gamma": 0.5, "max_grad_norm": 0.0}


def identity(kind: type[Any] = ActorCritic, **settings: Any) -> Any:
    return make(kind, "small_worlds:Identity-v0", **{**PLAIN, **settings})


def segment(
    rewards: list[float],
    actions: list[int],
    values: list[float],
    next_values: list[float],
    end: str = "",
) -> Segment:
    """Steps of one environment; the last "terminated" or was "truncated"."""
    n = len(rewards)
    last = np.arange(n) == n - 1
    columns = (
        np.eye(3)[np.arange(n) % 3].astype(np.float32),
        np.array(actions),
        np.zeros((n, 3), np.float32),
        *(np.array(column, np.float32) for column in (values, next_values, rewards)),
        last & (end == "terminated"),
        last & (end != ""),
    )
    return Segment(*(column[:, None] for column in columns))


def test_one_step_by_hand() -> None:
    critic = identity()
    set_parameters(critic)
    critic._update(segment([1.0], [0], [0.5], [2.0]))
    # Target 1 + 2/2, advantage 2 - 0.5; all probabilities 1/3
    close(gradient(critic, "actor.bias"), [-1.5 * 2 / 3, 1.5 / 3, 1.5 / 3])
    # The network's own value is 0: 1/2 d(0 - 2)^2
    close(gradient(critic, "critic.bias"), [-2.0])


@pytest.mark.parametrize(
    ("end", "advantages"),
    [
        # delta: 1 + 1/2 - 0.5 = 1; 2 + 2/2 - 1 = 2, or 2 - 1 = 1 where nothing follows
        ("", (2.0, 2.0)),
        ("truncated", (2.0, 2.0)),
        ("terminated", (1.5, 1.0)),
    ],
)
def test_n_steps_by_hand(end: str, advantages: tuple[float, float]) -> None:
    a2c = identity(A2C, n_envs=1)
    set_parameters(a2c)
    a2c._update(segment([1.0, 2.0], [0, 1], [0.5, 1.0], [1.0, 2.0], end))
    first, second = advantages
    expected = [-(2 * first - second) / 6, -(2 * second - first) / 6, (first + second) / 6]
    close(gradient(a2c, "actor.bias"), expected)
    # Returns are advantages and values; 1/2 d(0 - G)^2
    returns = [first + 0.5, second + 1.0]
    close(gradient(a2c, "critic.bias"), [-sum(returns) / 2])


@pytest.mark.parametrize("env_id", ["small_worlds:Identity-v0", "small_worlds:Images-v0"])
@pytest.mark.parametrize("optimizer", ["adam", "rmsprop"])
def test_the_critic_may_have_a_step_size_of_its_own(optimizer: str, env_id: str) -> None:
    images = env_id.endswith("Images-v0")
    moves = []
    asked: list[dict[str, Any]] = [{}, {"critic_learning_rate": 0.06}]
    for rates in asked:
        layers: dict[str, Any] = {"conv_layers": (2, 8, 4)} if images else {}
        a2c = make(A2C, env_id, learning_rate=0.02, optimizer=optimizer, **layers, **rates)
        before = a2c.parameters.numpy()
        a2c.environments.reset()
        a2c._update(a2c._play(5))
        moves.append(a2c.parameters.numpy() - before)
        a2c.close()
    n = a2c.network.n_critic
    assert n == 8 + 1 if images else n == 3 * 8 + 8 + 8 + 1
    np.testing.assert_array_equal(moves[0][:-n], moves[1][:-n])
    close(3 * moves[0][-n:], moves[1][-n:])
    assert (moves[0][-n:] != 0).any()


def test_advantages_may_be_standardised() -> None:
    a2c = identity(A2C, n_envs=1, normalize_advantages=True, gae_lambda=0.0)
    set_parameters(a2c)
    a2c._update(segment([1.0, 2.0], [0, 1], [0.5, 1.0], [1.0, 2.0]))
    # Advantages 1 and 2: -z and z, their sample deviation being 1/sqrt(2)
    z = 0.5 * 2**0.5
    close(gradient(a2c, "actor.bias"), [z / 2, -z / 2, 0.0])


def test_a_q_critic_weighs_actions_by_their_own_value() -> None:
    critic = identity(critic="q")
    set_parameters(critic, critic__bias=[3.0, 0.0, 0.0])
    # A state is worth the mean over the policy's actions, here of the same probability.
    close(critic._values(np.eye(3, dtype=np.float32)), [1.0, 1.0, 1.0])
    critic._update(segment([1.0], [0], [1.0], [1.0]))
    # Target 1 + 1/2, of that action alone
    close(gradient(critic, "critic.bias"), [3.0 - 1.5, 0.0, 0.0])
    close(gradient(critic, "actor.bias"), [-3.0 * 2 / 3, 1.0, 1.0])


def test_the_value_of_the_only_action_is_the_state_s() -> None:
    only = make(ActorCritic, "small_worlds:OneChoice-v0", critic="q", update="episode", n_envs=2)
    set_parameters(only, critic__bias=[3.0])
    close(only._values(np.eye(3, dtype=np.float32)), [3.0, 3.0, 3.0])
    learn(only, 2)


@pytest.mark.parametrize("update", ["step", "episode", "n-step"])
@pytest.mark.parametrize("critic", ["v", "q"])
def test_a_time_limit_is_not_an_end(update: str, critic: str) -> None:
    """1 a step for ever is worth 1 / (1 - gamma), though every episode is cut off after 5."""
    values = {}
    for env_id, kwargs in (
        ("small_worlds:ShortCorridor-v0", {}),
        ("small_worlds:Corridor-v0", {"terminal": 5}),
    ):
        settings = {"update": update, "critic": critic, "iteration_steps": 400}
        found = make(ActorCritic, env_id, kwargs, **PLAIN, **settings, learning_rate=0.02)
        learn(found, 2)
        last = np.array([[4.0]], np.float32)
        values[env_id] = float(found._values(last)[0])
    endless, ending = values.values()
    assert endless == pytest.approx(2.0, abs=0.2)
    assert ending == pytest.approx(1.0, abs=0.2)


@pytest.mark.parametrize("update", ["step", "episode", "n-step"])
def test_how_often_it_learns(update: str) -> None:
    """An iteration of 40 steps, episodes of 20 steps, 2 environments."""
    settings: dict[str, Any] = {"iteration_steps": 40, "n_envs": 2, "update": update}
    algorithm = identity(**settings)
    learn(algorithm, 1)
    assert algorithm.optimizer.steps == {"step": 40, "episode": 4, "n-step": 8}[update]
    assert algorithm.timesteps == 80


def test_penalties_are_for_training_alone() -> None:
    """The stand-in is always 5 away from its pad and gives 1 a step."""
    settings: dict[str, Any] = {
        "distance_penalty": 0.1,
        "time_penalty": 0.2,
        "reward_scale": 2.0,
        "gamma": 0.0,
    }
    algorithm = make(A2C, "small_worlds:LunarLanderStandIn-v0", **settings, learning_rate=0.01)
    rows = learn(algorithm, 2)
    place = np.array([[3.0, 4.0, 0.0]], np.float32)
    assert algorithm._values(place)[0] == pytest.approx(2.0 * (1.0 - 0.5 - 0.2), abs=0.04)
    assert rows[-1]["return_mean"] == 10.0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            "CartPole-v1 --algo a2c --distance-penalty 1",
            "no goal of CartPole-v1 is known; there is one in LunarLander",
        ),
        ("Pendulum-v1 --algo actor-critic --critic q", "and this one is a Box; use v"),
        ("CartPole-v1 --algo a2c --update step --n-steps 5", "--n-steps 5: has no meaning with"),
        ("CartPole-v1 --algo a2c --iteration-steps 12", "must be a multiple of --n-steps 5"),
        ("CartPole-v1 --algo a2c --gae-lambda 1.1", "--gae-lambda 1.1: must be at most 1"),
        ("CartPole-v1 --algo a2c --critic q --gae-lambda 0.9", "with --critic q, only with v"),
        ("CartPole-v1 --algo a2c --critic q --normalize-advantages", "--normalize-advantages: has"),
        (
            "CartPole-v1 --algo actor-critic --normalize-advantages",
            "where an update is of one step",
        ),
        ("CartPole-v1 --algo a2c --update never", "--update never: must be one of step, episode"),
    ],
)
def test_wrong_words_end_in_one_line(
    words: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        ars.train.main(words.split())
    err = capsys.readouterr().err
    assert stopped.value.code == 2
    assert message in err and err.count("\n") == 1


@pytest.mark.parametrize(
    ("kind", "env_id", "settings"),
    [
        (A2C, "small_worlds:Identity-v0", {}),
        (A2C, "small_worlds:Identity-v0", {"gae_lambda": 0.9, "normalize_advantages": True}),
        (A2C, "small_worlds:IdentityBox-v0", {"log_std_init": -1.0, "optimizer": "adam"}),
        (A2C, "small_worlds:Images-v0", {"iteration_steps": 80}),
        (ActorCritic, "small_worlds:Identity-v0", {"normalize_observations": True}),
        (ActorCritic, "small_worlds:Identity-v0", {"update": "episode", "n_envs": 4}),
        (ActorCritic, "small_worlds:Identity-v0", {"critic": "q"}),
        (
            ActorCritic,
            "small_worlds:Identity-v0",
            {"critic": "q", "update": "episode", "n_envs": 4},
        ),
        (A2C, "small_worlds:Images-v0", {"critic": "q", "iteration_steps": 80}),
    ],
)
def test_the_obvious_is_learnt(kind: type[Any], env_id: str, settings: dict[str, Any]) -> None:
    given = {"gamma": 0.0, "learning_rate": 0.01, "iteration_steps": 200, **settings}
    algorithm = make(kind, env_id, **given)
    before = mean_return(algorithm)
    learn(algorithm, 8)
    assert before < 16
    assert mean_return(algorithm) > 19.5
