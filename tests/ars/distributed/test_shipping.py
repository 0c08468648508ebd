"""What is sent to a cluster's nodes: the toolkit and the user's own module, and nothing else."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from ars.common.errors import RunError
from ars.distributed import ray_actors, ray_session, shipping


def shipped(env_id: str) -> dict[str, Path]:
    """Names of files, by their paths in the folder that is sent; it is gone afterwards."""
    with shipping.runtime_env(env_id) as sent_env:
        folder = Path(sent_env["working_dir"])
        found = {str(path.relative_to(folder)): path for path in folder.rglob("*")}
    assert not folder.exists()
    return found


def test_the_toolkit_is_sent_without_what_python_left_in_it() -> None:
    found = shipped("HalfCheetah")
    assert {"ars/distributed/supervisor.py", "envs/bullet/compiled/loop.py"} <= found.keys()
    assert {name.split("/")[0] for name in found} == {"ars", "envs", "policies"}
    assert not any(name.endswith(".pyc") for name in found)


def test_a_module_of_the_user_is_sent_along() -> None:
    assert "faulty_envs.py" in shipped("faulty_envs:Slow-v0")


def test_a_package_of_the_user_is_sent_whole_but_for_history_environments_and_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "own_package_to_ship"
    for name in ("__init__.py", "worlds/track.py", "data/hills.txt", ".git/HEAD", "venv/x.py",
                 ".venv/x.py", "runs/a/config.json", "data/x.pyc", "data/numba.nbi"):  # fmt: skip
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    found = shipped("own_package_to_ship.worlds:Id-v0")
    assert {name for name, path in found.items() if name.startswith("own")} == {
        f"own_package_to_ship{name}"
        for name in ("", "/__init__.py", "/worlds", "/worlds/track.py", "/data", "/data/hills.txt",
                     "/data/numba.nbi")
    }  # fmt: skip


@pytest.mark.parametrize("env_id", ["CartPole-v1", "gymnasium:CartPole-v1", "envs:x", "json:x"])
def test_what_is_installed_is_not_sent(env_id: str) -> None:
    assert shipping.user_modules(env_id) == []


def test_a_submitted_job_has_brought_its_code(monkeypatch: pytest.MonkeyPatch) -> None:
    job = {"runtime_env": {"working_dir": "gcs://code.zip"}}
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", json.dumps(job))
    with shipping.runtime_env("faulty_envs:Slow-v0") as sent_env:
        assert sent_env.keys() == {"env_vars"}
        assert sent_env["env_vars"]["OMP_NUM_THREADS"] == "1"


def test_a_token_that_the_cluster_does_not_ask_for_is_named() -> None:
    error = RuntimeError("The actor died.\n\tclass_name: Actor\nThe actor never ran - cancelled.\n")
    assert ray_actors.explain_loss(error, shows_token=False) == "The actor never ran - cancelled."
    assert ray_actors.explain_loss(RuntimeError(), shows_token=False) == "RuntimeError"
    advice = ray_actors.explain_loss(error, shows_token=True)
    assert "set RAY_AUTH_MODE=disabled (The actor never ran" in advice


@pytest.mark.parametrize("family", [socket.AF_UNIX, socket.AF_INET])
def test_a_dead_process_of_ray_is_noticed_before_ray_ends_this_one(
    family: socket.AddressFamily, tmp_path: Path
) -> None:
    with socket.socket(family) as listener:
        local = family == socket.AF_UNIX
        listener.bind(str(tmp_path / "raylet") if local else ("127.0.0.1", 0))
        listener.listen()
        name = listener.getsockname()
        session = ray_session.Session(
            processes={"raylet": name if local else f"{name[0]}:{name[1]}"}
        )
        session.check()
    with pytest.raises(RunError, match=r"\(raylet\) has died"):
        session.check()


def test_the_users_own_modules_in_a_folder_called_envs_are_sent_beside_the_toolkits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "envs"
    (own / "parts" / "__pycache__").mkdir(parents=True)
    for name in ("my_robot.py", "registry.py", "__init__.py", "parts/wheel.urdf"):
        (own / name).write_text("mine")
    (own / ".#my_robot.py").symlink_to("somebody@a-machine.1234")  # an editor's lock
    (own / "parts" / "gone.urdf").symlink_to("nowhere")
    (own / ".env").write_text("a secret")
    monkeypatch.syspath_prepend(tmp_path)
    with shipping.runtime_env("envs.my_robot:MyRobot-v0") as sent_env:
        sent = Path(sent_env["working_dir"]) / "envs"
        assert (sent / "my_robot.py").read_text() == "mine"
        assert (sent / "parts" / "wheel.urdf").read_text() == "mine"
        assert not (sent / ".env").exists()
        for name in ("registry.py", "__init__.py"):
            assert (sent / name).read_text() != "mine"
    with shipping.runtime_env("HalfCheetah") as sent_env:
        assert not (Path(sent_env["working_dir"]) / "envs" / "my_robot.py").exists()
