"""What is said where an environment's name is not known."""

from __future__ import annotations

import sys
from pathlib import Path

import gymnasium
import pytest

import envs
from envs import suggestions


def told(env_id: str) -> str:
    with pytest.raises(envs.UnknownEnvironment) as error:
        envs.resolve(env_id)
    line = str(error.value)
    assert "\n" not in line
    return line


@pytest.fixture(autouse=True)
def only_known_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other tests register environments in this process, whose names may be nearer."""
    for env_id, spec in list(gymnasium.registry.items()):
        if suggestions._package(spec) not in ("gymnasium", "envs", "small_worlds"):
            monkeypatch.delitem(gymnasium.registry, env_id)


@pytest.mark.parametrize(
    ("env_id", "expected"),
    [
        ("HalfCheetaBulletEnv-v0", "did you mean HalfCheetah"),
        ("HalfCheeta", "did you mean HalfCheetah"),
        ("CartPole-v99", "did you mean CartPole-v1?"),
        ("HalfCheetah-v0", "did you mean HalfCheetah-v5 or HalfCheetah?"),
        ("an_old_gym:CartPole-v1", "set PYTHONPATH to that folder; did you mean CartPole-v1?"),
        ("an_old_gym:AntBulletEnv-v0", "did you mean Ant?"),
        ("Cart-v0", "One of your own is module:Id-v0"),
        ("KukaBulletEnv-v0", "choose from HalfCheetah, Hopper"),
        ("small_worlds:Identiti", "did you mean small_worlds:Identity-v0"),
        ("json:Thing-v0", "json registers no environment with Gymnasium (gymnasium.register)"),
        (":Thing-v0", "name a module before the colon, as module:Thing-v0"),
        ("small_worlds::Identity-v0", "as small_worlds:Identity-v0, where it lies"),
        (
            "worlds/small.py",
            "name its environment too, as small:Id-v0, in the folder where small.py",
        ),
        ("small_worlds.py:Identity-v0", "as small_worlds:Identity-v0, where it lies"),
        ("./worlds/small:Identity-v0", "as small:Identity-v0, where it lies"),
        ("nowhere:Thing-v0", "(No module named 'nowhere'); run it in the folder where nowhere is"),
        ("envs.mine:Thing-v0", "run it in the folder where envs/mine is, or set PYTHONPATH"),
        ("envs.mine.too:Thing-v0", "run it in the folder where envs/mine is, or set PYTHONPATH"),
        ("policies.mine:Thing-v0", "run it in the folder where policies/mine is"),
        ("ars.mine:Thing-v0", "ars is the toolkit's own package: put yours elsewhere"),
        ("envs:Mine-v0", "envs is the toolkit's own module, which hides yours of that name"),
        ("envs.atari:Mine-v0", "envs.atari is the toolkit's own module"),
    ],
)
def test_what_may_have_been_meant(env_id: str, expected: str) -> None:
    assert expected in told(env_id)


def test_an_id_that_only_says_where_it_went_is_unknown_and_is_never_suggested() -> None:
    assert "HalfCheetah-v2" in gymnasium.registry
    assert "did you mean HalfCheetah-v5 or HalfCheetah" in told("HalfCheetah-v2")
    assert "-v3" not in told("HalfCheetah-v9")


def test_an_id_for_vectors_alone_spoils_no_suggestion(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gymnasium.envs.registration, "registry", dict(gymnasium.registry))
    name = "VectorsAlone-v0"
    gymnasium.register(name, vector_entry_point="no_such_module:Env")
    try:
        assert "CartPole-v1" in told("CartPole-v9")
    finally:
        gymnasium.registry.pop(name, None)


def test_a_modules_own_failure_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "fails_at_once.py").write_text("import no_such_thing")
    monkeypatch.syspath_prepend(tmp_path)
    assert told("fails_at_once:X-v0").endswith(
        "module 'fails_at_once' does not import (No module named 'no_such_thing')"
    )
    assert "fails_at_once" not in sys.modules


@pytest.fixture
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder for modules of the user's own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


@pytest.mark.parametrize("word", ["a_cart.Cart", "a_cart.Cart-v0"])
def test_a_module_and_its_id_are_parted_by_a_colon(word: str, own_folder: Path) -> None:
    (own_folder / "a_cart.py").touch()
    assert told(word).endswith("; did you mean a_cart:Cart-v0?")
    assert told("a_cart").endswith("; did you mean a_cart:Id-v0?")


def test_a_module_that_registers_nothing_is_told_how(own_folder: Path) -> None:
    (own_folder / "without_id.py").write_text(
        "import gymnasium as gym\nclass Cart(gym.Env):\n    pass\n"
    )
    assert told("without_id:Cart-v0").endswith(
        'add to it: gymnasium.register("Cart-v0", entry_point="without_id:Cart")'
    )


def test_the_ids_of_a_module_are_known_whatever_they_make(
    own_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (own_folder / "of_others.py").write_text(
        "import gymnasium\n"
        "from gymnasium.envs.classic_control import CartPoleEnv\n"
        "gymnasium.register('Rover-v0', entry_point=CartPoleEnv)\n"
    )
    for _ in range(2):  # it is imported once
        assert told("of_others:Rover").endswith("did you mean of_others:Rover-v0?")
    monkeypatch.delitem(gymnasium.registry, "Rover-v0")
