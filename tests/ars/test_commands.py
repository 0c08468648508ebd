"""`python -m ars`, `ars.evaluate` and `ars.render`: what they print, write and refuse."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image

import ars
from ars import __main__ as overview
from ars import evaluate, render
from ars.common.seeding import Stream, reset_seed
from ars.rollout.episode import rollout
from ars.rollout.pool import LocalPool
from ars.rollout.task import RolloutSpec, Snapshot, Task
from envs import window
from policies import PolicyFile, make_policy, read_policy, save_policy

Main = Callable[[list[str]], None]


class Square(gymnasium.Env[Any, Any]):
    """A white square that moves right on red, 20 steps at 60 a second.

    `trouble` happens at step 10 or, if it is a function, is called for each picture from there.
    """

    metadata = {"render_modes": ["rgb_array", "human"], "render_fps": 60}  # noqa: RUF012
    trouble: Any = None

    def __init__(self, render_mode: str | None = None, n_obs: int = 3, n_actions: int = 2) -> None:
        self.render_mode = render_mode
        self.observation_space = gymnasium.spaces.Box(-1, 1, (n_obs,))
        self.action_space = gymnasium.spaces.Discrete(n_actions)
        self.count = 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.count = 0
        return self._look(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.count += 1
        obs = self._look()
        reward = float(obs[0]) + action
        if self.trouble == "nan" and self.count == 10:
            reward = float("nan")
        return obs, reward, self.count == 20, False, {}

    def render(self) -> Any:
        if callable(self.trouble) and self.count >= 10:
            self.trouble()
        picture = np.zeros((49, 65, 3), np.uint8)
        picture[..., 0] = 200
        picture[30:40, self.count * 2 : self.count * 2 + 10] = 255
        return picture

    def _look(self) -> Any:
        return self.np_random.uniform(-1, 1, self.observation_space.shape).astype(np.float32)


gymnasium.register("Square-v0", entry_point=Square)


def save(
    path: Path, env_id: str = "Square-v0", seed: int = 5, scale: float = 0.3, **kwargs: Any
) -> Path:
    """A policy file with fixed random weights."""
    import envs

    env = envs.make(env_id, **kwargs)
    policy = make_policy("linear", env.observation_space, env.action_space)
    env.close()
    policy.weights = np.random.default_rng(0).standard_normal(policy.weights.size) * scale
    training = {"seed": seed, "rollout_length": 40, "iteration": 7, "timesteps": 12345}
    save_policy(path, PolicyFile(policy, env_id, {}, training))
    return path


@pytest.fixture
def square(tmp_path: Path) -> Path:
    return save(tmp_path / "square.safetensors")


@pytest.fixture
def cheetah(tmp_path: Path) -> Path:
    return save(tmp_path / "cheetah.safetensors", "HalfCheetah")


@pytest.fixture(autouse=True)
def no_display(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)


def refusal(main: Main, words: list[Any], capsys: pytest.CaptureFixture[str]) -> tuple[Any, str]:
    """The exit status and the one line on stderr."""
    with pytest.raises(SystemExit) as stopped:
        main([str(word) for word in words])
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1, lines
    return stopped.value.code, lines[0]


def frames_of(path: Path) -> tuple[str, Any]:
    """What ffmpeg says of a video, and its frames, uint8 [frames, height, width, 3]."""
    ffmpeg = imageio_ffmpeg.get_ffmpeg_exe()
    command = [ffmpeg, "-i", str(path), "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    done = subprocess.run(command, capture_output=True, timeout=60, check=True)
    about = next(line for line in done.stderr.decode().splitlines() if "Video: " in line)
    width, height = map(int, re.search(r", (\d+)x(\d+)", about).groups())
    return about, np.frombuffer(done.stdout, np.uint8).reshape(-1, height, width, 3)


# Evaluation


def test_evaluation_is_training_s_final_evaluation(
    cheetah: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluate.main([str(cheetah), "--episodes", "3", "--json"])
    found = json.loads(capsys.readouterr().out)
    policy = read_policy(cheetah).policy
    pool = LocalPool(RolloutSpec("HalfCheetah", policy.spec, seed=5, rollout_length=40))
    tasks = [Task(Stream.FINAL_EVALUATION, 0, index) for index in range(3)]
    episodes = pool.collect(pool.submit(Snapshot(policy.weights), tasks))
    pool.close()
    returns = [episode.total_reward for episode in episodes]
    assert found["returns"] == returns
    assert found["lengths"] == [episode.length for episode in episodes]
    assert found["return_mean"] == pytest.approx(np.mean(returns))
    assert found["return_std"] == pytest.approx(np.std(returns))
    assert (found["return_min"], found["return_max"]) == (min(returns), max(returns))
    assert found["length_mean"] == np.mean(found["lengths"])
    assert (found["env_id"], found["policy"]) == ("HalfCheetah", str(cheetah))
    assert (found["iteration"], found["seed"], found["episodes"]) == (7, 5, 3)


def test_summary_names_the_policy_and_lines_up(
    square: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluate.main([str(square), "--episodes", "4", "--seed", "9"])
    first, second, *table = capsys.readouterr().out.splitlines()
    assert first == f"policy file {square} (iteration 7, 12,345 timesteps)"
    assert second == "Square-v0, 4 episodes, seed 9"
    assert [line[:14].strip() for line in table] == [
        "mean return",
        "deviation",
        "minimum",
        "maximum",
        "mean length",
    ]
    assert len({len(line) for line in table}) == 1
    assert table[-1].endswith(" 20.00")


def test_a_run_folder_means_its_best_policy_unless_latest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save(tmp_path / "best_policy.safetensors", seed=1)
    save(tmp_path / "policy.safetensors", seed=2)
    for flags, file, seed in (([], "best_policy", 1), (["--latest"], "policy", 2)):
        evaluate.main([str(tmp_path), "--episodes", "1", "--json", *flags])
        found = json.loads(capsys.readouterr().out)
        assert (found["policy"], found["seed"]) == (str(tmp_path / f"{file}.safetensors"), seed)


def test_a_reward_that_is_not_finite_is_told(
    square: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Square, "trouble", "nan")
    for main in (evaluate.main, render.main):
        status, line = refusal(main, [square], capsys)
        assert status == 1
        assert "Square-v0" in line
        assert "episode 0: reward 9 is nan" in line
    assert not list(square.parent.glob("*.mp4"))


# What both refuse


@pytest.mark.parametrize("main", [evaluate.main, render.main])
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["RUN", "--episodes", "0"], "--episodes 0: must be at least 1"),
        (["RUN", "--seed", "-1"], "--seed -1: must be at least 0"),
        (["RUN", "--epsiodes", "3"], "unknown argument --epsiodes (did you mean --episodes?)"),
        (["nowhere"], "RUN nowhere: no run folder, policy file or shipped policy"),
        ([], "the following arguments are required: RUN"),
    ],
)
def test_wrong_words(
    main: Main, words: list[str], expected: str, square: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, line = refusal(main, [square if word == "RUN" else word for word in words], capsys)
    assert status == 2
    assert line.startswith(f"error: {expected}")


@pytest.mark.parametrize("main", [evaluate.main, render.main])
def test_files_that_cannot_be_used(
    main: Main,
    square: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    half = tmp_path / "half.safetensors"
    half.write_bytes(square.read_bytes()[:-40])
    status, line = refusal(main, [half], capsys)
    assert status == 1
    assert str(half) in line
    file = read_policy(square)
    for env_id, kwargs, expected, told in (
        ("Sqare-v0", {}, 2, "unknown environment 'Sqare-v0'; did you mean Square-v0"),
        ("Square-v0", {"n_obs": 4}, 1, "observations of 4 numbers, the policy takes 3"),
        ("Square-v0", {"n_actions": 5}, 1, "actions 0 to 4, the policy gives actions 0 to 1"),
        ("Square-v0", {"wheels": 5}, 1, "cannot be made: TypeError"),
    ):
        file.env_id, file.env_kwargs = env_id, kwargs
        save_policy(half, file)
        status, line = refusal(main, [half], capsys)
        assert status == expected
        assert told in line
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".mp4"] == []


# Rendering


def test_video_of_a_robot(cheetah: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = cheetah.parent / "run.mp4"
    render.main([str(cheetah), "--output", str(output), "--width", "200", "--height", "151"])
    about, frames = frames_of(output)
    assert "h264" in about
    assert "yuv420p" in about
    assert "30 fps" in about
    assert frames.shape == (21, 150, 200, 3)  # 40 steps at 60 a second, the start included
    for frame in frames:
        corner, rest = frame[2:6, 2:6], frame[:, 100:]
        assert corner.mean() < rest.mean() - 50  # the label's box
        assert rest.std() > 10
    assert np.abs(frames[0].astype(int) - frames[-1]).mean() > 2
    said = capsys.readouterr().out
    assert re.search(r"wrote \S+run.mp4: 200x150, 21 frames, 0.7 s, [\d.]+ kB", said)


def test_episodes_shown_are_those_of_the_rendering_seeds(
    square: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    render.main([str(square), "--output", str(square.parent / "x.png"), "--episodes", "2"])
    policy = read_policy(square).policy
    returns = [
        rollout(Square(), policy, reset_seed(5, Stream.RENDERING, index), 40).total_reward
        for index in range(2)
    ]
    said = capsys.readouterr().out
    for index, value in enumerate(returns):
        assert f"episode {index + 1}: return {value:,.2f}, 20 steps" in said


def test_gif_loops_in_real_time(square: Path) -> None:
    output = square.parent / "x.GIF"
    render.main([str(square), "--output", str(output), "--episodes", "2"])
    with Image.open(output) as gif:
        assert gif.format == "GIF"
        assert gif.size == (65, 49)
        assert gif.info["loop"] == 0
        assert gif.info["duration"] == 50
        assert gif.n_frames == 14  # every third step of 21, twice
        first = np.array(gif.convert("RGB"))
        assert tuple(first[45, 60]) == (200, 0, 0)


def test_sheet_shows_first_and_last_moment(square: Path) -> None:
    output = square.parent / "x.png"
    render.main([str(square), "--output", str(output)])
    with Image.open(output) as sheet:
        assert sheet.size == (4 * 65 + 3 * 4, 3 * 49 + 2 * 4)
        pixels = np.array(sheet)
    first, last = pixels[:49, :65], pixels[-49:, -65:]
    assert (first[38, :10] == 255).all()
    assert (last[38, 40:50] == 255).all()


def test_default_output_lies_in_the_run_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    run.mkdir()
    policy = save(run / "policy.safetensors")
    monkeypatch.chdir(tmp_path)
    render.main([str(run)])
    assert f"wrote {run / 'Square-v0.mp4'}" in capsys.readouterr().out
    assert len(frames_of(run / "Square-v0.mp4")[1]) == 11
    render.main([str(policy)])
    assert (tmp_path / "Square-v0.mp4").is_file()


@pytest.mark.parametrize("kind", ["mp4", "gif", "png"])
@pytest.mark.parametrize("how", ["error", "interrupt", "sigterm"])
def test_a_render_that_ends_early_leaves_the_old_file_alone(
    kind: str,
    how: str,
    square: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def trouble() -> None:
        if how == "error":
            raise gymnasium.error.DependencyNotInstalled("no\npictures today")
        os.kill(os.getpid(), signal.SIGTERM if how == "sigterm" else signal.SIGINT)

    output = square.parent / f"x.{kind}"
    output.write_text("before")
    monkeypatch.setattr(Square, "trouble", staticmethod(trouble))
    before = signal.getsignal(signal.SIGTERM)
    status, line = refusal(render.main, [square, "--output", output], capsys)
    if how == "error":
        assert status == 1
        assert line.endswith("no picture could be drawn: DependencyNotInstalled: no pictures today")
    else:
        assert (status, line) == (130, "interrupted")
    assert output.read_text() == "before"
    assert sorted(path.name for path in square.parent.iterdir()) == [square.name, output.name]
    assert signal.getsignal(signal.SIGTERM) is before


def test_what_ffmpeg_cannot_write_is_told(
    square: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(imageio_ffmpeg, "get_ffmpeg_exe", lambda: "/bin/false")
    status, line = refusal(render.main, [square, "--output", square.parent / "x.mp4"], capsys)
    assert status == 1
    assert "ffmpeg could not write the video" in line
    assert list(square.parent.iterdir()) == [square]


def test_a_full_disk_is_told(
    square: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: Any, **details: Any) -> None:
        raise OSError(28, "No space left on device")

    output = square.parent / "x.png"
    monkeypatch.setattr(Image.Image, "save", full)
    status, line = refusal(render.main, [square, "--output", output], capsys)
    assert (status, line) == (
        1,
        f"error: {output}: cannot be written (No space left on device)",
    )
    assert list(square.parent.iterdir()) == [square]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--output", "x.avi"], "--output x.avi: must end in .mp4, .gif, .png"),
        (["--output", "no/x.mp4"], "--output no/x.mp4: cannot be written (No such file"),
        (["--output", "folder.mp4"], "--output folder.mp4: cannot be written (it is a folder)"),
        (["--width", "5"], "--width 5: must be from 16 to 4096"),
        (["--height", "64"], "--height: Square-v0 does not let it be chosen"),
    ],
)
def test_wrong_words_for_rendering(
    words: list[str],
    expected: str,
    square: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.mp4").mkdir()
    status, line = refusal(render.main, [square, *words], capsys)
    assert status == 2
    assert line.startswith(f"error: {expected}")
    assert {path.name for path in tmp_path.iterdir()} == {square.name, "folder.mp4"}


def test_with_a_display_a_window_shows_the_episode_in_real_time(
    square: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    modes = []
    monkeypatch.setattr(window, "has_display", lambda: True)
    monkeypatch.setattr(Square, "reset", _noting(modes, Square.reset))
    started = time.perf_counter()
    render.main([str(square)])
    assert time.perf_counter() - started >= 20 / 60
    assert modes == ["human"]
    assert "episode 1: return" in capsys.readouterr().out
    assert list(square.parent.iterdir()) == [square]


def test_a_display_counts_only_if_its_server_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    assert not window.has_display()
    for gone in (":54321", ":nonsense", "localhost:99999.0"):
        monkeypatch.setenv("DISPLAY", gone)
        assert not window.has_display()
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("DISPLAY", f"127.0.0.1:{server.getsockname()[1] - 6000}.0")
        assert window.has_display()


def _noting(modes: list[str | None], method: Any) -> Any:
    def reset(self: Square, **details: Any) -> Any:
        modes.append(self.render_mode)
        return method(self, **details)

    return reset


# The overview, and the commands as processes


def test_overview_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    overview.main([])
    said = capsys.readouterr().out
    assert "HalfCheetah" in said
    folder = Path(ars.__file__).parent
    have_main = {path.stem for path in folder.glob("*.py") if "\ndef main(" in path.read_text()}
    assert set(overview.COMMANDS) == have_main - {"__main__"}
    for name in overview.COMMANDS:
        assert f"python -m ars.{name} " in said


def test_overview_refuses_words(capsys: pytest.CaptureFixture[str]) -> None:
    status, line = refusal(overview.main, ["render"], capsys)
    assert (status, line) == (2, "error: render: written with a dot, python -m ars.render")


def run(*words: object, **details: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *map(str, words)]
    return subprocess.run(command, text=True, capture_output=True, timeout=60, **details)


def test_help_loads_nothing_heavy() -> None:
    heavy = "{'numpy', 'gymnasium', 'PIL', 'rich', 'ray', 'torch', 'pybullet'}"
    code = f"import sys, ars.evaluate, ars.render; print({heavy} & set(sys.modules))"
    assert run("-c", code).stdout == "set()\n"
    for name in ("evaluate", "render"):
        shown = run("-m", f"ars.{name}", "--help")
        assert shown.returncode == 0
        assert shown.stdout.startswith(f"usage: python -m ars.{name}")


def test_only_json_on_stdout(cheetah: Path) -> None:
    done = run("-m", "ars.evaluate", cheetah, "--episodes", 2, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert len(json.loads(done.stdout)["returns"]) == 2


def test_a_reader_that_went_away_is_no_traceback(cheetah: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "ars.evaluate", str(cheetah), "--episodes", "1"]
    done = subprocess.run(
        command, stdout=writer, stderr=subprocess.PIPE, text=True, timeout=60, check=False
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, "")
