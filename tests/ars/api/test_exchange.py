"""`ars export` and `ars import`: what they write, print and refuse."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from foreign_policies import archive, original_ars
from pictures import refusal

from ars import evaluate, export
from ars.api import UsageError, import_policy, load, train
from ars.api import export as export_policy
from policies import read_policy

import_command: Any = importlib.import_module("ars.import")  # a name that no statement can hold
RNG = np.random.default_rng(0)
WEIGHTS, MEAN, STD = RNG.standard_normal((1, 3)), RNG.standard_normal(3), RNG.random(3) + 0.5


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_shipped_policy_is_exported_into_the_current_folder(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    export.main(["Hopper", "--format", "npz"])
    shipped, wrote, beside = capsys.readouterr().out.splitlines()
    assert shipped.startswith("shipped policy ")
    assert wrote.startswith("wrote Hopper.npz: ")
    assert wrote.endswith("equal to the policy's to the last bit for 1,000 observations")
    assert beside == "beside it: Hopper.vectors.npz"
    assert sorted(path.name for path in folder.iterdir()) == ["Hopper.npz", "Hopper.vectors.npz"]
    with np.load("Hopper.vectors.npz") as vectors:
        assert len(vectors["observations"]) == len(vectors["actions"]) == 1000
    assert str(folder) not in str(np.load("Hopper.npz")["about"])


def test_the_ending_of_a_file_says_its_format(cheetah: Path) -> None:
    assert export_policy(cheetah, output="a.npz").read_bytes()[:2] == b"PK"
    assert export_policy(load(cheetah), output="b.npz").is_file()


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ([], "error: --format: choose one of onnx, torch, npz, c"),
        (["--format", "tflite"], "error: --format tflite: must be one of onnx, torch, npz, c"),
        (["--format", "onxx"], "error: --format onxx: must be one of onnx, torch, npz, c "
         "(did you mean onnx?)"),
        (["--output", "a.bin"], "error: --output a.bin: must end in .onnx, .pt2, .npz, .h, or come "
         "with a --format"),
        (["--format", "c", "--output", "a.npz"], "error: --output a.npz: of --format c it must end "
         "in .h"),
        (["--output", "no/a.npz"], "error: --output no/a.npz: there is no folder no"),
        (["--output", "a.npz", "--at", "5"], "error: --at 5: "),
    ],
)  # fmt: skip
def test_exports_that_cannot_be_made_are_refused(
    words: list[str], line: str, cheetah: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, said = refusal(export.main, [cheetah, *words], capsys)
    assert status == 2 and said.startswith(line)


def test_an_imported_policy_is_evaluated_and_trained_on(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = original_ars(folder / "lin_policy_plus.npz", WEIGHTS, MEAN, STD)
    import_command.main([str(file), "Pendulum-v1"])
    described, wrote = capsys.readouterr().out.splitlines()
    assert described == (
        "linear policy from the original ARS code, layers of 3, 1, observations normalised, "
        "actions not clipped"
    )
    assert wrote.startswith("wrote lin_policy_plus.safetensors; evaluate it: ")
    import_command.main([str(file), "Pendulum-v1"])  # the original code names all files alike
    assert "wrote lin_policy_plus-2.safetensors; evaluate it: " in capsys.readouterr().out
    evaluate.main(["lin_policy_plus.safetensors", "--episodes", "1"])
    few: dict[str, Any] = {
        "n_iterations": 1,
        "n_directions": 1,
        "eval_episodes": 1,
        "rollout_length": 5,
    }
    run = train(
        "Pendulum-v1", init_from="lin_policy_plus.safetensors", variant="v2", step_size=1e-9,
        n_workers=0, verbose=False, **few,
    )  # fmt: skip
    trained = load(run, latest=True)
    np.testing.assert_allclose(trained.weights, WEIGHTS.ravel(), rtol=0, atol=1e-6)
    assert trained.normalizer is not None
    np.testing.assert_allclose(trained.normalizer.mean, MEAN, rtol=0, atol=1e-3)


def test_import_policy_is_the_command_in_python(folder: Path) -> None:
    file = original_ars(folder / "p.npz", WEIGHTS, 0, 1)
    path = import_policy(file, "pendulum-v1", "mine.safetensors")
    found = read_policy(path)
    assert (found.env_id, found.training["algo"]) == ("Pendulum-v1", "ars")
    assert np.array_equal(found.policy.weights, WEIGHTS.ravel())
    with pytest.raises(UsageError, match="`env` CartPole-v1: has observations of 4 numbers"):
        import_policy(file, "CartPole-v1")
    names = [import_policy(file, "Pendulum-v1").name for _ in range(2)]
    assert names == ["p.safetensors", "p-2.safetensors"]


@pytest.mark.parametrize(
    ("words", "status", "line"),
    [
        (["nowhere.zip", "Hopper"], 1, "error: nowhere.zip: cannot be read (No such file"),
        (["odd.npz", "Hopper"], 1, "error: odd.npz: not a usable policy of Stable-Baselines3 or of "
         "the original ARS code: "),
        (["p.npz", "Hoper"], 2, "error: "),
        (["p.npz", "CartPole-v1"], 2, "error: ENV CartPole-v1: has observations of 4 numbers, the "
         "policy 3"),
        (["p.npz", "Pendulum-v1", "--statistics", "p.npz"], 2, "error: --statistics p.npz: a "
         "policy of the original ARS code has its own"),
        (["p.npz", "Pendulum-v1", "--output", "no/p.safetensors"], 2, "error: --output "),
        (["p.npz", "Pendulum-v1", "--output", "p.npz"], 2, "error: --output p.npz: must end in "
         ".safetensors"),
        (["p.npz"], 2, "error: the following arguments are required: ENV"),
    ],
)  # fmt: skip
def test_imports_that_cannot_be_made_are_refused(
    words: list[str], status: int, line: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    original_ars(folder / "p.npz", WEIGHTS, MEAN, STD)
    archive(folder / "odd.npz", {"a.npy": b""})
    found, said = refusal(import_command.main, words, capsys)
    assert found == status and said.startswith(line)
    assert not list(folder.glob("*.safetensors"))
