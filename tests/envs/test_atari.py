"""What is seen of Atari games: pictures made small, or what moved in them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from episodes import episode, random_actions
from paths import ROOT

import ars.train
import envs
from ars import evaluate, render
from ars.experience.vector_env import VectorEnv
from envs.atari import Shrink, n_stacked
from envs.errors import WrongOptions
from policies import PolicyFile, make_policy, save_policy

Make = Callable[..., Any]


# Small pictures


def test_pictures_shrink_by_the_mean_of_the_area() -> None:
    picture = np.array([[0, 4, 10, 20], [8, 0, 30, 41], [1, 1, 0, 0], [1, 2, 0, 255]], np.uint8)
    assert Shrink((4, 4), 2)(picture).tolist() == [[3, 25], [1, 64]]  # 25.25, 1.25, 63.75


def test_pictures_shrink_by_parts_of_pixels() -> None:
    """Five columns to two: the middle one counts half to each; three rows to two likewise."""
    picture = np.array([[10, 20, 30, 40, 50], [0] * 5, [0, 0, 200, 0, 0]], np.uint8)
    above = [(10 + 20 + 15) / 2.5 / 1.5, (15 + 40 + 50) / 2.5 / 1.5]
    below = [100 / 2.5 / 1.5] * 2
    shrunk = Shrink((3, 5), 2)(picture)
    assert shrunk.tolist() == [[round(x) for x in above], [round(x) for x in below]]


def test_an_even_picture_stays_even_at_ataris_size() -> None:
    for grey in (0, 1, 128, 255):
        shrunk = Shrink((210, 160), 84)(np.full((210, 160), grey, np.uint8))
        assert shrunk.shape == (84, 84) and (shrunk == grey).all()


# Atari


def test_atari_observations_are_four_small_grey_frames(make: Make) -> None:
    env = make("ALE/Breakout-v5", pixels="atari")
    assert env.observation_space == gymnasium.spaces.Box(0, 255, (4, 84, 84), np.uint8)
    assert n_stacked(env) == 4
    obs, _ = env.reset(seed=0)
    assert (obs == obs[0]).all() and len(np.unique(obs[0])) > 3
    moved = 0
    for action in (1, 2, 3, 2, 3, 3):
        before, (obs, *_) = obs, env.step(action)
        assert (obs[:-1] == before[1:]).all()
        moved += (obs[-1] != before[-1]).any()
    assert moved
    assert not np.shares_memory(obs, before)


def test_an_action_is_held_for_four_frames_and_the_last_two_are_merged(make: Make) -> None:
    plain = {"frameskip": 1, "repeat_action_probability": 0.0}
    env = make("ALE/SpaceInvaders-v5", pixels="atari", repeat_action_probability=0.0, noop_max=0)
    game = make("ALE/SpaceInvaders-v5", obs_type="grayscale", **plain)
    env.reset(seed=1)
    game.reset(seed=1)
    shrink, differed = Shrink((210, 160), 84), 0
    for action in [1, 2, 3, 4, 5] * 8:
        obs, reward, *_ = env.step(action)
        steps = [game.step(action) for _ in range(4)]
        assert reward == sum(step[1] for step in steps)
        last, before = steps[3][0], steps[2][0]
        differed += (last != before).any()
        assert (obs[-1] == shrink(np.maximum(last, before))).all()
    assert differed


def test_an_episode_begins_with_some_frames_of_nothing(make: Make) -> None:
    env = make("ALE/Pong-v5", pixels="atari", noop_max=5)
    frames = set()
    for seed in range(12):
        env.reset(seed=seed)
        frames.add(env.unwrapped.ale.getEpisodeFrameNumber())
    assert len(frames) > 2 and frames <= {1, 2, 3, 4, 5}


@pytest.mark.parametrize(
    ("env_id", "pixels"), [("ALE/Breakout-v5", "atari"), ("ALE/Pong-v5", "pong")]
)
def test_games_depend_on_the_seed_and_the_actions_alone(
    env_id: str, pixels: str, make: Make
) -> None:
    first, second = make(env_id, pixels=pixels), make(env_id, pixels=pixels)
    actions = random_actions(first, 60)
    want = episode(first, 4, actions)
    assert episode(first, 5, actions) != want
    assert episode(first, 4, actions) == want
    assert episode(second, 4, actions) == want


def test_a_lost_life_cuts_returns_and_the_game_goes_on(make: Make) -> None:
    env = make("ALE/Breakout-v5", pixels="atari", fire=True)
    rng = np.random.default_rng(0)
    env.reset(seed=0)
    lives, over, cuts = 5, False, 0
    while not over:
        _, _, over, truncated, info = env.step(int(rng.integers(4)))
        assert not truncated
        assert info["cut_returns"] == (info["lives"] < lives)
        cuts, lives = cuts + info["cut_returns"], info["lives"]
    assert (cuts, lives) == (5, 0)


def test_fire_is_pressed_where_a_game_waits_for_it(make: Make) -> None:
    """Breakout without FIRE stands still; with it the ball falls and lives are lost."""
    lives = {}
    for fire in (False, True):
        env = make("ALE/Breakout-v5", pixels="atari", fire=fire, noop_max=0)
        env.reset(seed=0)
        for _ in range(150):
            info = env.step(0)[4]
        lives[fire] = info["lives"]
    assert lives[False] == 5
    assert lives[True] < 4
    env = make("ALE/Freeway-v5", pixels="atari", fire=True)  # which has no FIRE
    assert "FIRE" not in env.unwrapped.get_action_meanings()
    env.reset(seed=0)


def test_pong_seen_as_what_moved(make: Make) -> None:
    env = make("ALE/Pong-v5", pixels="pong", repeat_action_probability=0.0)
    game = make("ALE/Pong-v5", repeat_action_probability=0.0)
    assert env.observation_space == gymnasium.spaces.Box(-1, 1, (80, 80), np.int8)
    assert env.action_space == gymnasium.spaces.Discrete(2)
    obs, _ = env.reset(seed=3)
    before = game.reset(seed=3)[0]
    assert not obs.any()
    points = moved = 0
    for step in range(150):
        action = step // 5 % 2
        obs, reward, _, _, info = env.step(action)
        now, want_reward = game.step(action + 2)[:2]
        want = _objects(now) - _objects(before)
        assert (obs == want).all()
        assert reward == want_reward and info["cut_returns"] == (reward != 0)
        before, points = now, points + info["cut_returns"]
        moved += {-1, 1} <= set(np.unique(obs).tolist())
    assert points > 1 and moved > 50
    assert n_stacked(env) == 1


def _objects(screen: Any) -> Any:
    """Karpathy's own way: background to 0, all else to 1."""
    small = screen[35:195][::2, ::2, 0].astype(int)
    small[small == 144] = 0
    small[small == 109] = 0
    return (small != 0).astype(int)


