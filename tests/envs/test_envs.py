"""The environments: the reference's bits, episodes that depend on nothing else, and manners."""

from __future__ import annotations

import math
import subprocess
import sys
import time
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from paths import ROOT
from references import PORTED, Reference

import envs
from envs import window

ROBOTS = [row.name for row in envs.table() if row.id.startswith("bullet/")]
NEVER_END = {"HalfCheetah", "InvertedPendulumSwingup", "Reacher", "Pusher", "Thrower"}
# Linear feedback on the observation that keeps poles up till the time is up.
BALANCE = {
    "InvertedPendulum": [0.9, 0.9, 0.0, 6.2, 1.3],
    "InvertedDoublePendulum": [-0.7, -1.0, 0.0, 0.0, -5.8, -2.9, 0.0, -16.7, -2.8],
}
Actor = Callable[[int, Any], Any]


def random_actor(size: int, rng: np.random.Generator) -> Actor:
    return lambda t, obs: rng.uniform(-1.0, 1.0, size)


def saturated_actor(size: int, rng: np.random.Generator) -> Actor:
    return lambda t, obs: rng.choice([-3.0, -1.0, 1.0, 3.0], size)


def still_actor(size: int, rng: np.random.Generator) -> Actor:
    return lambda t, obs: np.zeros(size)


def swinging_actor(size: int, rng: np.random.Generator) -> Actor:
    """A slow open-loop gait; it keeps robots up longer than noise does."""
    phase, amplitude = rng.uniform(0.0, 2.0 * np.pi, size), rng.uniform(0.05, 0.6)
    return lambda t, obs: amplitude * np.sin(0.15 * t + phase)


ACTORS = [random_actor, saturated_actor, still_actor, swinging_actor]


def episode(env: Any, seed: int, actions: list[Any]) -> list[tuple[bytes, float, bool]]:
    """Return what an episode gave, as bytes and floats that compare exactly."""
    obs, _ = env.reset(seed=seed)
    steps = [(obs.tobytes(), 0.0, False)]
    for action in actions:
        obs, reward, terminated, _, _ = env.step(action)
        steps.append((obs.tobytes(), reward, terminated))
        if terminated:
            break
    return steps


def random_actions(env: Any, count: int, seed: int = 0) -> list[Any]:
    rng = np.random.default_rng(seed)
    size = env.action_space.shape[0]
    return list(rng.uniform(-1.0, 1.0, (count, size)).astype(np.float32))


@pytest.fixture
def make() -> Iterator[Callable[..., Any]]:
    made: list[Any] = []

    def build(name: str, **kwargs: Any) -> Any:
        made.append(envs.make(name, **kwargs))
        return made[-1]

    yield build
    for env in made:
        env.close()


def compare(ours: Any, reference: Reference, act: Actor, seed: int, steps: int, dtype: Any) -> bool:
    """Compare every bit of an episode; return whether the robot ended it."""
    obs, want = ours.reset(seed=seed)[0], reference.reset(seed)[0]
    assert obs.dtype == want.dtype == np.float32 and obs.tobytes() == want.tobytes()
    for t in range(steps):
        action = act(t, obs).astype(dtype)
        got, want = ours.step(action), reference.step(action)
        obs = got[0]
        assert obs.dtype == np.float32 and obs.tobytes() == want[0].tobytes(), f"{seed=} {t=}"
        assert (type(got[1]), type(got[2])) == (float, bool)
        assert got[1:3] == want[1:3], f"{seed=} {t=}"
        if got[2]:
            return True
    return False


@pytest.mark.parametrize("name", PORTED)
def test_every_bit_of_the_reference(name: str, make: Callable[..., Any]) -> None:
    env = make(name)
    ours, longest = env.unwrapped, env.spec.max_episode_steps
    reference = Reference(ours)
    assert ours.action_space == reference.env.action_space
    assert ours.observation_space == reference.env.observation_space
    ended = 0
    for seed in range(20):
        act = ACTORS[seed % 4](ours.action_space.shape[0], np.random.default_rng(seed))
        dtype = np.float64 if seed % 5 == 4 else np.float32
        # Whole episodes are long for runners, and slow for arms.
        steps = longest if seed == 3 else min(longest, 250) if seed < 4 else longest // 4
        ended += compare(ours, reference, act, seed, steps, dtype)
    reference.close()
    assert (ended == 0) == (name in NEVER_END), "the actors are too tame, or the robot is"


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", BALANCE)
def test_every_bit_of_the_reference_while_poles_stand(
    name: str, dtype: Any, make: Callable[..., Any]
) -> None:
    env = make(name)
    reference = Reference(env.unwrapped)
    gains = np.array([BALANCE[name]])
    for seed in range(2):
        assert not compare(
            env.unwrapped, reference, lambda t, obs: gains @ obs, seed, 1000, dtype
        ), "the pole fell"
    reference.close()


