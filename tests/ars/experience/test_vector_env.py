"""Training environments side by side: same episodes whatever the processes, exact resume."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from paths import SUPPORT
from processes import alive, wait_until

import envs
from ars.common.errors import RolloutError
from ars.common.seeding import Stream, reset_seed
from ars.experience.vector_env import EpisodeInfo, VectorEnv


@contextmanager
def environments(
    env_id: str,
    n: int = 3,
    seed: int = 7,
    rollout_length: int = 1000,
    n_processes: int = 0,
    **env_kwargs: Any,
) -> Iterator[VectorEnv]:
    made = VectorEnv(env_id, env_kwargs, n, seed, rollout_length, n_processes)
    try:
        yield made
    finally:
        made.close()
        made.close()


def actions(step: int, n: int = 3) -> np.ndarray:
    return np.random.default_rng(step).integers(2, size=n)


def test_every_episode_depends_on_seed_index_and_number_alone() -> None:
    with environments("CartPole-v1") as several:
        seen, steps = [several.reset()], []
        for t in range(120):
            steps.append(several.step(actions(t)))
            seen.append(steps[-1].obs)
    for index in range(3):
        env, episode = envs.make("CartPole-v1"), 0
        obs, _ = env.reset(seed=reset_seed(7, Stream.TRAINING, index, episode))
        for t, step in enumerate(steps):
            assert np.array_equal(seen[t][index], obs)
            obs, reward, terminated, truncated, _ = env.step(int(actions(t)[index]))
            assert np.array_equal(step.final_obs[index], obs)
            assert step.rewards[index] == reward
            assert step.terminated[index] == terminated
            assert not step.truncated[index] and not truncated
            if terminated:
                episode += 1
                obs, _ = env.reset(seed=reset_seed(7, Stream.TRAINING, index, episode))
        assert episode > 2
        env.close()


@pytest.mark.parametrize(
    ("env_id", "rollout_length", "length"),
    [
        ("small_worlds:Corridor-v0", 4, 4),
        ("small_worlds:ShortCorridor-v0", 1000, 5),
        ("small_worlds:ShortCorridor-v0", 3, 3),
    ],
)
def test_a_time_limit_truncates_and_keeps_the_last_observation(
    env_id: str, rollout_length: int, length: int
) -> None:
    with environments(env_id, 2, rollout_length=rollout_length) as several:
        assert several.reset().tolist() == [[0.0], [0.0]]
        for t in range(1, length):
            step = several.step(np.zeros(2, np.int64))
            assert step.obs.tolist() == [[t], [t]]
            assert step.final_obs is step.obs
            assert not step.truncated.any()
        step = several.step(np.zeros(2, np.int64))
        assert step.truncated.all() and not step.terminated.any()
        assert step.final_obs.tolist() == [[length], [length]]
        assert step.obs.tolist() == [[0.0], [0.0]]
        assert several.finished == [EpisodeInfo(length, length)] * 2


def test_a_terminal_state_at_the_time_limit_is_terminal() -> None:
    with environments("small_worlds:ShortCorridor-v0", 1, terminal=5) as several:
        several.reset()
        for _ in range(5):
            step = several.step(np.zeros(1, np.int64))
        assert step.terminated.all() and not step.truncated.any()


def test_a_lost_life_is_told_and_the_episode_goes_on() -> None:
    for n_processes in (0, 2):
        kwargs = {"cut": 2, "n_processes": n_processes}
        with environments("small_worlds:Corridor-v0", **kwargs) as several:
            several.reset()
            seen = [several.step(actions(t)) for t in range(3)]
            assert [None if step.cut is None else step.cut.tolist() for step in seen] == [
                None,
                [True] * 3,
                None,
            ]
            assert several.obs.tolist() == [[3.0]] * 3
            assert not several.finished


@pytest.mark.parametrize("n_processes", [1, 2])
def test_processes_change_nothing(n_processes: int) -> None:
    with (
        environments("CartPole-v1") as here,
        environments("CartPole-v1", n_processes=n_processes) as there,
    ):
        assert np.array_equal(here.reset(), there.reset())
        for t in range(60):
            ours, theirs = here.step(actions(t)), there.step(actions(t))
            for one, other in zip(ours[:5], theirs[:5], strict=True):
                assert np.array_equal(one, other) and one.dtype == other.dtype
            assert ours.cut is theirs.cut is None
            assert (theirs.obs is theirs.final_obs) == (ours.obs is ours.final_obs)
        assert here.finished == there.finished
        assert len(here.finished) > 3


@pytest.mark.parametrize("env_id", ["CartPole-v1", "Pendulum-v1"])
@pytest.mark.parametrize("steps", [0, 1, 90])
def test_a_restored_state_goes_on_the_same(env_id: str, steps: int) -> None:
    def draw(t: int) -> np.ndarray:
        if env_id == "CartPole-v1":
            return actions(t)
        return np.random.default_rng(t).uniform(-2, 2, (3, 1)).astype(np.float32)

    with environments(env_id, rollout_length=50) as first, environments(env_id) as second:
        first.reset()
        for t in range(steps):
            first.step(draw(t))
        second.close()
        with environments(env_id, rollout_length=50) as second:
            second.restore(first.state())
            first.finished.clear()
            again, state = second.state().arrays, first.state().arrays
            assert all(np.array_equal(again[name], array) for name, array in state.items())
            for t in range(steps, steps + 70):
                ours, theirs = first.step(draw(t)), second.step(draw(t))
                for one, other in zip(ours[:5], theirs[:5], strict=True):
                    assert np.array_equal(one, other)
                assert ours.cut is theirs.cut is None
                assert ours.tallies == theirs.tallies
            assert first.finished == second.finished


def test_long_episodes_are_restored_whole() -> None:
    with environments("small_worlds:Corridor-v0", 2, rollout_length=10**6) as several:
        several.reset()
        for _ in range(3500):
            several.step(np.zeros(2, np.int64))
        state = several.state().arrays
        assert state["lengths"].tolist() == [3500, 3500]
        assert len(state["actions"]) == 7000


def test_careless_environments_come_back_too() -> None:
    """What they show is of the space's type from the first observation on."""
    with environments("small_worlds:Careless-v0") as several:
        assert several.reset().dtype == np.float32
        for t in range(30):
            draws = np.random.default_rng(t).uniform(-1, 1, (3, 1)).astype(np.float32)
            given = draws.copy()
            assert several.step(given).final_obs.dtype == np.float32
            assert np.array_equal(several._taken[-1], draws)
        several.restore(several.state())


