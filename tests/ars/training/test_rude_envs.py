"""Environments that do things to their process: runs end with a result, or in one line."""

from __future__ import annotations

import multiprocessing
import signal
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rude_envs import OneWorld

from ars.api import Run, RunError, UsageError, evaluate, train

FEW: dict[str, Any] = {"verbose": False, "eval_freq": 1, "eval_episodes": 2}
ARS = {**FEW, "n_workers": 0, "n_iterations": 2, "n_directions": 2}
PPO: dict[str, Any] = {
    "n_envs": 2,
    "n_steps": 32,
    "batch_size": 32,
    "n_epochs": 2,
    "hidden_sizes": (8,),
}
DEEP: dict[str, dict[str, Any]] = {
    "ppo": PPO,
    "a2c": {"n_envs": 2, "n_steps": 4, "iteration_steps": 32, "hidden_sizes": (8,)},
    "dqn": {
        "n_steps": 90,
        "learning_starts": 20,
        "return_steps": 3,
        "batch_size": 8,
        "hidden_sizes": (8,),
    },
    "reinforce": {"n_envs": 2, "n_steps": 64, "n_episodes": 2, "hidden_sizes": (8,)},
    "actor-critic": {"update": "episode", "iteration_steps": 50, "hidden_sizes": (8,)},
}
ALL = {"ars": ARS, "ppo": {**FEW, **PPO, "n_iterations": 2}}


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    return tmp_path


def rude(
    name: str, algo: str = "ars", more: dict[str, Any] | None = None, **env_kwargs: Any
) -> Run:
    """Train in one of these worlds; `more`: settings."""
    settings = ALL[algo] if algo in ALL else {**FEW, **DEEP[algo], "n_iterations": 2}
    options = {"algo": algo, "run_dir": algo, **settings, **(more or {})}
    return train(f"rude_envs:{name}-v0", env_kwargs=env_kwargs, **options)