@pytest.mark.parametrize("name", ["Pusher", "Thrower"])
def test_the_reference_as_it_is_agrees_where_no_past_shows(
    name: str, make: Callable[..., Any]
) -> None:
    ours = make(name).unwrapped
    reference = Reference(ours, forget=False)
    reference.step(np.zeros(7, np.float32))  # at least Thrower's parts settle in a step
    for seed in range(4):
        act = random_actor(7, np.random.default_rng(seed))
        compare(ours, reference, act, seed, 25, np.float32)
    reference.close()


def test_short_sums_have_the_bits_of_the_references_functions() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20_000):
        scale = 10.0 ** rng.uniform(-3, 2)
        gap = rng.normal(0.0, scale, 3)
        for size in (2, 3):
            listed = tuple(gap[:size].tolist())
            assert math.sqrt(np.dot(listed, listed)) == np.linalg.norm(gap[:size])
        assert float(gap[0]) ** 2 == gap[0] ** 2
        speeds = rng.normal(0.0, scale, 7)
        for action in (rng.normal(size=7), rng.normal(size=7).astype(np.float32)):
            work = np.dot(np.abs(action), np.abs(speeds.tolist()))
            assert work == np.matmul(np.abs(action), np.abs(speeds))
            total = squares = action.dtype.type(0.0)
            for a in action:
                total, squares = total + a, squares + a * a
            assert total == np.sum(action) and squares == np.square(action).sum()


@pytest.mark.parametrize("name", ROBOTS)
def test_an_episode_depends_on_its_seed_and_actions_alone(
    name: str, make: Callable[..., Any]
) -> None:
    env = make(name)
    actions = random_actions(env, 40)
    first = episode(env, 5, actions)
    for seed in range(3):
        episode(env, seed, random_actions(env, 60, seed))
    assert episode(env, 5, actions) == first

    neighbours = [make(other) for other in ROBOTS]
    again = make(name)
    for neighbour in neighbours:
        episode(neighbour, 1, random_actions(neighbour, 10))
    assert episode(again, 5, actions) == first
    assert episode(again, 6, actions) != first


def test_instances_take_turns_without_meeting(make: Callable[..., Any]) -> None:
    one, two = make("Ant"), make("Ant")
    actions = random_actions(one, 20)
    alone = episode(one, 3, actions)
    turns: list[tuple[bytes, float, bool]] = [(one.reset(seed=3)[0].tobytes(), 0.0, False)]
    two.reset(seed=4)
    for action in actions[: len(alone) - 1]:
        obs, reward, terminated, _, _ = one.step(action)
        turns.append((obs.tobytes(), reward, terminated))
        two.step(-action)
    assert turns == alone


def test_a_reset_without_a_seed_goes_on(make: Callable[..., Any]) -> None:
    env = make("Hopper")
    first, second = env.reset(seed=1)[0], env.reset()[0]
    assert not np.array_equal(first, second)
    env.reset(seed=1)
    assert np.array_equal(env.reset()[0], second)


@pytest.mark.parametrize("name", envs.names())
@pytest.mark.filterwarnings("ignore:.*observation space m.*imum value is .*infinity")
@pytest.mark.filterwarnings("error")
def test_gymnasium_is_content(name: str) -> None:
    # Unbounded observations are the reference's; modes are rendered below, a window cannot be here.
    env = gymnasium.make(envs.resolve(name))
    assert env.spec is not None
    if name in PORTED:
        want = gymnasium.spec(f"{name}BulletEnv-v0")
        assert env.spec.max_episode_steps == want.max_episode_steps
        assert env.spec.reward_threshold == want.reward_threshold
    check_env(env.unwrapped, skip_render_check=True)
    env.close()


@pytest.mark.parametrize("name", envs.names())
def test_only_a_time_limit_is_wrapped_around(name: str, make: Callable[..., Any]) -> None:
    env = make(name)
    assert isinstance(env, gymnasium.wrappers.TimeLimit) and env.env is env.unwrapped
    env = make(name, max_episode_steps=2)
    env.reset(seed=0)
    still = np.zeros(env.action_space.shape, np.float32)
    assert [env.step(still)[3] for _ in range(2)] == [False, True]


@pytest.mark.parametrize("name", ROBOTS)
def test_rendering_changes_no_bit(name: str, make: Callable[..., Any]) -> None:
    plain, seen = make(name), make(name, render_mode="rgb_array", width=64, height=48)
    for seed in range(2):
        want, got = plain.reset(seed=seed)[0], seen.reset(seed=seed)[0]
        for action in random_actions(plain, 6):
            picture = seen.render()
            assert picture.dtype == np.uint8 and picture.shape == (48, 64, 3)
            assert got.tobytes() == want.tobytes()
            want, got = plain.step(action)[0], seen.step(action)[0]


