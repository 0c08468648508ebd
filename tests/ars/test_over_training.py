"""`ars render --over-training`: policies of a training, one after the other."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from hopper_runs import train
from paths import OLD_RUNS
from pictures import Square, frames_of, refusal
from PIL import Image
from PIL.GifImagePlugin import GifImageFile

from ars import api, render
from ars.common.seeding import Stream, reset_seed
from ars.rendering.video import Sheet
from ars.rollout.episode import rollout
from ars.training.rebuild import training_moments

pytestmark = pytest.mark.usefixtures("no_display")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return train(tmp_path / "run", "--n-iterations", "3", env="pictures:Square-v0")


def test_each_policy_plays_the_same_episode(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    render.main([str(run), "--over-training", "--output", str(run / "x.gif")])
    said = capsys.readouterr().out
    seed = reset_seed(0, Stream.RENDERING, 0)
    moments = training_moments(str(run))
    assert [moment.timesteps for moment in moments] == [0, 120, 240, 360]
    for moment in moments:
        expected = rollout(Square(), moment.policy, seed, 40).total_reward
        assert f"{moment.timesteps:,} timesteps: return {expected:,.2f}, 20 steps" in said
    with Image.open(run / "x.gif") as gif:
        assert isinstance(gif, GifImageFile)
        assert gif.n_frames == 4 * 8  # every third step of 21 and the last, of each


def test_of_long_episodes_the_first_seconds_are_shown(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ars.rendering.film.MOMENT_SECONDS", 0.1)  # 6 steps of 60 a second
    render.main([str(run), "--over-training", "--output", str(run / "x.mp4")])
    assert len(frames_of(run / "x.mp4")[1]) == 4 * 3  # steps 0, 2 and 4
    render.main([str(run), "--over-training", "--output", str(run / "x.png")])
    with Image.open(run / "x.png") as sheet:
        assert sheet.size == (4 * 65 + 3 * 4, 49)
        pixels = np.array(sheet)
    for tile in range(4):  # the square after 6 steps
        row = pixels[35, 69 * tile : 69 * tile + 65, 1]
        assert np.flatnonzero(row == 255).tolist() == list(range(12, 22))


def test_ten_pictures_fill_two_rows(tmp_path: Path) -> None:
    for n, size in ((10, (5, 2)), (12, (4, 3)), (3, (3, 1)), (8, (4, 2))):
        sheet = Sheet(tmp_path / "x.png", 30)
        for _ in range(n):
            sheet.add(Image.new("RGB", (6, 6)))
        sheet.finish()
        assert sheet.size == tuple(10 * count - 4 for count in size)


def test_without_output_a_video_is_written(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    render.main([str(run), "--over-training"])
    name = re.search(r"wrote (\S+):", capsys.readouterr().out)
    assert name is not None and Path(name[1]) == run / "Square-v0-training.mp4"
    assert Path(name[1]).is_file()


def test_it_is_there_from_python(run: Path) -> None:
    path = api.render(run, run / "y.png", over_training=True)
    with Image.open(path) as sheet:
        assert sheet.size == (4 * 65 + 3 * 4, 49)
    with pytest.raises(api.UsageError, match="`over_training`: a policy has no tape"):
        api.render(api.load(run), "y.png", over_training=True, env="pictures:Square-v0")


def test_wrong_words(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words, told in (
        ([run, "--episodes", "2"], "--episodes 2: has no meaning with --over-training"),
        ([OLD_RUNS["ppo"]], f"--over-training: {OLD_RUNS['ppo']} has no tape.bin"),
        (["Ant"], "--over-training: Ant has no tape.bin"),
        ([run, "--at", "5"], "--at 5: has no meaning beside --over-training"),
        ([run, "--latest"], "--latest: has no meaning beside --over-training"),
    ):
        status, line = refusal(render.main, [*words, "--over-training"], capsys)
        assert status == 2
        assert line.startswith(f"error: {told}"), line
