"""What tabular methods learn from episodes, against numbers written out."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
from learners import make
from rooms import DOORS

import envs
from ars.algorithms import ALGORITHMS
from ars.algorithms.tabular.learning import Learner
from ars.common.errors import RolloutError, UsageError
from ars.common.seeding import Stream, reset_seed
from ars.experience.states import SteppedEnv, SteppedModel
from envs.tabular.model import model_of
from policies import DiscreteSpec, FiniteSpec, observation_spec

LEARNERS = ["monte-carlo", "q-learning", "sarsa", "expected-sarsa"]
TD = LEARNERS[1:]


def learned(algo: str, env_id: str, iterations: int = 1, **settings: Any) -> Learner:
    """After so many iterations; an algorithm plays its episodes without the pool."""
    env_kwargs = settings.pop("env_kwargs", None)
    learner: Learner = make(ALGORITHMS[algo].load(), env_id, env_kwargs, **settings)
    for _ in range(iterations):
        learner.iterate(None)  # type: ignore[arg-type]
    learner.close()
    return learner


def greedy_path(learner: Learner, state: int, most: int = 50) -> list[int]:
    """The states that the best actions lead through in a world that leaves nothing to chance."""
    world: Any = envs.make(learner.context.env_id).unwrapped
    path, over = [state], False
    while not over and len(path) <= most:
        action = int(np.argmax(learner.table[path[-1]]))
        (_, state, _, over), *_ = world.P[path[-1]][action]
        path.append(int(state))
    return path


def test_q_learning_finds_the_table_of_the_rooms() -> None:
    found = learned(
        "q-learning", "Rooms", gamma=0.8, learning_rate=1.0, epsilon_end=1.0, n_episodes=8000
    )
    for (room, to), value in DOORS.items():
        assert found.table[room][to] == pytest.approx(value, abs=1e-9)
    path = greedy_path(found, 2, most=3)
    assert len(path) == 4 and path[-1] == 5  # three moves


@pytest.mark.parametrize("algo", TD)
def test_a_step_goes_as_far_to_its_target_as_the_step_size_says(algo: str) -> None:
    # One episode of the small tree with nothing but zeros in the table: root, 2, then its end.
    found = learned(algo, "SmallTree", epsilon_start=1.0, learning_rate=0.5, n_episodes=1, gamma=1)
    visited = [row for row in found.table if any(row)]
    assert {value for row in visited for value in row} <= {0.0, 2.5, 0.5, -500.0, 5.0}


def test_a_first_visit_s_return_is_averaged() -> None:
    found = learned("monte-carlo", "SmallTree", n_episodes=50, gamma=1.0, epsilon_end=1.0)
    assert found.table[0][0] == -995.0  # whatever is done after it
    assert found.table[0][1] == pytest.approx(1 + 10 * _share(found.visits, 2, 1))  # type: ignore[attr-defined]
    assert found.table[2] == [0.0, 10.0]


def _share(visits: list[list[float]], state: int, action: int) -> float:
    return visits[state][action] / sum(visits[state])


def test_the_grid_world_is_learned() -> None:
    found = learned(
        "q-learning",
        "GridWorld",
        env_kwargs={"living_reward": -0.4},
        gamma=1.0,
        learning_rate=0.1,
        learning_rate_schedule="linear",
        horizon=60_000,
        epsilon_end=0.5,
        n_episodes=15_000,
    )
    exact = make(
        ALGORITHMS["value-iteration"].load(), "GridWorld", {"living_reward": -0.4}, gamma=1
    )
    while exact.converged is None:
        exact.iterate(None)
    assert max(found.table[7]) == pytest.approx(-1.6002, abs=0.1)
    values = np.array(found.table).max(axis=1)
    assert np.abs(values - exact.values).max() < 0.2


def test_on_the_cliff_sarsa_is_careful_and_q_learning_short() -> None:
    # Sutton and Barto (2018), example 6.6: 500 episodes, epsilon 0.1, step size 0.5.
    settings: dict[str, Any] = {"gamma": 1.0, "learning_rate": 0.5, "n_episodes": 500}
    settings |= {"epsilon_start": 0.1, "epsilon_end": 0.1}
    returns, paths = {}, {}
    for algo in ("sarsa", "q-learning"):
        found: Any = make(ALGORITHMS[algo].load(), "CliffWalking-v1", **settings)
        played: list[float] = []
        keep = found._recent.add
        found._recent.add = lambda episodes, keep=keep, played=played: (
            played.extend(episode.total_reward for episode in episodes),
            keep(episodes),
        )
        found.iterate(None)
        returns[algo], paths[algo] = np.mean(played), greedy_path(found, 36)
    assert returns["sarsa"] > returns["q-learning"]
    assert len(paths["q-learning"]) - 1 == 13
    rows = [state // 12 for state in paths["sarsa"]]
    assert paths["sarsa"][-1] == 47
    assert rows.count(2) <= 3  # the edge; it is crossed at either end, not walked along


def exact_blackjack() -> Any:
    found = make(ALGORITHMS["value-iteration"].load(), "Blackjack", gamma=1.0)
    while found.converged is None:
        found.iterate(None)
    return np.array(found.table)


@pytest.mark.parametrize(
    ("algo", "settings"),
    [
        ("monte-carlo", {}),
        ("q-learning", {"learning_rate": 0.05, "learning_rate_schedule": "linear"}),
    ],
)
def test_blackjack_is_learned(algo: str, settings: dict[str, Any]) -> None:
    exact = exact_blackjack()
    world: Any = envs.make("Blackjack").unwrapped
    if "learning_rate_schedule" in settings:
        settings = {**settings, "horizon": 60_000}
    found = learned(
        algo, "Blackjack", gamma=1.0, epsilon_end=0.2, exploration_steps=30_000,
        n_episodes=40_000, **settings,
    )  # fmt: skip
    learned_table = np.array(found.table)
    eighteen = world.number(18, 9)
    assert exact[eighteen] == pytest.approx([-0.1832, -0.6165], abs=1e-4)
    assert learned_table[eighteen, 0] > learned_table[eighteen, 1]
    # Weighed by how often a deal begins there: staying, whose value no later action changes, and
    # the value of the best action.
    starts = world.initial_state_distrib
    staying = np.abs(learned_table[:, 0] - exact[:, 0]) @ starts
    best = np.abs(learned_table.max(axis=1) - exact.max(axis=1)) @ starts
    assert staying < 0.1 and best < 0.1


def test_a_model_is_stepped_as_its_environment_is() -> None:
    for env_id in ("CliffWalking-v1", "FrozenLake-v1", "Rooms", "Blackjack", "Taxi-v4"):
        env = envs.make(env_id)
        model, rng = model_of(env), np.random.default_rng(1)
        assert model is not None
        assert isinstance(env.action_space, gymnasium.spaces.Discrete)
        states, n_actions = observation_spec(env.observation_space), int(env.action_space.n)
        assert isinstance(states, FiniteSpec)
        fast = SteppedModel(model, 5, 30)
        slow = SteppedEnv(env_id, {}, states, DiscreteSpec(n_actions), 5, 30, _nothing_known())
        for episode in range(3):
            assert fast.reset(episode) == slow.reset(episode)
            ended = False
            while not ended:
                action = int(rng.integers(n_actions))
                one, other = fast.step(action), slow.step(action)
                assert one == other
                ended = one[3]
            assert fast.finished() == slow.finished()
        slow.close()
        # And the episode is that of the environment's own reset.
        obs, _ = env.reset(seed=reset_seed(5, Stream.TRAINING, 0, 2))
        assert fast.reset(2) == obs
        env.close()


def _nothing_known() -> Any:
    from envs.objective import NOTHING_KNOWN

    return NOTHING_KNOWN


class Shifted(gymnasium.Env[Any, Any]):
    """States -1 to 1 and actions 5 and 6: 6 gives 1. `breaks`: what goes wrong at the second."""

    observation_space = gymnasium.spaces.Discrete(3, start=-1)
    action_space = gymnasium.spaces.Discrete(2, start=5)

    def __init__(self, breaks: str = "") -> None:
        self.breaks, self._s = breaks, -1

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        self._s = -1
        return self._s, {}

    def step(self, action: Any) -> Any:
        assert action in self.action_space
        self._s += 1
        reward = float("nan") if self.breaks == "reward" else float(action == 6)
        return 7 if self.breaks == "state" else self._s, reward, self._s == 1, False, {}


gymnasium.register("Shifted-v0", Shifted)  # type: ignore[arg-type]


def test_states_and_actions_may_be_counted_from_anywhere() -> None:
    found = learned("q-learning", "Shifted-v0", n_episodes=200, gamma=1.0, learning_rate=0.5)
    assert found.table[0] == pytest.approx([1.0, 2.0], abs=0.01)
    found.policy.weights = found.snapshot().weights
    assert found.policy.act(-1) == 6


@pytest.mark.parametrize(
    ("breaks", "told"),
    [
        ("state", "Shifted-v0, training episode 0, step 0: ValueError: observation 7: not in"),
        ("reward", "Shifted-v0, training episode 0, step 0: ValueError: reward is nan"),
    ],
)
def test_what_an_environment_breaks_is_told_with_its_episode(breaks: str, told: str) -> None:
    with pytest.raises(RolloutError, match=told):
        learned("sarsa", "Shifted-v0", env_kwargs={"breaks": breaks}, n_episodes=1)


@pytest.mark.parametrize("algo", LEARNERS)
@pytest.mark.parametrize(
    ("env_id", "told"),
    [
        (
            "CartPole-v1",
            "its table needs Discrete observations, and those of CartPole-v1 are a Box",
        ),
        (
            "Pendulum-v1",
            "its table needs Discrete observations, and those of Pendulum-v1 are a Box of shape "
            "(3,); ppo learns",
        ),
    ],
)
def test_what_is_not_countable_is_refused_in_one_line(algo: str, env_id: str, told: str) -> None:
    with pytest.raises(UsageError) as caught:
        make(ALGORITHMS[algo].load(), env_id)
    assert str(caught.value).startswith(f"`algo` {algo}: {told}")
    assert "\n" not in str(caught.value)
