"""`ars render`: what it draws, writes and refuses."""

from __future__ import annotations

import os
import re
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any

import gymnasium
import imageio_ffmpeg
import numpy as np
import pytest
from pictures import Square, frames_of, refusal, save
from PIL import Image
from PIL.GifImagePlugin import GifImageFile

from ars import render
from ars.common.seeding import Stream, reset_seed
from ars.rendering.video import KINDS
from ars.rollout.episode import rollout
from envs.drawing import window
from policies import read_policy

pytestmark = pytest.mark.usefixtures("no_display")


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


def test_a_world_from_above_is_not_covered(tmp_path: Path) -> None:
    run, output = save(tmp_path / "x.safetensors", "GridWorld"), tmp_path / "x.mp4"
    render.main([str(run), "--output", str(output), "--width", "200", "--height", "150"])
    _, frames = frames_of(output)
    assert frames.shape[2] == 200 and frames.shape[1] > 150
    assert (frames[0, :6] < 40).all()
    assert (frames[0, -149:-140, :40] > 200).mean() > 0.9  # the upper left cell


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
        assert isinstance(gif, GifImageFile)
        assert gif.n_frames == 16  # every third step of 21 and the last, twice
        first = np.array(gif.convert("RGB"))
        assert tuple(first[45, 60]) == (200, 0, 0)


def test_help_says_how_long_a_gif_may_be(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        render.main(["--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert f".gif (at most {KINDS['.gif'].frames} pictures)" in said


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
        told = "no picture could be drawn: DependencyNotInstalled: no pictures today (at "
        assert told in line
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
    assert status == 1
    assert line.startswith(f"error: {output}: cannot be written (No space left on device)")
    assert list(square.parent.iterdir()) == [square]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--output", "x.avi"], "--output x.avi: must end in .mp4, .gif, .png"),
        (["--output", "no/x.mp4"], "--output no/x.mp4: there is no folder no"),
        (["--output", "folder.mp4"], "--output folder.mp4: is a folder"),
        (["--width", "5"], "--width 5: must be at least 16"),
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
    modes: list[str | None] = []
    monkeypatch.setattr(window, "has_display", lambda: True)
    monkeypatch.setattr(Square, "reset", _noting(modes, Square.reset))
    started = time.perf_counter()
    render.main([str(square)])
    assert time.perf_counter() - started >= 20 / 60
    assert modes == ["human"]
    assert "episode 1: return" in capsys.readouterr().out
    assert list(square.parent.iterdir()) == [square]


def test_what_has_no_window_of_its_own_is_shown_in_a_video(
    square: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(window, "has_display", lambda: True)
    monkeypatch.setattr(Square, "metadata", {"render_modes": ["rgb_array"], "render_fps": 60})
    monkeypatch.chdir(tmp_path)
    render.main([str(square)])
    told = capsys.readouterr().out
    assert "no window, but a video: its class names no human in metadata" in told
    assert (tmp_path / "Square-v0.mp4").exists() and "wrote Square-v0.mp4" in told
    status, line = refusal(render.main, [square, "--window"], capsys)
    assert status == 2 and line.startswith("error: --window: Square-v0 has none: its class names")


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