def orange(picture: Any) -> Any:
    """Where the robot's own colour is; floor and sky have none of it."""
    return picture[:, :, 0].astype(int) - picture[:, :, 2] > 60


@pytest.mark.parametrize("egl", [True, False])
@pytest.mark.parametrize("name", ROBOTS)
def test_the_robot_is_in_the_middle_of_the_picture(
    name: str, egl: bool, make: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    if not egl:
        monkeypatch.setattr("envs.bullet.renderer._egl_works", lambda: False)
    env = make(name, render_mode="rgb_array")
    env.reset(seed=0)
    for action in random_actions(env, 5):
        env.step(action)
    picture = env.render()
    assert picture.shape == (480, 640, 3)
    rows, columns = np.nonzero(orange(picture))
    assert 0.005 < orange(picture).mean() < 0.4
    assert abs(columns.mean() - 320) < 80
    assert max(np.ptp(rows), np.ptp(columns)) > 80  # an arm may be folded
    assert np.array_equal(env.render(), picture)


def test_the_camera_keeps_up(make: Callable[..., Any]) -> None:
    from envs.bullet.client import pybullet

    env = make("Ant", render_mode="rgb_array", width=160, height=120)
    env.reset(seed=0)
    here = env.render()
    robot = env.unwrapped
    (x, y, z), attitude = pybullet.getBasePositionAndOrientation(robot._body, robot._client)
    pybullet.resetBasePositionAndOrientation(
        robot._body, (x + 60.0, y - 8.0, z), attitude, robot._client
    )
    there = env.render().astype(int)
    assert np.abs(there - here).mean() < 1.0  # the same floor, light and shadow


def test_robots_do_not_show_in_each_others_pictures(make: Callable[..., Any]) -> None:
    ant, hopper = [make(name, render_mode="rgb_array") for name in ("Ant", "Hopper")]
    ant.reset(seed=0)
    hopper.reset(seed=0)
    pictures = [env.render() for env in (ant, hopper, ant, hopper)]
    assert np.array_equal(pictures[0], pictures[2]) and np.array_equal(pictures[1], pictures[3])
    hopper.close()
    assert np.array_equal(ant.render(), pictures[0])


def test_no_window_without_a_display(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    for display in ("", ":4321"):  # none, and one that has gone
        monkeypatch.setenv("DISPLAY", display)
        with pytest.raises(gymnasium.error.Error, match="needs a display") as caught:
            envs.make("Hopper", render_mode="human")
        assert "\n" not in str(caught.value)


def test_a_window_keeps_real_time_and_changes_no_bit(
    make: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from envs.bullet import client

    # A window that draws nothing stands in for PyBullet's, which needs a display.
    monkeypatch.setattr(window, "has_display", lambda: True)
    fake = types.SimpleNamespace(**vars(client.pybullet))
    fake.GUI = fake.DIRECT
    monkeypatch.setattr(client, "pybullet", fake)

    plain, shown = make("HalfCheetah"), make("HalfCheetah", render_mode="human")
    actions = random_actions(plain, 30)
    want = episode(plain, 0, actions)
    start = time.perf_counter()
    assert episode(shown, 0, actions) == want
    assert shown.render() is None
    assert time.perf_counter() - start > 0.45  # 30 frames at 60 a second


@pytest.mark.parametrize(
    ("kwargs", "named"),
    [({"render_mode": "ascii"}, "ascii"), ({"width": 0}, "width=0")],
)
@pytest.mark.filterwarnings("ignore:.*render_mode")  # Gymnasium's own word on the mode
def test_unusable_arguments_are_named(kwargs: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        envs.make("Hopper", **kwargs)


@pytest.mark.parametrize("name", ROBOTS)
def test_misuse_is_explained_in_one_line(name: str, make: Callable[..., Any]) -> None:
    env = make(name).unwrapped
    size = env.action_space.shape[0]
    good = np.zeros(size, np.float32)
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step(good)
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.render()
    env.reset(seed=0)
    for bad in (np.zeros(size + 1), np.zeros((1, size)), 0.0):
        with pytest.raises(ValueError, match="shape"):
            env.step(bad)
    for bad in (np.nan, np.inf, -np.inf):
        action = good.copy()
        action[-1] = bad
        with pytest.raises(ValueError, match="not finite") as caught:
            env.step(action)
        assert "\n" not in str(caught.value)
    env.step(good)
    env.close()
    env.close()
    for call in (lambda: env.step(good), env.reset, env.render):
        with pytest.raises(gymnasium.error.Error, match=r"after close\(\)"):
            call()


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads /proc")
def test_resets_and_instances_leave_no_memory_behind(make: Callable[..., Any]) -> None:
    def pages() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1])

    env = make("HalfCheetah")

    def live(resets: int) -> int:
        for seed in range(resets):
            env.reset(seed=seed)
            if seed % 50 == 0:
                other = envs.make("Hopper")
                other.reset(seed=seed)  # and is dropped without close()
        return pages()

    before = live(500)
    assert live(2000) - before < 1024  # 4 MiB


def run_python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120
    )


def test_nothing_is_printed_and_the_user_is_heard() -> None:
    result = run_python(
        "import ctypes, envs, gymnasium\n"
        "print('before', end=' ')\n"
        "ctypes.CDLL(None).printf(b'(in C) ')\n"
        "for name in envs.names():\n"
        "    env = envs.make(name, render_mode='rgb_array')\n"
        "    env.reset(seed=0); env.step(env.action_space.sample()); env.render()\n"
        "    print(name, end=' ')\n"
        "env.close()\n"
        "print('after')"
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout == f"before (in C) {' '.join(envs.names())} after\n"
    assert result.stderr == ""


def test_output_comes_back_after_an_exception() -> None:
    result = run_python(
        "import os\n"
        "from envs.bullet.client import quiet\n"
        "try:\n"
        "    with quiet():\n"
        "        os.write(1, b'unheard'); os.write(2, b'unheard')\n"
        "        raise KeyError\n"
        "except KeyError:\n"
        "    os.write(1, b'heard')"
    )
    assert (result.stdout, result.stderr) == ("heard", "")


def test_importing_the_table_loads_no_simulator() -> None:
    result = run_python(
        "import sys, envs; envs.table(), envs.names(), envs.resolve('Ant')\n"
        "print(sorted({'pybullet', 'torch', 'ray', 'mujoco'} & set(sys.modules)))"
    )
    assert result.stdout == "[]\n", result.stderr


def test_names_resolve_without_being_made() -> None:
    assert [row.name for row in envs.table()] == envs.names()
    for row in envs.table():
        assert envs.resolve(row.name) == envs.resolve(row.id) == row.id
        assert row.id in gymnasium.registry and row.description
    assert envs.resolve("CartPole-v1") == "CartPole-v1"
    assert envs.resolve("pybullet_envs_gymnasium:AntBulletEnv-v0").endswith(":AntBulletEnv-v0")


@pytest.mark.parametrize(
    ("wrong", "near"),
    [
        ("HalfCheeta", "HalfCheetah"),
        ("walker2d", "Walker2D"),
        ("ANT", "Ant"),
        ("HalfCheetah-v9", "HalfCheetah-v5"),
        ("CartPole", "CartPole-v1"),
        ("bullet/Antt-v0", "bullet/Ant-v0"),
        ("no such thing at all", "Humanoid"),
        ("no_such_module:Id-v0", "no_such_module"),
        ("math:Id-v0", "Id-v0"),
        ("", "HalfCheetah"),
    ],
)
def test_unknown_names_get_suggestions(wrong: str, near: str) -> None:
    for ask in (envs.resolve, envs.make):
        with pytest.raises(envs.UnknownEnvironment) as caught:
            ask(wrong)
        assert near in str(caught.value) and "\n" not in str(caught.value)


def test_a_module_may_bring_the_environment(
    make: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "brought_along.py").write_text(
        "import gymnasium\n"
        "from gymnasium.envs.classic_control import CartPoleEnv\n"
        "gymnasium.register('Brought-v0', entry_point=CartPoleEnv, max_episode_steps=3)\n"
    )
    (tmp_path / "broken_module.py").write_text("raise RuntimeError('two\\nlines')\n")
    monkeypatch.syspath_prepend(tmp_path)
    env = make("brought_along:Brought-v0")
    assert env.spec.max_episode_steps == 3 and env.reset(seed=0)[0].shape == (4,)
    with pytest.raises(envs.UnknownEnvironment, match="two lines"):
        envs.make("broken_module:Brought-v0")


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def lacks(name: str) -> Callable[..., Any]:
        def make(*args: Any, **kwargs: Any) -> Any:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

        return make

    for env_id, package, advice in [
        ("HalfCheetah-v5", "mujoco", r"gymnasium\[mujoco\]"),
        ("Ant", "pybullet", "pip install pybullet"),
    ]:
        monkeypatch.setattr(gymnasium, "make", lacks(package))
        with pytest.raises(gymnasium.error.DependencyNotInstalled, match=advice) as caught:
            envs.make(env_id)
        assert "\n" not in str(caught.value)


def test_mujoco_environments_print_and_write_nothing(tmp_path: Path) -> None:
    code = "import envs; envs.make('HalfCheetah-v5').close()"
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=tmp_path
    )
    assert (done.stdout, done.stderr) == ("", "")
    assert list(tmp_path.iterdir()) == []
