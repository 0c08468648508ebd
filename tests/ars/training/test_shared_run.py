"""A run in one file: used, verified and trained again elsewhere, whatever else the file holds."""

from __future__ import annotations

import json
import shlex
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest

import ars.evaluate
import ars.plot
import ars.share
import ars.verify
from ars.api import evaluate, load, train
from ars.api import share as share_from_python
from ars.common.errors import RolloutError, UsageError
from ars.training import shared_run
from ars.training.run_folder import without_folder
from ars.training.shared_run import share, unpacked
from envs import UnknownEnvironment
from policies import FileError

FEW: dict[str, Any] = {"n_iterations": 3, "n_directions": 4, "n_workers": 0, "verbose": False}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    lengths: dict[str, Any] = {"rollout_length": 20, "eval_length": 1000, "eval_episodes": 1}
    place = tmp_path_factory.mktemp("trained") / "run"
    return train("HalfCheetah", run_dir=place, **lengths, **FEW).folder


@pytest.fixture
def folder(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of a run, in a folder of its own that is the current one."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(trained, "mine")
    return Path("mine")


def test_the_file_stands_for_the_run(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ars.share.main([str(folder)])
    file = "HalfCheetah-ars-s0.zip"
    assert capsys.readouterr().out.startswith(f"wrote {file}: ")
    expected = evaluate(folder, episodes=2), load(folder, at=100).weights.tobytes()
    moved = Path("elsewhere") / file
    moved.parent.mkdir()
    Path(file).rename(moved)
    folder.rename("gone")
    assert evaluate(str(moved), episodes=2)["returns"] == expected[0]["returns"]
    assert load(str(moved), at=100).weights.tobytes() == expected[1]
    ars.verify.main([str(moved), "--iterations", "3"])
    assert capsys.readouterr().out.endswith("verified\n")
    ars.plot.main([str(moved), "--table", "csv"])
    assert "\nHalfCheetah,ARS,1," in capsys.readouterr().out
    again = train(config=moved, n_workers=0, verbose=False)
    best = "best_policy.safetensors"
    assert (again.folder / best).read_bytes() == (Path("gone") / best).read_bytes()


def test_another_run_of_the_same_name_is_left_in_its_file(folder: Path) -> None:
    found = [share_from_python(folder) for _ in range(2)]
    assert [path.name for path in found] == ["HalfCheetah-ars-s0.zip", "HalfCheetah-ars-s0-2.zip"]


def test_it_has_a_card_and_a_picture_and_always_the_same_bytes(folder: Path) -> None:
    for place in ("one", "two"):
        Path(place).mkdir()
        ars.share.main([str(folder), "--output", f"{place}/my run.zip"])
    assert Path("one/my run.zip").read_bytes() == Path("two/my run.zip").read_bytes()
    found = share_from_python(folder, "my run.zip")
    assert found.read_bytes() == Path("one/my run.zip").read_bytes()
    with zipfile.ZipFile("one/my run.zip") as archive:
        card, picture = archive.read("README.md").decode(), archive.read("picture.png")
    assert picture.startswith(b"\x89PNG")
    assert card.startswith('---\nlibrary_name: "ars-toolkit"\n')
    assert "\npython -m ars.evaluate 'my run.zip'\n" in card
    metadata = dict(line.split(": ", 1) for line in card.split("---\n")[1].splitlines())
    [model] = json.loads(metadata["model-index"])
    mean = json.loads((folder / "result.json").read_text())["final_evaluation"]["return_mean"]
    assert model["results"][0]["metrics"][0]["value"].startswith(f"{mean:.2f} +/- ")


def test_no_folder_of_the_machine_leaves_it(folder: Path) -> None:
    data = json.loads((folder / "config.json").read_text())
    commands = [
        "python -m ars.train HalfCheetah --config envs/a.json --run-dir /me/secret/run  # seed 1",
        "python -m ars.train --resume '/home/me/my secret/run' --env-kwargs 'clock=[1.5]'",
        "python -m ars.train https://x/y ~/secret/run",
        shlex.join(["ars", "train", "Ant", "--run-dir", "/home/me/O'Brien's files/the run"]),
        "ars.api.train('Ant', run_dir='/home/me/secret/run')",
    ]
    places = {"preset": "/home/me/my.toml", "init_from": "/home/me/first"}
    (folder / "config.json").write_text(json.dumps(data | places | {"commands": commands}))
    share(folder, Path("a.ZIP"))
    assert Path(unpacked("a.ZIP")).is_dir()
    with zipfile.ZipFile("a.ZIP") as archive:
        shared = json.loads(archive.read("config.json"))
        assert "/home/me" not in archive.read("README.md").decode()
    assert shared == data | {
        "preset": "my.toml",
        "init_from": "first",
        "commands": [
            "python -m ars.train HalfCheetah --config envs/a.json --run-dir run  # seed 1",
            "python -m ars.train --resume 'run' --env-kwargs 'clock=[1.5]'",
            "python -m ars.train https://x/y run",
            "ars train Ant --run-dir 'the run'",
            "ars.api.train('Ant', run_dir='run')",
        ],
    }


def test_a_preset_of_a_name_with_a_slash_keeps_it() -> None:
    assert without_folder("ALE/Pong-v5") == "ALE/Pong-v5"
    assert without_folder("/home/me/my.toml") == "my.toml"


@pytest.mark.parametrize("error", [UsageError, UnknownEnvironment, RolloutError])
def test_what_cannot_be_drawn_is_shared_without_a_picture(
    error: type[Exception],
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def undrawn(*_: object, **__: object) -> Any:
        raise error("no camera")

    monkeypatch.setattr("ars.reporting.sharing.record", undrawn)
    ars.share.main([str(folder), "--output", "a.zip"])
    assert "without a picture: no camera" in capsys.readouterr().out
    with zipfile.ZipFile("a.zip") as archive:
        assert "picture.png" not in archive.namelist()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["nowhere"], "RUN nowhere: not a run folder (no config.json in it)"),
        (["unfinished"], "RUN unfinished: has no result yet"),
        (["several"], "several: not a run folder (no config.json in it); it holds 1 run: name one"),
        (["mine", "--output", "a.rar"], "--output a.rar: must end in .zip"),
        (["mine", "--output", ""], "--output .: must end in .zip"),
        (["mine", "--output", "no/a.zip"], "--output no/a.zip: there is no folder no"),
        (["lost"], "RUN lost: has no policy (no best_policy.safetensors in it)"),
    ],
)
def test_wrong_words_are_one_line(
    words: list[str], told: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("unfinished").mkdir()
    shutil.copytree(folder, "several/s0")
    shutil.copytree(folder, "lost")
    Path("lost/best_policy.safetensors").unlink()
    Path("unfinished/config.json").write_bytes((folder / "config.json").read_bytes())
    with pytest.raises(SystemExit) as stopped:
        ars.share.main(words)
    error = capsys.readouterr().err
    assert stopped.value.code == 2
    assert error.startswith("error: ") and error.count("\n") == 1 and told in error
    assert not list(Path().glob("*.zip"))


def test_nothing_leaves_the_folder_that_it_is_unpacked_in(folder: Path) -> None:
    share(folder, Path("a.zip"))
    with zipfile.ZipFile("a.zip", "a") as archive:
        for name in ("../outside", "/tmp/ars-outside", "evil.py", "checkpoint/x"):
            archive.writestr(name, "x")
    place = Path(unpacked("a.zip"))
    found = {path.name for path in place.rglob("*")}
    assert found <= set(shared_run.FILES) and "config.json" in found
    assert not (place.parent / "outside").exists() and not Path("/tmp/ars-outside").exists()


@pytest.mark.parametrize("damage", ["empty", "text", "cut", "flipped", "other", "huge"])
def test_a_file_that_cannot_be_used_is_named(
    damage: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    share(folder, Path("a.zip"))
    content = bytearray(Path("a.zip").read_bytes())
    if damage == "empty":
        content.clear()
    elif damage == "text":
        content[:] = b"no archive"
    elif damage == "cut":
        del content[len(content) // 2 :]
    elif damage == "flipped":
        content[content.index(b"config.json") + 60] ^= 0xFF
    Path("a.zip").write_bytes(content)
    if damage == "other":
        with zipfile.ZipFile("a.zip", "w") as archive:
            archive.writestr("data.txt", "x")
    if damage == "huge":
        monkeypatch.setattr(shared_run, "LARGEST", 2000)
    with pytest.raises(FileError, match=r"a\.zip"):
        unpacked("a.zip")
    with pytest.raises(SystemExit) as stopped:
        ars.evaluate.main(["a.zip"])
    error = capsys.readouterr().err
    assert stopped.value.code == 1 and error.count("\n") == 1 and "a.zip" in error


@pytest.mark.parametrize("packing", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_a_damaged_packing_is_named(packing: int, folder: Path) -> None:
    with zipfile.ZipFile("a.zip", "w", packing) as archive:
        archive.writestr("config.json", (folder / "config.json").read_bytes() * 9)
    data = bytearray(Path("a.zip").read_bytes())
    data[60:90] = bytes(30)
    Path("a.zip").write_bytes(data)
    with pytest.raises(FileError, match=r"/a\.zip: cannot be read"):
        unpacked("a.zip")


def test_a_module_that_it_names_does_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    run = train("CartPole-v1", **FEW)
    data = json.loads((run.folder / "config.json").read_text())
    (run.folder / "config.json").write_text(json.dumps(data | {"env_id": "evil_world:Evil-v0"}))
    share(run.folder, Path("a.zip"))
    Path("evil_world.py").write_text("open('ran', 'w')\n")
    with pytest.raises(SystemExit) as stopped:
        ars.verify.main(["a.zip"])
    assert stopped.value.code == 2 and "evil_world" in capsys.readouterr().err
    assert not Path("ran").exists()
