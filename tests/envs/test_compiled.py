"""The compiled loop gives the plain environment's episodes, bit for bit, and knows its limits."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium
import numpy as np
import pytest
from digests import digest
from paths import ROOT, SUPPORT

import envs
from ars.common.errors import RolloutError
from ars.common.seeding import Stream
from ars.rollout.episode import Episode, Rollouts, compiled_rollout, rollout
from ars.rollout.pool import LocalPool
from ars.rollout.task import RolloutSpec, Snapshot, Task
from envs.bullet.compiled import locomotion as compiled_locomotion
from envs.bullet.compiled import player as player_module
from envs.bullet.compiled.jit import compiled_entry
from envs.bullet.compiled.player import CompiledPlayer
from envs.bullet.flagrun import HumanoidFlagrunHarder
from envs.bullet.manipulation import Pusher, Reacher
from envs.bullet.pendulum import PendulumEnv
from policies import Normalizer, NormalizerRule, Policy, RunningMeanStd, make_policy

ROBOTS = [row.name for row in envs.table() if row.compiled]
STEPS = 150
SLOW = {"Thrower": 12}  # its step costs twenty of another robot's: this many tell as much


class BothWays(NamedTuple):
    """The same robot twice: one steps in Python, compiled code plays the other."""

    plain: gymnasium.Env[Any, Any]
    player: CompiledPlayer
    steps: int = 60

    def policy(self, kind: str = "linear", scale: float = 0.3, **options: Any) -> Policy:
        limited: Any = self.player.env
        env = limited.env
        policy = make_policy(kind, env.observation_space, env.action_space, **options)
        policy.weights = scale * np.random.default_rng(7).standard_normal(policy.weights.size)
        return policy

    def normalizer(self, clip: float | None = None) -> Normalizer:
        (size,) = self.plain.observation_space.shape or (0,)
        rng = np.random.default_rng(3)
        var = rng.uniform(0.0, 2.0, size)
        var[::7] = 0.0  # components that carry no information
        return Normalizer(rng.normal(0.0, 0.3, size), var, 99, NormalizerRule(clip=clip))

    def play(self, policy: Policy, seed: int = 1, steps: int = STEPS, **how: Any) -> list[Any]:
        """The bits of an episode, after checking that both ways give them."""
        collect = how.pop("statistics", False)
        found = []
        ways: list[tuple[Callable[..., Episode], Any]] = [
            (rollout, self.plain),
            (compiled_rollout, self.player),
        ]
        for play, subject in ways:
            zeros = RunningMeanStd.zeros(policy.spec.observation.size) if collect else None
            with np.errstate(all="ignore"):
                found.append(bits(play(subject, policy, seed, steps, statistics=zeros, **how)))
        assert found[0] == found[1]
        return found[0]


def bits(episode: Episode) -> list[Any]:
    """An episode as what compares exactly: -0.0 is not 0.0, and NaN is NaN."""
    numbers = [repr(episode.total_reward), repr(episode.score), episode.length, episode.fault]
    found = episode.statistics
    return numbers + ([found.count, found.mean.tobytes(), found.m2.tobytes()] if found else [])


@pytest.fixture(scope="module", params=ROBOTS)
def robot(request: pytest.FixtureRequest) -> Iterator[BothWays]:
    plain, env = envs.make(request.param), envs.make(request.param)
    yield BothWays(plain, CompiledPlayer(env), SLOW.get(request.param, 60))
    plain.close()
    env.close()


@pytest.mark.parametrize("scale", [0.0, -0.0, 0.01, 0.3, 30.0])
def test_linear_policies(robot: BothWays, scale: float) -> None:
    for seed, clip_actions in enumerate((True, False) * 3):
        policy = robot.policy(scale=scale, clip_actions=clip_actions)
        robot.play(policy, seed, robot.steps, statistics=True)


@pytest.mark.parametrize("activation", ["tanh", "relu", "sigmoid"])
def test_networks(robot: BothWays, activation: str) -> None:
    for hidden_sizes in [(64, 64), (3,), (1, 50)]:
        policy = robot.policy("mlp", 0.5, activation=activation, hidden_sizes=hidden_sizes)
        robot.play(policy, steps=robot.steps, statistics=True)


def test_sigmoid_far_out(robot: BothWays) -> None:
    robot.play(robot.policy("mlp", 1e4, activation="sigmoid", hidden_sizes=(8,)))


@pytest.mark.parametrize("clip", [None, 1.5])
def test_normaliser_shift_and_reward_clip(robot: BothWays, clip: float | None) -> None:
    policy = robot.policy()
    policy.normalizer = robot.normalizer(clip)
    for statistics in (True, False):
        robot.play(policy, steps=robot.steps, statistics=statistics, shift=1.25)
        robot.play(policy, steps=robot.steps, statistics=statistics, reward_clip=0.5)
        robot.play(policy, steps=robot.steps, statistics=statistics, shift=-0.1, reward_clip=1.0)


def test_whole_episodes_of_the_longest_lived(robot: BothWays) -> None:
    lived: list[tuple[int, int, Policy]] = []
    while len(lived) < 40 and not any(length >= 100 for length, *_ in lived):
        policy, seed = robot.policy(), len(lived)
        policy.weights = 0.4 * np.random.default_rng(seed).standard_normal(policy.weights.size)
        lived.append((compiled_rollout(robot.player, policy, seed, 250).length, seed, policy))
    length, seed, policy = max(lived, key=lambda found: found[0])
    assert length > 25
    assert robot.play(policy, seed, 5000, statistics=True)[2] >= length


def test_an_episode_stops_at_the_time_limit(robot: BothWays) -> None:
    for steps in (1, 2, 17):
        assert robot.play(robot.policy(), steps=steps)[2] <= steps
    limited = envs.make("HalfCheetah", max_episode_steps=5)
    assert CompiledPlayer(limited).play(_zero_policy(limited), 0, 100)[2] == 5
    limited.close()


def _zero_policy(env: gymnasium.Env[Any, Any]) -> Any:
    (size,), (joints,) = env.observation_space.shape or (), env.action_space.shape or ()
    return CompiledPlayer.lay_out_policy(np.zeros(size * joints), (size, joints), bias=False)


def test_rewards_that_are_not_finite(robot: BothWays) -> None:
    found = robot.play(robot.policy(scale=1e25, clip_actions=False), statistics=True)
    # These count no squares of actions, so nothing that they do is worth so little.
    finite = isinstance(robot.plain.unwrapped, PendulumEnv | Reacher | Pusher)
    assert found[3] == (None if finite else "reward 0 is -inf")


def test_actions_that_are_not_finite(robot: BothWays) -> None:
    policy = robot.policy(scale=np.inf)
    with (
        pytest.raises(ValueError, match="action is not finite") as plain,
        np.errstate(all="ignore"),
    ):
        rollout(robot.plain, policy, 1, 9)
    with pytest.raises(ValueError, match="action is not finite") as compiled:
        compiled_rollout(robot.player, policy, 1, 9)
    assert str(plain.value) == str(compiled.value)


def test_histories_leave_no_trace(robot: BothWays) -> None:
    policy, other = robot.policy(), robot.policy(scale=5.0)
    expected = bits(compiled_rollout(robot.player, policy, 4, STEPS))
    second = envs.make(robot.plain.spec.id)  # type: ignore[union-attr]
    beside = CompiledPlayer(second)
    for player in (robot.player, beside, robot.player):
        player.env.reset(seed=9)
        player.env.step(np.ones(player.env.action_space.shape, np.float32))
        compiled_rollout(player, other, 2, 40)
        assert bits(compiled_rollout(player, policy, 4, STEPS)) == expected
    # And the plain environment goes on from a compiled episode as if there had been none.
    assert bits(rollout(second, policy, 4, STEPS)) == expected
    second.close()


def test_threads_do_not_disturb_each_other() -> None:
    players = [CompiledPlayer(envs.make(name)) for name in ("HalfCheetah", "Hopper", "HalfCheetah")]

    def work(player: CompiledPlayer, found: list[Any]) -> None:
        policy = _zero_policy(player.env)
        found += [player.play(policy, seed, 60) for seed in range(20)]

    alone: list[list[Any]] = [[], [], []]
    together: list[list[Any]] = [[], [], []]
    for player, found in zip(players, alone, strict=True):
        work(player, found)
    threads = [
        threading.Thread(target=work, args=job) for job in zip(players, together, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert together == alone
    assert alone[0] == alone[2]
    for player in players:
        player.env.close()


def both_digests(robot: str) -> list[str]:
    return [digest(robot, compiled) for compiled in (True, False)]


def test_a_rollout_is_the_same_in_any_process_and_thread_and_both_ways() -> None:
    """Here in threads side by side, there one robot after the other, the other way round."""
    command = [sys.executable, str(SUPPORT / "digests.py"), *reversed(ROBOTS)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    there = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    with ThreadPoolExecutor(len(ROBOTS)) as pool:
        here = {name: pool.submit(both_digests, name) for name in ROBOTS}
    found = {name: job.result() for name, job in here.items()}
    assert found == json.loads(there.stdout)
    assert all(compiled == plain for compiled, plain in found.values())
    assert len({compiled for compiled, _ in found.values()}) == len(ROBOTS)


def test_misuse_is_refused() -> None:
    env = envs.make("Hopper")
    player = CompiledPlayer(env)
    with pytest.raises(ValueError, match="a policy from 26 to 6 numbers; this robot has 15 and 3"):
        player.play(CompiledPlayer.lay_out_policy(np.zeros(156), (26, 6), bias=False), 0, 9)
    with pytest.raises(ValueError, match="157 weights"):
        CompiledPlayer.lay_out_policy(np.zeros(157), (26, 6), bias=False)
    env.close()
    with pytest.raises(gymnasium.error.Error, match="after close"):
        player.play(_zero_policy(env), 0, 9)


def make_rollouts(**changes: Any) -> Rollouts:
    env = envs.make("Hopper")
    policy = make_policy("linear", env.observation_space, env.action_space).spec
    env.close()
    spec = RolloutSpec("Hopper", policy, seed=5, shift=1.0, statistics=True)
    return Rollouts(replace(spec, **changes))


def run(rollouts: Rollouts) -> list[list[Any]]:
    weights = np.zeros(rollouts.policy.weights.size)
    tasks = [Task(Stream.TRAINING, 0, k, sign) for k in range(3) for sign in (1, -1)]
    snapshot = Snapshot(weights, delta_std=0.5)
    return [bits(e) for e in rollouts.run(snapshot, [*tasks, Task(Stream.EVALUATION, 0, 1)])]


def test_rollouts_run_compiled_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    plain, compiled = make_rollouts(compiled=False), make_rollouts()
    expected = run(plain)
    assert run(compiled) == expected
    monkeypatch.setattr(type(plain.env.unwrapped), "step", None)
    assert run(compiled) == expected
    with pytest.raises(RolloutError):
        run(plain)
    compiled.env = plain.env  # as when somebody wants to watch
    with pytest.raises(RolloutError):
        run(compiled)


def test_where_it_cannot_be_used_the_plain_environment_plays_and_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expected = run(make_rollouts())
    monkeypatch.setattr(compiled_locomotion, "simulated_body", lambda *_, **__: 1 / 0)
    plain = make_rollouts()
    assert plain.notice is not None
    assert "division by zero" in plain.notice
    assert run(plain) == expected
    said: list[str] = []
    LocalPool(plain.spec, said.append).close()
    assert said == [f"warning: {plain.notice}"]


def test_results_that_differ_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled_locomotion, "AT_LIMIT", 0.5)
    assert "differ" in str(make_rollouts().notice)


def test_watched_and_foreign_environments_are_played_as_ever() -> None:
    for env in (envs.make("Hopper", render_mode="rgb_array"), envs.make("CartPole-v1")):
        assert envs.accelerate(env) == (None, None)
        env.close()


@pytest.mark.parametrize("problem", ["numba", "pybullet"])
def test_other_systems_are_told_in_one_line(problem: str) -> None:
    spoil = {
        "numba": "sys.modules['numba'] = None",
        "pybullet": "import importlib.metadata as m; m.version = lambda name: '3.2.6'",
    }[problem]
    code = f"import sys, envs; {spoil}; print(envs.accelerate(envs.make('Hopper')))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.startswith("(None,") and "Hopper runs at half its speed" in done.stdout
    assert problem in done.stdout.lower()
    assert done.stdout.count("\n") == 1


class Later:
    """An environment whose episodes start as if they had gone on for a while."""

    def __init__(self, env: gymnasium.Env[Any, Any], **attributes: Any) -> None:
        self.env, self.step, self.attributes = env, env.step, attributes

    def reset(self, seed: int) -> Any:
        first = self.env.reset(seed=seed)
        vars(self.env.unwrapped).update(self.attributes)
        return first


def test_a_cube_is_thrown_and_crawling_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    thrown = []
    monkeypatch.setattr(
        HumanoidFlagrunHarder,
        "_throw_cube",
        lambda env, throw=HumanoidFlagrunHarder._throw_cube: thrown.append(throw(env)),
    )
    plain, env = envs.make("HumanoidFlagrunHarder"), envs.make("HumanoidFlagrunHarder")
    robot = BothWays(plain, CompiledPlayer(env))
    for seed in range(5):
        for how in (
            {"_frame": 120 - seed % 3},
            {"_crawl_start": -500.0, "_crawled": 3.0 * seed, "_patience": 7 + seed},
        ):
            robot.player.env = Later(env, **how)  # type: ignore[assignment]
            robot._replace(plain=Later(plain, **how)).play(  # type: ignore[arg-type]
                robot.policy(), seed, 250, statistics=True
            )
    assert len(thrown) >= 5
    plain.close()
    env.close()


def test_the_loop_is_compiled_once_and_for_all() -> None:
    """Robots of a family, policies and processes share a compilation, which is on the disk."""
    code = (
        "import envs; from envs.bullet.compiled import loop\n"
        f"for name in {ROBOTS}: assert envs.accelerate(envs.make(name))[0]\n"
        "print(len(loop.play.signatures), sum(loop.play.stats.cache_hits.values()))"
    )
    for _ in range(2):  # the first one may compile
        done = subprocess.run(
            [sys.executable, "-c", code],
            check=True,
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
    families = len(player_module._FAMILIES)
    assert done.stdout == f"{families} {families}\n"


@pytest.mark.parametrize("suffix", [".nbi", ".nbc"])
@pytest.mark.parametrize("damage", [b"", b"\0" * 5000])
def test_a_damaged_file_of_compiled_code_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, damage: bytes
) -> None:
    (tmp_path / "own_loop.py").write_text("def twice(x):\n    return 2 * x\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "own_loop", raising=False)
    twice = importlib.import_module("own_loop").twice

    def cache_hits() -> int:
        fast = compiled_entry(twice)
        assert fast(21) == 42
        return sum(fast.stats.cache_hits.values())

    assert (cache_hits(), cache_hits()) == (0, 1)
    (file,) = (tmp_path / "__pycache__").glob(f"*{suffix}")
    file.write_bytes(damage)
    assert (cache_hits(), cache_hits()) == (0, 1)
