"""Several policies side by side, in slow motion too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pictures import Square, refusal, save
from PIL import Image
from PIL.GifImagePlugin import GifImageFile

from ars import api, render
from ars.common.errors import UsageError
from ars.rendering.film import Film, RenderConfig
from ars.rendering.grid import LETTER, LONGEST, _rate, _Reel, captions
from ars.rendering.recorder import _font
from ars.rendering.video import KINDS

pytestmark = pytest.mark.usefixtures("no_display")


def test_two_policies_move_side_by_side(
    square: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = save(tmp_path / "other.safetensors", seed=8)
    output = tmp_path / "x.gif"
    render.main([str(square), str(other), "--output", str(output)])
    with Image.open(output) as gif:
        assert gif.size == (2 * 65 + 4, 49)
        assert isinstance(gif, GifImageFile)
        assert gif.n_frames == 8
        gif.seek(7)
        last = np.array(gif.convert("RGB"))
    for left in (0, 69):
        assert (last[32, left + 42 : left + 48] > 200).all()  # after the last of 20 steps
    said = capsys.readouterr().out
    assert "square, episode 1: return" in said
    assert "other, episode 1: return" in said


@pytest.mark.parametrize("python", [False, True])
def test_all_play_the_same_episodes_unless_a_seed_is_given(
    python: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seeds: list[int | None] = []
    reset = Square.reset

    def noted(self: Square, *, seed: int | None = None, options: Any = None) -> Any:
        seeds.append(seed)
        return reset(self, seed=seed, options=options)

    monkeypatch.setattr(Square, "reset", noted)
    runs = [save(tmp_path / f"{seed}.safetensors", seed=seed) for seed in (7, 8)]
    for chosen in (None, 5):
        seeds.clear()
        if python:
            api.render(runs, output=tmp_path / "x.gif", seed=chosen)
        else:
            words = [] if chosen is None else ["--seed", str(chosen)]
            render.main([*map(str, runs), "--output", str(tmp_path / "x.gif"), *words])
        assert len(seeds) == 2 and seeds[0] == seeds[1]


def test_a_gif_of_several_that_is_full_says_so_and_has_room_for_the_longest(
    square: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "x.gif"
    render.main([str(square), str(square), "--episodes", "60", "--output", str(output)])
    assert "134x49, 400 frames (the most it may have), 20.0 s" in capsys.readouterr().out
    slow = _Reel(tmp_path)
    slow.fps, slow.length = 2.0, 100
    fast = _Reel(tmp_path)
    fast.fps, fast.length = 20.0, 100
    assert _rate([slow, fast], KINDS[".gif"]) == 100 / 13  # 50 s are 385 pictures
    assert _rate([slow, fast], KINDS[".mp4"]) == 20.0


def test_a_sheet_has_a_row_of_each(square: Path, tmp_path: Path) -> None:
    other = save(tmp_path / "other.safetensors")
    render.main([str(square), str(other), "--output", str(tmp_path / "x.png")])
    with Image.open(tmp_path / "x.png") as sheet:
        assert sheet.size == (4 * 65 + 3 * 4, 2 * 49 + 4)


def test_an_episode_of_few_steps_has_a_row_too(
    square: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Square, "n_steps", 2)
    other = save(tmp_path / "other.safetensors")
    render.main([str(square), str(other), "--output", str(tmp_path / "x.png")])
    with Image.open(tmp_path / "x.png") as sheet:
        assert sheet.size == (4 * 65 + 3 * 4, 2 * 49 + 4)


def test_no_policy_at_all_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="`run`: give one at least"):
        api.render([], output=tmp_path / "x.png")


def test_captions_are_as_short_as_tells_runs_apart() -> None:
    assert captions(["runs/Hopper/ars-s0", "runs/Hopper/ars-s1"]) == ["ars-s0", "ars-s1"]
    assert captions(["runs/A/s0", "runs/B/s0/"]) == ["A/s0", "B/s0"]
    assert captions(["Hopper", "Ant"]) == ["Hopper", "Ant"]
    assert captions(["a", "a"]) == ["a", "a"]
    assert captions(["x" * 60, "y"])[0] == "..." + "x" * 25


def test_captions_fit_into_small_pictures() -> None:
    runs = [f"sweep/pendulum-directions-16-seed{seed}" for seed in range(1, 11)]
    small, large = captions(runs, Path("x.gif")), captions(runs, Path("x.mp4"))
    assert len({*small}) == len({*large}) == 10
    assert max(map(len, small)) == (720 - 3 * 4) // 4 // LETTER
    assert max(map(len, large)) == LONGEST
    font = _font(13)
    assert max(font.getlength(caption) for caption in small) < 177 - 13


def test_captions_keep_what_is_no_ending_of_a_file() -> None:
    assert captions(["runs/lr0.1", "runs/lr0.2"]) == ["lr0.1", "lr0.2"]
    assert captions(["Hopper.zip", "x/ant.safetensors"]) == ["Hopper", "ant"]
    assert captions(["run", "run.zip"]) == ["run", "run.zip"]


@pytest.mark.parametrize(
    "runs",
    [
        ["a-" + "x" * 40, "b-" + "x" * 40],
        ["x" * 20 + "-a-" + "x" * 20, "x" * 20 + "-b-" + "x" * 20],
        ["x" * 40 + "-a-" + "x" * 40, "x" * 40 + "-b-" + "x" * 40],
        [f"{a}{'x' * 40}{b}" for a in "ab" for b in "cd"],
    ],
)
def test_captions_that_are_cut_differ(runs: list[str]) -> None:
    found = captions([*runs, runs[0]])
    assert len(set(found)) == len(runs)
    assert found[-1] == found[0]
    assert all(len(caption) == LONGEST for caption in found)


def test_a_folder_that_is_named_by_its_place_has_its_own_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ars-s1" / "deeper").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "ars-s1")
    assert captions([".", "../ars-s0"]) == ["ars-s1", "ars-s0"]
    monkeypatch.chdir("deeper")
    assert captions(["..", "../../ars-s0"]) == ["ars-s1", "ars-s0"]


@pytest.mark.parametrize("run", ["", "/"])
def test_what_is_no_run_is_refused_in_one_line(
    run: str, square: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, line = refusal(render.main, [run, square], capsys)
    assert status == 2
    assert line.startswith(f"error: RUN {run}: a folder without best_policy.safetensors")


@pytest.mark.parametrize("words", [["--over-training"], ["--window"]])
def test_what_shows_one_run_says_so(
    words: list[str],
    square: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("envs.drawing.window.has_display", lambda: True)
    status, line = refusal(render.main, [square, square, *words], capsys)
    assert status == 2
    assert f"{words[0]}: shows one RUN, and 2 are given" in line


def test_a_window_without_a_display_is_refused(
    square: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, line = refusal(render.main, [square, "--window"], capsys)
    assert (status, line) == (
        2,
        "error: --window: needs a display, and no X server answers (DISPLAY)",
    )


@pytest.mark.parametrize(
    ("speed", "steps", "fps"),
    [(1.0, [0, 2, 4], 30.0), (0.25, [0, 1, 2, 3, 4, 5], 15.0), (2.0, [0, 4], 30.0)],
)
def test_slow_motion_shows_more_of_the_steps(speed: float, steps: list[int], fps: float) -> None:
    film = Film(KINDS[".mp4"], RenderConfig(speed=speed), "Ant", 60.0, 20)
    assert [step for step in range(6) if film.wants(0, step, False)] == steps
    assert film.fps == fps


@pytest.mark.parametrize("n", [1, 2])
def test_a_sheet_has_no_speed(
    n: int, square: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*[square] * n, "--output", tmp_path / "a.png", "--speed", "0.5"]
    with pytest.raises(SystemExit) as stopped:
        render.main([str(word) for word in words])
    told = "error: --speed 0.5: has no meaning for a sheet of moments\n"
    assert stopped.value.code == 2 and capsys.readouterr().err.endswith(told)
    assert not (tmp_path / "a.png").exists()
