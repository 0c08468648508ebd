"""A file from elsewhere runs no code that it names, and sends nothing where it says."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import gymnasium
import pytest
from hopper_runs import train

import ars.evaluate
import ars.render
import ars.train
import ars.verify
from ars.common.errors import UsageError
from ars.training.resolve import resolve_resumed
from ars.training.trust import NotTrusted, check_trust, foreign_module
from policies import PolicyFile, read_policy, save_policy

MODULE = """
import gymnasium
from gymnasium.envs.classic_control import CartPoleEnv
from pathlib import Path
Path("it-ran").touch()
gymnasium.register("Lent-v0", CartPoleEnv, max_episode_steps=20)
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with a module `lent`, which leaves a file behind wherever it is imported."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    Path("lent.py").write_text(MODULE)
    yield tmp_path
    forget()


@pytest.fixture
def run(here: Path) -> Path:
    """A run of the user's own in it, whose module has not been imported since."""
    folder = train(Path("run"), "--n-iterations", "2", env="lent:Lent-v0")
    forget()
    return folder


def forget() -> None:
    sys.modules.pop("lent", None)
    gymnasium.registry.pop("Lent-v0", None)
    Path("it-ran").unlink(missing_ok=True)


def strip(folder: Path) -> None:
    """Make a run one of somebody else."""
    path = folder / "config.json"
    data = json.loads(path.read_text())
    data.pop("signature")
    path.write_text(json.dumps(data))


COMMANDS: dict[str, Callable[[list[str]], None]] = {
    "evaluate": lambda words: ars.evaluate.main(["run", "--episodes", "1", *words]),
    "policy": lambda words: ars.evaluate.main(
        ["run/policy.safetensors", "--episodes", "1", *words]
    ),
    "render": lambda words: ars.render.main(["run", "--output", "x.png", *words]),
    "verify": lambda words: ars.verify.main(["run", *words]),
    "resume": lambda words: ars.train.main(
        ["--resume", "run", "--n-iterations", "3", "--n-workers", "0", *words]
    ),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_run_from_elsewhere_runs_its_module_only_if_told_to(
    command: str, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    strip(run)
    capsys.readouterr()
    with pytest.raises(SystemExit) as stopped:
        COMMANDS[command]([])
    err = capsys.readouterr().err
    assert stopped.value.code == 2
    assert not Path("it-ran").exists()
    assert err.count("\n") == 1
    assert f"would run the module lent ({Path('lent.py').resolve()})" in err
    assert err.endswith("add --trust if you trust them\n")
    if command != "render":  # which needs what draws CartPole
        COMMANDS[command](["--trust"])
        assert Path("it-ran").exists()
        forget()
        with pytest.raises(SystemExit):  # nothing is remembered
            COMMANDS[command]([])


@pytest.mark.parametrize("command", ["evaluate", "policy", "verify", "resume"])
def test_a_run_of_one_s_own_goes_on_as_ever(command: str, run: Path) -> None:
    COMMANDS[command]([])
    assert Path("it-ran").exists()


def test_a_run_of_one_s_own_may_be_moved_and_copied(run: Path) -> None:
    shutil.copytree(run, "copy")
    run.rename("moved")
    for folder in ("copy", "moved"):
        config = resolve_resumed(Path(folder), {})
        assert config.signature is not None


def test_a_signature_is_good_for_its_environment_alone(run: Path) -> None:
    check_trust(run, "lent:Lent-v0", {}, trust=False)
    for env_id, env_kwargs in (("other:Lent-v0", {}), ("lent:Lent-v0", {"sutton": True})):
        with pytest.raises(NotTrusted, match="nothing says"):
            check_trust(run, env_id, env_kwargs, trust=False)


def test_the_key_of_another_user_signs_nothing_here(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", "elsewhere")
    with pytest.raises(NotTrusted, match="nothing says"):
        resolve_resumed(run, {})
    assert not Path("elsewhere").exists()  # looking makes no key


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
@pytest.mark.parametrize("name", [".", "config.json"])
def test_where_others_can_write_a_run_may_not_be_one_s_own(name: str, run: Path) -> None:
    (run / name).chmod(0o777)
    with pytest.raises(NotTrusted, match="others than you can write to run"):
        resolve_resumed(run, {})


def test_a_key_that_others_can_read_is_no_key(run: Path) -> None:
    Path("data/ars/key").chmod(0o644)
    with pytest.raises(NotTrusted):
        resolve_resumed(run, {})


def test_a_policy_may_name_another_module_than_its_run(run: Path) -> None:
    path = run / "policy.safetensors"
    file = read_policy(path)
    save_policy(path, PolicyFile(file.policy, "evil:Lent-v0", {}, file.training))
    with pytest.raises(SystemExit):
        COMMANDS["policy"]([])


@pytest.mark.parametrize(
    ("env_id", "module"),
    [
        ("HalfCheetah", None),
        ("CartPole-v1", None),
        ("bullet/Hopper-v0", None),
        ("envs:bullet/Hopper-v0", None),
        ("envs.squash:Squash-v0", None),
        ("gymnasium.envs:CartPole-v1", None),
        ("ale_py:ALE/Pong-v5", None),
        ("envs.my_robot:Robot-v0", "envs.my_robot"),
        ("envs.bullet.mine:Robot-v0", "envs.bullet.mine"),
        ("gymnasium_robots:Robot-v0", "gymnasium_robots"),
        ("a:b:Robot-v0", "a:b"),
    ],
)
def test_only_the_toolkit_s_modules_and_gymnasium_s_run_unasked(
    env_id: str, module: str | None
) -> None:
    assert foreign_module(env_id) == module


def test_an_address_in_a_run_s_folder_is_only_a_hint(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    train(folder, "--n-iterations", "2", env="CartPole-v1")
    path = folder / "config.json"
    data = json.loads(path.read_text())
    data["workers"] |= {"n_workers": "3", "ray_address": "elsewhere:6379", "device": "cuda"}
    path.write_text(json.dumps(data))
    config = resolve_resumed(folder, {})
    assert (config.workers.ray_address, config.workers.n_workers) == (None, "auto")
    assert config.notes == [
        "the run was started with `n_workers` 3, `ray_address` elsewhere:6379, `device` cuda: to "
        "use that again, give it again",
    ]
    assert (
        resolve_resumed(folder, {"ray_address": "a:1", "n_workers": 2, "device": "cpu"}).notes == []
    )
    with pytest.raises(UsageError, match="ray_address"):
        resolve_resumed(folder, {"n_workers": 0, "ray_address": "a:1"})
