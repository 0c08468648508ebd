"""Runs that earlier versions left, kept in tests/data/runs, go on as they would have then."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from learners import outcome
from paths import OLD_RUNS
from stored_settings import edit_settings

import ars.evaluate
import ars.train
from ars.algorithms import ALGORITHMS
from ars.training.stored_settings import current_settings

every_run = pytest.mark.parametrize("run", OLD_RUNS.values(), ids=OLD_RUNS)


@pytest.fixture
def copied(tmp_path: Path) -> Callable[[Path, str], Path]:
    def copy(run: Path, name: str) -> Path:
        shutil.copytree(run, tmp_path / name)
        return tmp_path / name

    return copy


def last_row(folder: Path) -> dict[str, float]:
    names, *_, values = (folder / "progress.csv").read_text().split()
    return dict(zip(names.split(","), map(float, values.split(",")), strict=True))


def resume(folder: Path) -> Path:
    """For one iteration more."""
    done = int(last_row(folder)["iteration"])
    words = ["--n-iterations", str(done + 1), "--n-workers", "0"]
    ars.train.main(["--resume", str(folder), *words])
    return folder


@every_run
def test_it_resumes_as_it_did_then(
    run: Path, copied: Callable[[Path, str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = resume(copied(run, "run"))
    then = json.loads((folder / "resumed.json").read_text())
    # The same bytes on the machine of then; elsewhere float32 sums round otherwise.
    near: dict[str, Any] = {"rel": 1e-3, "abs": 1e-3, "nan_ok": True}
    (row,) = then["progress"]
    now = last_row(folder)
    assert {name: now[name] for name in row} == pytest.approx(row, **near)
    assert now.keys() - row.keys() == {"time_seconds", "steps_per_second"}
    final = json.loads((folder / "result.json").read_text())["final_evaluation"]
    known = {name: final[name] for name in then["final_evaluation"]}
    assert known == pytest.approx(then["final_evaluation"], **near)
    capsys.readouterr()
    ars.evaluate.main([str(folder), "--episodes", "2", "--json"])
    assert json.loads(capsys.readouterr().out)["return_mean"] == final["return_mean"]


@every_run
def test_its_policies_act(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("policy.safetensors", "best_policy.safetensors"):
        ars.evaluate.main([str(run / name), "--episodes", "1", "--json"])
        assert json.loads(capsys.readouterr().out)["length_mean"] >= 1


@every_run
def test_an_absent_setting_means_its_default(
    run: Path, copied: Callable[[Path, str], Path]
) -> None:
    kind = ALGORITHMS[json.loads((run / "config.json").read_text())["algo"]].Config
    defaults = current_settings(kind, {})

    def leave_out(settings: dict[str, Any]) -> None:
        for name in settings.keys() & defaults.keys():
            if settings[name] == defaults[name]:
                del settings[name]

    younger = copied(run, "younger")
    edit_settings(younger, leave_out)
    assert len(json.loads((younger / "config.json").read_text())["config"]) < len(defaults) / 2
    assert outcome(resume(younger)) == outcome(resume(copied(run, "whole")))


def test_an_absent_setting_is_refused_at_another_value(
    copied: Callable[[Path, str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = copied(OLD_RUNS["ppo"], "run")
    edit_settings(folder, lambda settings: settings.pop("value_clip"))
    with pytest.raises(SystemExit) as stopped:
        ars.train.main(["--resume", str(folder), "--value-clip", "0.5"])
    assert stopped.value.code == 2
    assert "--value-clip 0.5: the run was started with None" in capsys.readouterr().err


@every_run
def test_a_retired_setting_is_accepted_at_its_off_value_alone(
    run: Path,
    copied: Callable[[Path, str], Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    kind = ALGORITHMS[json.loads((run / "config.json").read_text())["algo"]].Config
    monkeypatch.setattr(kind, "retired", {"momentum": 0.0}, raising=False)
    off, on = copied(run, "off"), copied(run, "on")
    edit_settings(off, lambda settings: settings.update(momentum=0.0))
    assert outcome(resume(off)) == outcome(resume(copied(run, "whole")))
    assert "momentum" not in (off / "config.json").read_text()
    edit_settings(on, lambda settings: settings.update(momentum=0.1))
    capsys.readouterr()
    with pytest.raises(SystemExit) as stopped:
        resume(on)
    assert stopped.value.code == 1
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert str(on / "config.json") in message
    assert "momentum 0.1 is no longer there; only 0.0 can go on" in message
