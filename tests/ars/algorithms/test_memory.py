"""What needs more memory than is free is refused, or told of, before it is taken."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

import pytest

import ars.train
from ars.common import resources

LITTLE = 20e6  # bytes


@pytest.fixture
def little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources, "free_memory", lambda: LITTLE)


def train(folder: Path, *words: str, status: int = 0) -> None:
    command = ["CartPole-v1", "--n-workers", "0", "--n-iterations", "1", "--run-dir", str(folder)]
    if folder.exists():
        command = ["--resume", str(folder), "--n-workers", "0", "--n-iterations", "2"]
    with pytest.raises(SystemExit) if status else nullcontext() as stopped:
        ars.train.main([*command, *words])
    assert stopped is None or stopped.value.code == status


@pytest.mark.usefixtures("little_memory")
@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            ["--policy", "mlp", "--hidden-sizes", "1e9", "1e9"],
            "--hidden-sizes 1000000000 1000000000",
        ),
        (["--algo", "ppo", "--hidden-sizes", "1000", "1000"], "--hidden-sizes 1000 1000"),
        (["--n-directions", "1M"], "--n-directions 1,000,000"),
    ],
)
def test_settings_that_do_not_fit_are_named(
    words: Sequence[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train(tmp_path / "run", *words, status=1)
    err = capsys.readouterr().err
    assert told in err
    assert err.endswith("GB of memory more, and 0.0 GB are free\n")
    assert not (tmp_path / "run").exists()


@pytest.mark.usefixtures("little_memory")
def test_a_buffer_that_will_not_fit_is_told_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train(tmp_path / "run", "--algo", "dqn", "--buffer-size", "10M", "--n-steps", "8")
    told = "warning: --buffer-size, once the buffer is full: about 0.5 GB of memory more"
    assert told in capsys.readouterr().out


def test_a_run_folder_that_asks_for_too_much_is_named_with_the_setting(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    small = ["--n-directions", "2", "--eval-episodes", "1"]
    train(folder, "--policy", "mlp", "--hidden-sizes", "2", *small)
    path = folder / "config.json"
    data = json.loads(path.read_text())
    data["config"]["hidden_sizes"] = [10**9, 10**9]
    path.write_text(json.dumps(data))
    train(folder, status=1)
    err = capsys.readouterr().err
    assert err.startswith(f"error: {path}: a policy of 1,000,")
    assert "hidden-sizes 1000000000 1000000000" in err