def test_a_process_that_died_before_weights_changed_is_replaced() -> None:
    with environments("CartPole-v1", n_processes=2) as there, environments("CartPole-v1") as here:
        for several in (there, here):
            several.reset()
        group: Any = there._shards[1].group
        group._process.kill()
        group._process.join()
        for several in (there, here):
            several.weigh_by(())
            several.step(actions(0))
        assert np.array_equal(there.obs, here.obs)


@pytest.mark.parametrize("n_processes", [0, 2])
@pytest.mark.parametrize("what", ["observation", "reward", "end"])
def test_episodes_that_do_not_come_back_are_begun_anew(what: str, n_processes: int) -> None:
    said: list[str] = []
    kwargs = {"what": what, "step": 2, "episode": int(what == "end")}
    several = VectorEnv("rude_envs:Wanders-v0", kwargs, 3, 7, 1000, n_processes, said.append)
    with closing(several), environments("rude_envs:Polite-v0", 3) as polite:
        several.reset()
        for t in range(35):
            several.step(actions(t))
        state = several.state()
        several.finished.clear()
        several.restore(state)
        assert several.begun_anew == [0, 1, 2]
        (line,) = said
        assert "do not come back to where they were" in line and "new episodes begin" in line
        began = several.state().arrays
        assert began["lengths"].tolist() == [0] * 3
        assert began["returns"].tolist() == [0.0] * 3
        assert (began["episodes"] == state.arrays["episodes"] + 1).all()
        polite.reset()
        episodes = began["episodes"].tolist()
        firsts = polite._begin(episodes, [np.zeros(0, np.int64)] * 3).obs
        assert np.array_equal(several.obs, firsts)


def test_environments_that_are_lent_come_back() -> None:
    with environments("CartPole-v1") as whole, environments("CartPole-v1") as lent:
        with lent.lent():  # before the first episode
            pass
        assert np.array_equal(whole.reset(), lent.reset())
        for t in range(60):
            if t % 20 == 7:
                with lent.lent():
                    pass
            ours, theirs = whole.step(actions(t)), lent.step(actions(t))
            for one, other in zip(ours[:5], theirs[:5], strict=True):
                assert np.array_equal(one, other)
            assert ours.tallies == theirs.tallies
        assert whole.finished == lent.finished
        assert not lent.begun_anew


def test_an_environment_that_cannot_be_made_again_is_named() -> None:
    with pytest.raises(RolloutError, match="environment 1 cannot be made: RuntimeError: the sim"):
        VectorEnv("rude_envs:OnePerProcess-v0", {}, 3, 7, 1000)
    with environments("rude_envs:OnePerProcess-v0", 1) as one:  # the first was closed
        one.reset()


