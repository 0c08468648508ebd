"""`train ENV --dry-run` tells what would be trained, and trains nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

import ars.train
from ars.training import dry_run


@pytest.fixture(autouse=True)
def quickly_in_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(dry_run, "MEASURED_SECONDS", 0.01)


def told(words: str, capsys: pytest.CaptureFixture[str]) -> dict[str, list[str]]:
    """The lines that are printed, split, by their first words."""
    ars.train.main([*words.split(), "--dry-run"])
    lines = capsys.readouterr().out.splitlines()
    assert sorted(path.name for path in Path().iterdir()) in ([], ["mine.toml"])
    return {line.split()[0]: line.split()[1:] for line in lines if line.strip()}


def test_every_value_has_its_origin(capsys: pytest.CaptureFixture[str]) -> None:
    Path("mine.toml").write_text("env = 'cartpole-v1'\nddof = 0\nseed = 1\nalgo = 'ars'\n")
    lines = told("--config mine.toml --seed 2 --n-directions 4", capsys)
    assert lines["CartPole-v1,"] == ["ars,", "no", "preset;", "nothing", "is", "trained"]
    assert lines["--seed"] == ["2", "given"]
    assert lines["--ddof"] == ["0", "file"]
    assert lines["--step-size"] == ["0.02", "default"]
    assert lines["--rollout-length"] == ["500", "environment"]


def test_a_preset_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    lines = told("CartPole-v1 --algo ppo --total-timesteps 5000 --n-seeds 3", capsys)
    assert lines["--n-steps"][1:] == ["preset", "CartPole-v1"]
    assert lines["--total-timesteps"] == ["5,000", "given"]
    assert lines["time:"][0] == "about"
    assert " ".join(lines["time:"]).endswith("one of 3 seeds by itself")
    assert lines["policy:"][-2:] == ["actions", "Discrete(2)"]


def test_a_presets_start_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    lines = told("HumanoidFlagrun --algo ppo --n-envs 4", capsys)
    assert lines["--init-from"] == ["shipped:Humanoid,", "from", "--preset", "HumanoidFlagrun"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("--dry-run", "name an environment"),
        ("--dry-run --resume runs/a", "--dry-run: shows new runs"),
        ("CartPole-v1 --dry-run --step-size -1", "--step-size -1.0: must be greater than 0"),
    ],
)
def test_wrong_words_are_one_line(
    words: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        ars.train.main(words.split())
    error = capsys.readouterr().err
    assert stopped.value.code == 2
    assert error.startswith("error: ") and error.count("\n") == 1 and told in error
