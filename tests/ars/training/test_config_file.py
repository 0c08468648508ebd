"""Settings from a file: a run is trained again to the same bytes, one's own is a command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import ars.train
from ars.api import train
from ars.common.errors import UsageError
from ars.training.config_file import settings_in, with_file
from ars.training.resolve import resolve_new
from ars.training.trust import NotTrusted
from policies import FileError

HERE: dict[str, Any] = {"n_workers": 0, "verbose": False}
FEW: dict[str, Any] = {"n_iterations": 2, **HERE}


@pytest.fixture(autouse=True)
def in_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("env", "settings"),
    [
        ("CartPole-v1", {"variant": "v1", "seed": 7, "n_directions": 3, "step_size": 0.1}),
        (
            "HalfCheetah",
            {"variant": "v2", "eval_timesteps": 500, "rollout_length": 20, "eval_length": 20},
        ),
        ("CartPole-v1", {"algo": "ppo", "n_steps": 32, "n_envs": 2, "batch_size": 32}),
    ],
)
def test_a_run_is_trained_again_to_the_same_bytes(env: str, settings: dict[str, Any]) -> None:
    first = train(env, **settings, **FEW)
    again = train(config=first.folder, **{**FEW, "n_iterations": None})
    assert again.folder != first.folder
    for name in ("policy.safetensors", "best_policy.safetensors"):
        assert (again.folder / name).read_bytes() == (first.folder / name).read_bytes()
    of_both = [json.loads((run.folder / "config.json").read_text()) for run in (first, again)]
    for data in of_both:
        del data["commands"]
    assert of_both[0] == of_both[1]


@pytest.mark.parametrize("changed", [{}, {"variant": "v1"}])
def test_what_decides_nothing_in_a_run_is_no_obstacle(changed: dict[str, Any]) -> None:
    """Such as the activation of a linear policy."""
    few: dict[str, Any] = {"n_directions": 2, "eval_episodes": 1, **HERE}
    first = train("Hopper", total_timesteps=100, **few)
    again = train(config=first, **changed, **HERE)
    same = again.latest_policy.weights.tobytes() == first.latest_policy.weights.tobytes()
    assert same == (not changed)


def test_flags_override_it_and_one_stop_replaces_the_other() -> None:
    folder = train("CartPole-v1", seed=7, **FEW).folder
    words = f"--config {folder} --seed 8 --total-timesteps 100 --n-workers 0 --run-dir other"
    ars.train.main(words.split())
    data = json.loads(Path("other/config.json").read_text())
    assert (data["seed"], data["run"]["total_timesteps"]) == (8, 100)
    assert data["run"]["n_iterations"] is None


@pytest.mark.parametrize(("horizon", "expected"), [(None, 512), (200, 200)])
def test_a_horizon_at_the_end_is_at_the_end_of_a_longer_run(
    horizon: int | None, expected: int
) -> None:
    given = {"algo": "ppo", "total_timesteps": 256, "learning_rate_schedule": "linear"}
    resolve_new("CartPole-v1", {**given, "horizon": horizon} if horizon else given).write(Path())
    again = with_file(settings_in("."), {"total_timesteps": 512})
    assert resolve_new(again.pop("env_id"), again).algorithm.horizon == expected


def test_another_environment_takes_the_settings_but_not_the_arguments() -> None:
    folder = train("CartPole-v1", env_kwargs={"sutton_barto_reward": True}, **FEW).folder
    given = with_file(settings_in(folder), {"env_id": "Acrobot-v1"})
    config = resolve_new(given.pop("env_id"), given)
    assert (config.env_id, config.env_kwargs, config.run.n_iterations) == ("Acrobot-v1", {}, 2)


@pytest.mark.parametrize("name", ["CartPole-v1", "cartpole-v1"])
def test_the_same_environment_keeps_the_arguments_however_it_is_typed(name: str) -> None:
    kwargs = {"sutton_barto_reward": True}
    folder = train("CartPole-v1", env_kwargs=kwargs, **FEW).folder
    Path("mine.yaml").write_text("env_kwargs: {sutton_barto_reward: true}\n")
    for file in (folder, Path("mine.yaml")):
        given = with_file(settings_in(file), {"env_id": name})
        assert resolve_new(given.pop("env_id"), given).env_kwargs == kwargs


def test_a_preset_beside_a_run_is_refused() -> None:
    folder = train("Hopper", total_timesteps=100, n_directions=2, n_top=1, **HERE).folder
    for preset in (None, "none", "Hopper", "hopper"):
        with_file(settings_in(folder), {"preset": preset})
    with pytest.raises(UsageError, match="`preset` course: has no meaning beside `config`"):
        with_file(settings_in(folder), {"preset": "course"})


FILES = {
    "mine.toml": 'env = "halfcheetah"\nseed = 4\nstep-size = 0.1\nhidden_sizes = [8, 4]\n'
    'policy = "mlp"\nreward_weights = ["alive=0.5"]\ntotal_timesteps = 1_000\n',
    "mine.yaml": "env: halfcheetah\nseed: 4\nstep_size: 0.1\nhidden_sizes: [8, 4]\npolicy: mlp\n"
    "reward_weights: [alive=0.5]\ntotal_timesteps: 1000\n",
    "mine.json": '{"env": "halfcheetah", "seed": 4, "step_size": 0.1, "hidden_sizes": [8, 4], '
    '"policy": "mlp", "reward_weights": ["alive=0.5"], "total_timesteps": 1000}',
}


@pytest.mark.parametrize("name", FILES)
def test_ones_own_file_is_a_command_line(name: str) -> None:
    Path(name).write_text(FILES[name])
    given = settings_in(name).given
    config = resolve_new(given.pop("env_id"), given)
    assert (config.env_id, config.preset, config.task.seed) == ("HalfCheetah", "HalfCheetah", 4)
    assert config.algorithm.step_size == 0.1
    assert config.algorithm.hidden_sizes == (8, 4)
    assert config.algorithm.reward_weights == ("alive=0.5",)
    assert config.run.total_timesteps == 1000


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("a.toml", "seed = ", "a.toml: cannot be read"),
        ("a.yaml", "a: [1", "a.yaml: cannot be read"),
        ("a.yaml", "!!python/object/apply:os.system ['touch here']", "a.yaml: cannot be read"),
        ("a.json", "{", "a.json: cannot be read"),
        ("a.json", "[1]", "a.json: must hold settings by name"),
        ("a.yaml", "1: 2", "a.yaml: must hold settings by name"),
        ("a.toml", "env = 3", "a.toml: env must be a name, not 3"),
        ("a.toml", "env_kwargs = 3", "a.toml: env_kwargs must be arguments by name, not 3"),
        ("a.yaml", "a: &a [1]\nb: [*a, *a]", "a.yaml: cannot be read .aliases are not read"),
        ("a.yaml", "seed: 1\nseed: 2", "a.yaml: cannot be read .seed is given twice"),
        ("a.yaml", "x" * 300_000, "at most 262,144 are read"),
        ("a.json", '{"env_id": 1, "algo": "x", "config": {}, "run": {}}', "not the config.json"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(name: str, text: str, told: str) -> None:
    Path(name).write_text(text)
    with pytest.raises(FileError, match=told):
        settings_in(name)
    assert not Path("here").exists()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("env = 'CartPole-v1'\nstep_sise = 1", "--config mine.toml: --step-sise: there is no such"),
        ("algo = 'ppo'\nvariant = 'v1'", "--config mine.toml: --variant: "),
        ("env = 'CartPole-v1'\nstep_size = 'x'", "--step-size"),
        ("env = 'CartPole-v1'\nalgo = 'pppo'", "--algo pppo: must be one of"),
        ("seed = 1", "name an environment"),
        ("env = 'CartPole-v1'\nresume = 'run'", "--resume is given beside a file, not in it"),
        ("env = 'CartPole-v1'\nray_address = '1.2.3.4:5'", "would be sent your cluster's token"),
    ],
)
def test_wrong_settings_are_one_line(
    text: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("mine.toml").write_text(text)
    with pytest.raises(SystemExit) as stopped:
        ars.train.main(["--config", "mine.toml"])
    error = capsys.readouterr().err
    assert stopped.value.code == 2
    assert error.startswith("error: ") and error.count("\n") == 1 and told in error
    assert not Path("runs").exists()


def test_a_folder_of_runs_is_not_one() -> None:
    Path("some").mkdir()
    with pytest.raises(UsageError, match="`config` some: not a run folder"):
        settings_in("some")


def test_numbers_are_read_as_people_write_them() -> None:
    Path("mine.yaml").write_bytes(b"\xef\xbb\xbfenv: CartPole-v1\r\nstep_size: 3e-4\r\n")
    given = settings_in("mine.yaml").given
    assert resolve_new(given.pop("env_id"), given).algorithm.step_size == 3e-4


def test_a_file_runs_a_module_only_if_the_user_names_it_or_trusts_the_file(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(str(Path.cwd()))
    env = "rented:CartPole-v1"
    Path("rented.py").write_text("from pathlib import Path\nPath('it-ran').touch()")
    Path("mine.toml").write_text(f"env = '{env}'\nn_iterations = 1\nn_workers = 0\n")
    for command in (["--config", "mine.toml"], ["--config", "mine.toml", "--dry-run"]):
        with pytest.raises(SystemExit):
            ars.train.main(command)
        error = capsys.readouterr().err
        assert "mine.toml: its environment rented:CartPole-v1 would run the module rented" in error
        assert error.count("\n") == 1 and "add --trust" in error
    assert not Path("it-ran").exists()
    run = train(env, config="mine.toml", verbose=False)
    assert Path("it-ran").exists()
    train(config="mine.toml", trust=True, verbose=False)
    train(config=run.folder, **FEW)  # of the user's own
    data = json.loads((run.folder / "config.json").read_text())
    (run.folder / "config.json").write_text(json.dumps(data | {"signature": None}))
    with pytest.raises(NotTrusted, match="nothing says that it comes from a training of yours"):
        train(config=run.folder, **FEW)


def test_what_is_not_as_it_was_is_said() -> None:
    folder = train("CartPole-v1", **FEW).folder
    assert settings_in(folder).notes == []
    data = json.loads((folder / "config.json").read_text())
    data["versions"]["numpy"], data["platform"]["cpu"] = "1.0", "an abacus"
    data["preset"] = "one of old"
    (folder / "config.json").write_text(json.dumps(data))
    notes = settings_in(folder).notes
    assert "`preset` one of old is no longer there" in notes[1]
    assert "numpy 1.0 then" in notes[0] and "an abacus then" in notes[0]
