"""A preset may be a file, such as a search writes; it decides settings, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

import ars.train
from ars.common.errors import UsageError
from ars.training.config_file import settings_in
from ars.training.resolve import resolve_new, resolve_resumed
from policies import FileError


@pytest.fixture(autouse=True)
def in_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_preset_may_be_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    text = (
        "# found\nalgo: ppo\nn-steps: 16\nbatch_size: 32\nhidden_sizes: [8, 8]\nn_iterations: 2\n"
    )
    Path("mine.yaml").write_text(text)
    config = resolve_new("CartPole-v1", {"preset": Path("mine.yaml"), "batch_size": 64})
    assert (config.algo, config.preset, config.algorithm.n_steps) == ("ppo", "mine.yaml", 16)
    assert config.algorithm.hidden_sizes == (8, 8) and config.algorithm.batch_size == 64
    assert config.run.n_iterations == 2 and config.run.total_timesteps is None
    ars.train.main(
        ["CartPole-v1", "--preset", "mine.yaml", "--batch-size", "64", "--n-epochs", "1"]
    )
    folder = Path("runs/CartPole-v1/ppo-s0")
    Path("mine.yaml").unlink()
    again = settings_in(folder)
    assert again.notes == [] and again.given["preset"] is None
    assert (
        resolve_new("CartPole-v1", again.given).algorithm == resolve_resumed(folder, {}).algorithm
    )
    ars.train.main(["--resume", str(folder), "--n-iterations", "3"])
    assert "3 iterations done" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, "`preset` x.yaml: no such file"),
        ("step_size: [", "x.yaml: cannot be read"),
        ("- 3", "x.yaml: must hold settings by name"),
        ("stepsize: 3", "`preset` x.yaml: `stepsize`: there is no such setting (did you mean"),
        ("step_size: {a: 3}", "`step_size` {'a': 3}: must be of type float"),
        ("algo: [[x]]", "x.yaml: algo"),
        ("algo: ppo", "`preset` x.yaml: is for `algo` ppo; this run's is ars"),
        ("env: Hopper", "x.yaml: env has no place in a preset"),
        ("ray_address: evil:1", "x.yaml: ray_address has no place in a preset"),
        ("wrappers: [evil:Evil]", "x.yaml: wrappers has no place in a preset"),
        ("env_kwargs: {wrappers: [evil:Evil]}", "x.yaml: wrappers has no place in a preset"),
        ("env_kwargs: 3", "x.yaml: env_kwargs must be arguments by name"),
    ],
)
def test_a_file_that_is_no_preset_is_refused(text: str | None, told: str) -> None:
    if text is not None:
        Path("x.yaml").write_text(text)
    with pytest.raises((UsageError, FileError)) as refused:
        resolve_new("CartPole-v1", {"preset": "x.yaml", "algo": "ars"})
    assert str(refused.value).startswith(told)
