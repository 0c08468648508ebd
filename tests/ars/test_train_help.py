"""`train ENV --help` shows what the environment's preset gives to each setting."""

from __future__ import annotations

import gymnasium
import pytest

import ars.train


def shown(words: str, capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as stopped:
        ars.train.main([*words.split(), "--help"])
    assert stopped.value.code == 0
    return " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("HalfCheetah", "The preset HalfCheetah runs for 3,000,000 timesteps"),
        ("HalfCheetah", "step size (alpha) (default: 0.02, preset: 0.04)"),
        ("halfcheetah --seed 3", "1,000 where it has none) (preset: 300)"),
        ("HalfCheetah", "alive=0 electricity=0 (preset: alive=0 electricity=0 stall=0)"),
        ("HalfCheetahBulletEnv-v0", "The preset HalfCheetah runs for"),
        ("bullet/HalfCheetah-v0", "The preset HalfCheetah runs for"),
        ("cartpole-v1 --algo PPO", "The preset CartPole-v1 runs for 100,000 timesteps"),
        ("Reacher --preset Course", "The preset course runs for 1,000 iterations"),
        ("Reacher --preset course", "seed of everything random in the run (default: 0, preset: 1)"),
        ("Humanoid", "There is no preset for Humanoid and ars: it runs for 1,000,000 timesteps"),
        ("ALE/Pong-v5 --algo dqn", "(preset: pixels=atari fire=True)"),
        ("", "a named set of settings: HalfCheetah, Hopper, Walker2D, Ant, InvertedPendulum"),
        ("no_such_thing", "Train a policy. Example:"),
        ("no_such_module:Id-v0", "Train a policy. Example:"),
    ],
)
def test_help_is_about_what_was_named(
    words: str,
    told: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A test elsewhere imports the package that owns this name.
    monkeypatch.delitem(gymnasium.registry, "HalfCheetahBulletEnv-v0", raising=False)
    assert told in shown(words, capsys)