@pytest.mark.parametrize(
    ("env_id", "kwargs", "words"),
    [
        ("CartPole-v1", {"pixels": "atari"}, "pixels=atari: is for Atari games"),
        ("Squash", {"pixels": "atari"}, "pixels/Squash-v0 is none"),
        ("ALE/Breakout-v5", {"pixels": "pong"}, "pixels=pong: is for the game ALE/Pong-v5"),
        ("ALE/Pong-v5", {"pixels": "rgb"}, "pixels=rgb: must be one of atari, pong"),
        ("ALE/Pong-v5", {"pixels": "atari", "n_frames": 0}, "n_frames=0: must be a whole number"),
        ("ALE/Pong-v5", {"pixels": "atari", "frameskip": 2}, "frameskip=2: pixels=atari sees to"),
    ],
)
def test_options_that_do_not_suit_end_in_one_line(
    env_id: str,
    kwargs: dict[str, Any],
    words: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(WrongOptions, match=words):
        envs.make(env_id, **kwargs)
    monkeypatch.chdir(tmp_path)
    pairs = [f"{name}={json.dumps(value)}" for name, value in kwargs.items()]
    with pytest.raises(SystemExit) as stopped:
        ars.train.main([env_id, "--n-workers", "0", "--env-kwargs", *pairs])
    out, err = capsys.readouterr()
    assert stopped.value.code == 2
    assert err.startswith("error: ") and err.count("\n") == 1 and words in err
    assert out == "" and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("CartPole-v1 --pixels atari", "pixels=atari: is for Atari games"),
        ("CartPole-v1 --pixels atari --algo dqn", "pixels=atari: is for Atari games"),
        ("ALE/Breakout-v5 --pixels pong", "pixels=pong: is for the game ALE/Pong-v5"),
        ("ALE/Pong-v5 --pixels rgb", "argument --pixels: invalid choice: 'rgb'"),
        ("CartPole-v1 --algo dqn --conv-layers 16 4 2", "--conv-layers: are for images, and Cart"),
        ("CartPole-v1 --algo dqn --policy cnn", "a cnn policy takes images"),
        (
            "CartPole-v1 --algo dqn --save-buffer",
            "--save-buffer: is for images, or other bytes; che",
        ),
        ("Squash --algo dqn --conv-layers 16 4", "--conv-layers 16 4: must be three numbers a"),
        ("Squash --algo dqn --conv-layers 16 40 4", "leave nothing of an image of (2, 24, 24)"),
        ("Squash --algo dqn --policy mlp --conv-layers 16 4 2", "no meaning with --policy mlp"),
    ],
)
def test_flags_for_images_where_there_are_none(
    words: str,
    message: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stopped:
        ars.train.main([*words.split(), "--n-workers", "0"])
    out, err = capsys.readouterr()
    assert stopped.value.code == 2
    assert err.startswith("error: ") and err.count("\n") == 1 and message in err
    assert out == "" and list(tmp_path.iterdir()) == []


def test_the_view_is_stored_with_the_run_and_may_not_change(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    words = f"ALE/Pong-v5 --pixels pong --algo dqn --n-steps 20 --run-dir {folder} --n-iterations 1"
    short = "--rollout-length 15 --eval-episodes 1 --buffer-size 200 --learning-starts 10"
    ars.train.main([*words.split(), *short.split(), "--hidden-sizes", "8"])
    assert json.loads((folder / "config.json").read_text())["env_kwargs"] == {"pixels": "pong"}
    ars.train.main(["--resume", str(folder), "--pixels", "pong", "--n-iterations", "2"])
    capsys.readouterr()
    with pytest.raises(SystemExit):
        ars.train.main(["--resume", str(folder), "--pixels", "atari"])
    assert "--pixels atari: the run was started with pong" in capsys.readouterr().err


@pytest.mark.parametrize("n_processes", [0, 2])
def test_lost_lives_reach_whoever_learns(n_processes: int) -> None:
    kwargs = {"pixels": "atari", "fire": True, "noop_max": 0, "repeat_action_probability": 0.0}
    environments = VectorEnv("ALE/Breakout-v5", kwargs, 2, 0, 1000, n_processes)
    environments.reset()
    cuts = []
    for step in range(40):
        # Who does nothing loses a ball; the other has it later, having moved about.
        seen = environments.step(np.array([0, 2 + step // 3 % 2]))
        assert not (seen.terminated | seen.truncated).any()
        cuts.append([False, False] if seen.cut is None else seen.cut.tolist())
    environments.close()
    assert np.sum(cuts, 0).tolist() == [1, 1]


def test_without_ale_py_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ale_py", None)
    for env_id in ("ALE/Nonesuch-v5", "NonesuchNoFrameskip-v4"):
        with pytest.raises(envs.UnknownEnvironment, match="pip install ale-py") as caught:
            envs.resolve(env_id)
        assert "\n" not in str(caught.value)


def test_frames_along_another_axis_are_no_stack(make: Callable[..., Any]) -> None:
    assert n_stacked(make("small_worlds:Stacks-v0")) == 4
    assert n_stacked(make("small_worlds:Stacks-v0", turned=True)) == 1


def test_atari_says_nothing_and_is_loaded_only_where_it_is_used() -> None:
    code = (
        "import sys, envs\n"
        "envs.make('CartPole-v1'); envs.make('Squash')\n"
        "assert 'ale_py' not in sys.modules\n"
        "env = envs.make('ALE/Pong-v5', pixels='atari')\n"
        "env.reset(seed=0); env.step(0); env.close()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_stored_options_rebuild_the_view(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kwargs: dict[str, Any] = {"pixels": "pong"}
    env = envs.make("ALE/Pong-v5", **kwargs)
    policy = make_policy("linear", env.observation_space, env.action_space)
    env.close()
    path = tmp_path / "pong.safetensors"
    save_policy(path, PolicyFile(policy, "ALE/Pong-v5", kwargs, {"rollout_length": 40}))
    evaluate.main([str(path), "--episodes", "2", "--json"])
    assert json.loads(capsys.readouterr().out)["lengths"] == [40, 40]
    output = tmp_path / "pong.gif"
    render.main([str(path), "--output", str(output)])
    assert output.stat().st_size > 1000