def test_an_environment_process_may_have_children() -> None:
    with environments("rude_envs:HasChildren-v0", 1, n_processes=1) as several:
        several.reset()
        assert several.step(np.ones(1, np.int64)).rewards.tolist() == [1.0]


@pytest.mark.parametrize(
    ("env_id", "env_kwargs", "words"),
    [
        ("faulty_envs:Raises-v0", {}, "step 0: ValueError: the pole snapped"),
        ("faulty_envs:Corrupts-v0", {"what": "reward"}, "step 1: reward is nan"),
        ("faulty_envs:Corrupts-v0", {"what": "observation"}, "step 1: observation is not finite"),
        ("faulty_envs:Corrupts-v0", {"what": "shape"}, r"step 0: .* observation of shape \(3,\)"),
        ("faulty_envs:Corrupts-v0", {"what": "number"}, r"step 0: .* of shape \(1,\), not \(4,\)"),
        ("faulty_envs:Corrupts-v0", {"what": "type"}, "step 0: .* of type <U4, not of numbers: "),
        (
            "faulty_envs:Strays-v0",
            {},
            "step 0: ValueError: observation 3: not in its space, 0 to 2",
        ),
        ("faulty_envs:Corrupts-v0", {"what": "tuple"}, "step 0: env.step returned 2 values, not"),
    ],
)
def test_faults_name_environment_episode_and_step(
    env_id: str, env_kwargs: dict[str, Any], words: str
) -> None:
    fails(env_id, f"training environment 1, episode 0, {words}", **env_kwargs)


def test_processes_tell_what_failed_in_them_and_that_they_died() -> None:
    where = "training environment 1, episode 0, step 0: "
    fails("faulty_envs:Raises-v0", f"{where}ValueError: the pole snapped", n_processes=2)
    fails(
        "faulty_envs:Kills-v0",
        "Kills-v0: an environment process ended with status 1",
        n_processes=2,
    )


def test_a_reset_that_shows_no_number_is_told() -> None:
    kwargs = {"seed": reset_seed(7, Stream.TRAINING, 2, 0), "what": "reset"}
    with (
        closing(VectorEnv("faulty_envs:Corrupts-v0", kwargs, 3, 7, 1000)) as several,
        pytest.raises(RolloutError, match="environment 2, episode 0, step 0: observation is not"),
    ):
        several.reset()


def test_a_process_that_dies_once_changes_nothing(tmp_path: Path) -> None:
    said: list[str] = []
    fatal = {"seed": reset_seed(7, Stream.TRAINING, 1, 2), "flag": str(tmp_path / "died")}
    dying = VectorEnv("faulty_envs:Kills-v0", fatal, 3, 7, 1000, 2, said.append)
    with closing(dying), environments("CartPole-v1") as whole:
        assert np.array_equal(dying.reset(), whole.reset())
        for t in range(120):
            expected: list[Any] = list(whole.step(actions(t)))
            for one, other in zip(dying.step(actions(t))[:5], expected, strict=False):
                assert np.array_equal(one, other)
        assert dying.finished == whole.finished
    (line,) = said
    assert ": an environment process ended with status 1: another one goes on" in line


DRIVER = """
import sys
from ars.experience.vector_env import VectorEnv
from ars.common.seeding import Stream, reset_seed

if __name__ == "__main__":
    seed = reset_seed(7, Stream.TRAINING, 0, 0)
    several = VectorEnv("faulty_envs:Hangs-v0", {"seed": seed}, 2, 7, 1000, 2)
    several.reset()
    print(*(shard.group._process.pid for shard in several._shards), flush=True)
    several.step(several._episodes)
"""


def test_processes_end_with_their_driver_although_a_step_hangs(tmp_path: Path) -> None:
    script = tmp_path / "driver.py"
    script.write_text(DRIVER)
    path = {**os.environ, "PYTHONPATH": str(SUPPORT)}
    words = [sys.executable, str(script)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=path) as driver:
        assert driver.stdout is not None
        pids = [int(word) for word in driver.stdout.readline().split()]
        time.sleep(0.5)  # in the step
        assert len(pids) == 2 and all(map(alive, pids))
        driver.kill()
    assert wait_until(lambda: not any(map(alive, pids)))


def fails(env_id: str, words: str, n_processes: int = 0, **env_kwargs: Any) -> None:
    seed = reset_seed(7, Stream.TRAINING, 1, 0)  # of the second environment's first episode
    several = VectorEnv(env_id, {"seed": seed, **env_kwargs}, 3, 7, 1000, n_processes)
    try:
        several.reset()
        with pytest.raises(RolloutError, match=words):
            several.step(actions(0))
    finally:
        several.close()
