"""Runs that are reported to a service: what it is told, and that the training does not care."""

from __future__ import annotations

import json
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ars import api, train
from ars.training import tracking
from ars.training.run_folder import TRACKING

FEW: dict[str, Any] = {
    "n_iterations": 2,
    "n_directions": 2,
    "n_workers": 0,
    "eval_freq": 1,
    "eval_episodes": 1,
}

# What the toolkit uses of the real package.
PACKAGE = """
from trackio import run, utils
from trackio.utils import _emit_nonfatal_warning

calls, trouble = [], []

class Run:
    def log(self, values, step=None):
        if trouble:
            trouble[0]()
        calls.append(("log", step, values))

    def finish(self):
        calls.append(("finish",))

def init(**given):
    calls.append(("init", given))
    print("not to be seen")
    return Run()
"""

WARNS = """
import warnings

def _emit_nonfatal_warning(message, *others, **named):
    warnings.warn(message)
"""


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A package that stands for trackio: its `calls`, and `trouble` for each `log`."""
    package = tmp_path / "packages" / "trackio"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(textwrap.dedent(PACKAGE))
    for name in ("run", "utils"):
        (package / f"{name}.py").write_text(WARNS)
    monkeypatch.syspath_prepend(package.parent)
    monkeypatch.chdir(tmp_path)
    import trackio

    yield trackio
    for name in [name for name in sys.modules if name.partition(".")[0] == "trackio"]:
        del sys.modules[name]


def run(seed: int = 0, **settings: Any) -> api.Run:
    return api.train("CartPole-v1", seed=seed, verbose=False, **FEW, **settings)


def logged(service: Any) -> list[tuple[int | None, dict[str, float]]]:
    return [call[1:] for call in service.calls if call[0] == "log"]


def test_a_service_is_told_settings_rows_and_the_result(
    service: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    done = run(track="trackio", step_size=0.5)
    assert "not to be seen" not in capsys.readouterr().out
    (_, given), *_, last = service.calls
    assert last == ("finish",)
    assert given["project"] == "ars" and given["group"] is None and given["resume"] == "allow"
    assert given["name"].startswith("CartPole-v1-ars-s0-")
    assert given["config"]["step_size"] == 0.5 and given["config"]["env_id"] == "CartPole-v1"
    *rows, (_, result) = logged(service)
    final = done.result["final_evaluation"]
    assert result["final/return_mean"] == final["return_mean"]
    progress = [(step, row) for step, row in rows if "rollout/ep_rew_mean" in row]
    assert [step for step, _ in progress] == done.progress["timesteps"].tolist()
    found = [row["rollout/ep_rew_mean"] for _, row in progress]
    assert found == done.progress["return_mean"].tolist()
    evaluated = [row["eval/mean_reward"] for _, row in rows if "eval/mean_reward" in row]
    assert evaluated == done.evaluations["return_mean"].tolist()
    assert all(type(value) is float for _, row in rows for value in row.values())


def test_a_resumed_run_goes_on_in_the_same_run_if_that_is_asked_for_again(service: Any) -> None:
    done = run(track="trackio")
    name = service.calls[0][1]["name"]
    assert json.loads((done.folder / TRACKING).read_text()) == {"trackio": name}
    service.calls.clear()
    api.train(resume=done.folder, n_iterations=3, n_workers=0, verbose=False)
    assert service.calls == []  # a folder does not make a run be reported
    api.train(resume=done, n_iterations=4, verbose=False)
    assert service.calls[0][1]["name"] == name
    assert "time/iterations" in logged(service)[0][1]


@pytest.mark.parametrize("stored", ['{"trackio": "../../x y"}', '{"trackio": 3}', "damaged"])
def test_a_forged_name_begins_a_new_run(stored: str, service: Any) -> None:
    done = run()
    (done.folder / TRACKING).write_text(stored)
    api.train(resume=done.folder, n_iterations=3, track="trackio", n_workers=0, verbose=False)
    assert service.calls[0][1]["name"].startswith("CartPole-v1-ars-s0-")


def test_a_service_that_fails_is_one_warning_and_changes_nothing(
    service: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise OSError("no space left\non the device")

    service.trouble.append(fail)
    words = ["CartPole-v1", "--n-iterations", "2", "--n-directions", "2", "--n-workers", "0"]
    train.main([*words, "--track", "trackio", "--run-dir", "tracked"])
    lines = [line for line in capsys.readouterr().out.splitlines() if "warning" in line]
    assert len(lines) == 1
    assert lines[0].startswith("warning: --track trackio: ") and "no space left" in lines[0]
    assert lines[0].endswith("; the training is not affected")
    train.main([*words, "--run-dir", "plain"])
    for name in ("policy.safetensors", "best_policy.safetensors", "tape.bin"):
        assert Path("tracked", name).read_bytes() == Path("plain", name).read_bytes()


def test_what_a_service_warns_of_is_told_once_and_the_report_goes_on(
    service: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    service.trouble.append(lambda: service._emit_nonfatal_warning("this batch is lost.", Warning))
    api.train("CartPole-v1", track="trackio", **FEW)
    told = "warning: `track` trackio: this batch is lost; the training is not affected\n"
    assert capsys.readouterr().out.count(told) == 1
    assert len(logged(service)) > 2 and service.calls[-1] == ("finish",)


def test_a_service_that_does_not_answer_is_not_waited_for(
    service: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = threading.Event()
    service.trouble.append(answer.wait)
    monkeypatch.setattr(tracking, "LAST_SECONDS", 0.1)
    api.train("CartPole-v1", track="trackio", **FEW)
    answer.set()
    assert "`track` trackio: it does not answer" in capsys.readouterr().out


def test_a_store_that_another_run_is_making_is_tried_again(
    service: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracking, "BETWEEN", 0.0)
    make, failed = service.init, list[int]()

    def init(**given: Any) -> Any:
        if not failed:
            failed.append(1)
            raise OSError("the table exists already")
        return make(**given)

    service.init = init
    run(track="trackio")
    assert failed and service.calls[-1] == ("finish",)


def test_a_service_that_is_not_installed_is_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "wandb").mkdir()  # as wandb leaves one behind, which is no package
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    for name in [name for name in sys.modules if name.partition(".")[0] == "wandb"]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(SystemExit):
        train.main(["CartPole-v1", "--track", "WandB"])
    assert capsys.readouterr().err == (
        "error: --track wandb: it is not installed: pip install -e '.[wandb]' in a checkout, or "
        "pip install wandb\n"
    )


def test_a_result_without_a_service_loads_none(tmp_path: Path) -> None:
    import subprocess

    code = (
        "import sys\nfrom ars import train\n"
        "train.main('CartPole-v1 --n-iterations 1 --n-directions 1 --n-workers 0'.split())\n"
        "print({'trackio', 'wandb', 'mlflow', 'jinja2', 'matplotlib'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.endswith("\nset()\n")
