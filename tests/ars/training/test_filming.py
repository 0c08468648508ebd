"""Films beside training: they are written, change no bit, and cannot end it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hopper_runs import train
from learners import outcome
from pictures import frames_of

from ars.training.filming import Filming

SQUARE = "pictures:Square-v0"


def test_films_change_no_bit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--n-iterations", "2"]
    plain = train(tmp_path / "plain", *words, env=SQUARE)
    filmed = train(tmp_path / "filmed", *words, "--video-freq", "2", env=SQUARE)
    assert outcome(filmed) == outcome(plain)
    names = sorted(path.name for path in (filmed / "videos").iterdir())
    assert names == ["iteration-000000.mp4", "iteration-000002.mp4"]
    assert len(frames_of(filmed / "videos" / names[1])[1]) == 11
    assert not (plain / "videos").exists()
    assert "warning" not in capsys.readouterr().err


def test_a_film_that_is_left_leaves_nothing(tmp_path: Path) -> None:
    films = Filming(tmp_path, 1, {}, print)
    films._folder.mkdir()
    (half := films._folder / ".iteration-000001.mp4.0f").touch()
    films._process = subprocess.Popen(["sleep", "60"], text=True)
    films.close()
    assert not half.exists()


def test_what_cannot_be_drawn_is_said_once_and_trains_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--n-iterations", "3", "--video-freq", "1"]
    run = train(tmp_path / "run", *words, env="small_worlds:Identity-v0")
    assert (run / "result.json").is_file()
    said = "".join(capsys.readouterr())
    assert said.count("no film can be drawn, and training goes on: ") == 1
    assert not list((run / "videos").iterdir())