@pytest.fixture
def notes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The lines said to the user."""
    said: list[str] = []
    monkeypatch.setattr("ars.training.display.Silent.notify", lambda self, line: said.append(line))
    return said


@pytest.mark.parametrize("hard", [False, True])
@pytest.mark.parametrize("at", ["made", "reset", "step"])
@pytest.mark.parametrize("algo", ALL)
def test_ending_the_program_is_a_failure(algo: str, at: str, hard: bool) -> None:
    with pytest.raises(RunError, match=r"rude_envs:Exits-v0.* it tried to end the program"):
        rude("Exits", algo, at=at, hard=hard)


@pytest.mark.parametrize("at", ["made", "reset", "step"])
@pytest.mark.parametrize("algo", ALL)
def test_what_is_no_exception_is_a_failure_too(algo: str, at: str) -> None:
    with pytest.raises(RunError, match=r"rude_envs:Panics-v0.* Panic: index out of bounds \(at "):
        rude("Panics", algo, at=at)


@pytest.mark.parametrize("at", ["made", "reset", "step"])
@pytest.mark.parametrize("algo", ALL)
def test_a_run_stays_where_it_was_asked_for(algo: str, at: str, place: Path) -> None:
    run = rude("Moves", algo, at=at)
    assert Path.cwd() == place
    assert (place / algo / "result.json").is_file()
    assert not list((place / "elsewhere").iterdir())
    again = train(resume=run, n_iterations=3, verbose=False)
    assert again.progress["iteration"].tolist() == [1, 2, 3]
    evaluate(run, episodes=1)
    assert Path.cwd() == place


@pytest.mark.parametrize("at", ["made", "reset", "step"])
@pytest.mark.parametrize("algo", ALL)
def test_signals_stay_the_user_s(algo: str, at: str) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(KeyboardInterrupt, match="interrupted and saved; to go on"):
        rude("TakesSignals", algo, {"on_iteration": lambda row: signal.raise_signal(2)}, at=at)
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


@pytest.mark.parametrize("algo", ALL)
def test_what_fails_in_closing_is_one_warning(algo: str, notes: list[str]) -> None:
    run = rude("Unclosable", algo)
    assert run.result["iterations"] == 2
    (line,) = [line for line in notes if "close()" in line]
    assert line.startswith(
        "warning: rude_envs:Unclosable-v0: its close() failed: AttributeError: there never was a "
        "viewer (at "
    )
    with pytest.warns(RuntimeWarning, match="its close"):
        evaluate(run, episodes=1)


def test_spaces_of_one_s_own_classes_are_what_they_derive_from() -> None:
    assert rude("OwnSpaces").result["iterations"] == 2


# Several in one process


def same_curves(one: Run, other: Run) -> None:
    columns = [name for name in one.progress if name not in ("time_seconds", "steps_per_second")]
    for name in columns:
        assert np.array_equal(one.progress[name], other.progress[name], equal_nan=True), name
    assert one.latest_policy.weights.tolist() == other.latest_policy.weights.tolist()
    assert one.evaluations["return_mean"].tolist() == other.evaluations["return_mean"].tolist()


@pytest.fixture
def polite() -> Run:
    return rude("Polite", "ppo", more={"run_dir": "polite"})


@pytest.mark.parametrize("name", ["OneWorld", "OnePerProcess"])
def test_those_that_meet_in_one_process_get_one_each(
    name: str, polite: Run, notes: list[str]
) -> None:
    same_curves(rude(name, "ppo"), polite)
    (line,) = [line for line in notes if "process" in line]
    assert "each of the 2 gets a process of its own (`env_processes` 2)" in line


def test_what_exists_once_is_trained_one_at_a_time(place: Path, notes: list[str]) -> None:
    device, one = str(place / "device"), {"n_envs": 1, "batch_size": 16}
    run = rude("OneDevice", "ppo", device=device, more=one)
    same_curves(run, rude("Polite", "ppo", more={**one, "run_dir": "polite"}))
    assert "training's is closed for each evaluation" in "".join(notes)
    assert not (place / "device").exists()
    with pytest.raises(UsageError, match=r"`n_envs` 2: .* `n_envs` 1 trains with one"):
        rude("OneDevice", "ppo", device=device, more={"run_dir": "two"})
    assert not (place / "two").exists()
    assert rude("OneDevice", device=device).result["iterations"] == 2


def test_those_given_from_python_take_turns_or_are_refused() -> None:
    settings = {"algo": "ppo", **FEW, **PPO, "n_iterations": 2}
    with pytest.raises(UsageError, match="`n_envs` 1 trains with one, or name it as module:Id"):
        train(OneWorld, **settings)
    run = train(OneWorld, **{**settings, "n_envs": 1})
    same_curves(run, rude("Polite", "ppo", more={"n_envs": 1}))


# Worlds that do not repeat themselves


@pytest.mark.parametrize("algo", DEEP)
def test_a_run_in_a_world_that_does_not_repeat_itself_goes_on(algo: str, notes: list[str]) -> None:
    run = rude("Wanders", algo, what="observation")
    assert "does not repeat an episode" in notes[0]
    again = train(resume=run, n_iterations=5, verbose=False)
    assert again.progress["iteration"].tolist() == [1, 2, 3, 4, 5]
    assert sum("new episodes begin there" in line for line in notes) == 1


@pytest.mark.parametrize("late", [{"step": 30}, {"step": 0, "episode": 12}])
def test_one_that_repeats_at_first_and_not_later_is_told(
    late: dict[str, int], notes: list[str]
) -> None:
    rude("Wanders", "ars", **late, more={"n_iterations": 8})
    (line,) = [line for line in notes if line.startswith("warning")]
    assert "an episode that was played twice gave" in line


def test_nothing_is_said_of_one_that_repeats(notes: list[str]) -> None:
    for algo in ALL:
        run = rude("Polite", algo)
        train(resume=run, n_iterations=3, verbose=False)
    usual = "run folder", "return: ", "rude_envs:Polite-v0 has no time limit"
    assert not [line for line in notes if not line.startswith(usual)]


def test_many_episodes_of_an_evaluation_tell_too() -> None:
    run = rude("Wanders", "ars", step=30)
    with pytest.warns(RuntimeWarning, match="an episode that was played twice gave"):
        evaluate(run, episodes=50)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        evaluate(run, episodes=5)


def test_a_program_without_a_main_block_is_told_of_it(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python marks a process so while it imports the program that started it."""
    process = multiprocessing.current_process()
    monkeypatch.setattr(process, "_inheriting", True, raising=False)
    with pytest.raises(UsageError, match='under `if __name__ == "__main__":`'):
        rude("Polite")
    assert not (place / "ars").exists()


def test_an_environment_process_leaves_that_to_its_parent(place: Path) -> None:
    (place / "program.py").write_text(
        "from ars.api import train\n"
        f"train('CartPole-v1', algo='ppo', env_processes=2, run_dir='run', **{DEEP['ppo']})\n"
    )
    done = subprocess.run([sys.executable, "program.py"], capture_output=True, text=True)
    assert done.stderr.count("Traceback") == 1
    assert done.stderr.endswith('put the call under `if __name__ == "__main__":`\n')


# Torch


@pytest.fixture
def other_torch() -> Iterator[None]:
    """Torch as an environment's module may leave it: double precision, no gradients, no CPU."""
    import torch

    torch.set_default_dtype(torch.float64)
    torch.set_grad_enabled(False)
    torch.set_default_device("meta")
    yield
    torch.set_default_device(None)
    torch.set_grad_enabled(True)
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize(("algo", "box"), [*((a, False) for a in DEEP), ("ppo", True)])
def test_torch_s_defaults_change_nothing(
    algo: str, box: bool, request: pytest.FixtureRequest
) -> None:
    plain = rude("Polite", algo, box=box)
    request.getfixturevalue("other_torch")
    same_curves(rude("Polite", algo, box=box, more={"run_dir": "double"}), plain)
