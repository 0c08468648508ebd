"""How a training is put together from its parts: each is blamed for its own failures alone."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any, NoReturn

import pytest

import ars.train
from ars.training import logs, run


def failing(*_: Any, **__: Any) -> NoReturn:
    raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))


@pytest.mark.parametrize(
    ("part", "told"),
    [
        ((run, "make_pool"), "Too many open files: more than `ulimit -n` allows"),
        ((logs, "CsvLog"), "{folder}: cannot"),
    ],
    ids=["pool", "logs"],
)
def test_what_fails_in_starting_is_named(
    part: tuple[Any, str],
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(*part, failing)
    folder = tmp_path / "run"
    with pytest.raises(SystemExit) as stopped:
        ars.train.main(["CartPole-v1", "--n-workers", "0", "--run-dir", str(folder)])
    assert stopped.value.code == 1
    assert capsys.readouterr().err.startswith(f"error: {told.format(folder=folder)}")
    assert folder.exists() == (part[0] is logs)  # else it has not begun


@pytest.mark.parametrize(
    "words", [["--no-action-clip"], ["--algo", "ppo", "--log-std-init", "-1"]], ids=["ars", "ppo"]
)
def test_settings_of_box_actions_are_named_where_they_are_discrete(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few = ["--n-iterations", "1", "--n-workers", "0", "--eval-episodes", "1"]
    ars.train.main(["CartPole-v1", "--run-dir", str(tmp_path / "run"), *few, *words])
    told = f"{words[-1] if 'no' in words[0] else words[-2]}: has no meaning here, as actions are"
    assert told.replace("--no-", "--") in capsys.readouterr().out
