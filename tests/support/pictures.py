"""A small environment that draws, policies for it, and what commands said and wrote."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import imageio_ffmpeg
import numpy as np
import pytest

import envs
from policies import PolicyFile, make_policy, save_policy

Main = Callable[[list[str]], None]


class Square(gymnasium.Env[Any, Any]):
    """A white square that moves right on red, 20 steps at 60 a second.

    `trouble` happens at step 10 or, if it is a function, is called for each picture from there.
    """

    metadata = {"render_modes": ["rgb_array", "human"], "render_fps": 60}  # noqa: RUF012
    trouble: Any = None
    n_steps = 20

    def __init__(self, render_mode: str | None = None, n_obs: int = 3, n_actions: int = 2) -> None:
        self.render_mode = render_mode
        self.observation_space = gymnasium.spaces.Box(-1, 1, (n_obs,))
        self.action_space = gymnasium.spaces.Discrete(n_actions)
        self.count = 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.count = 0
        return self._look(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.count += 1
        obs = self._look()
        reward = float(obs[0]) + action
        if self.trouble == "nan" and self.count == 10:
            reward = float("nan")
        return obs, reward, self.count == self.n_steps, False, {}

    def render(self) -> Any:
        if callable(self.trouble) and self.count >= 10:
            self.trouble()
        picture = np.zeros((49, 65, 3), np.uint8)
        picture[..., 0] = 200
        picture[30:40, self.count * 2 : self.count * 2 + 10] = 255
        return picture

    def _look(self) -> Any:
        return self.np_random.uniform(-1, 1, self.observation_space.shape).astype(np.float32)


gymnasium.register("Square-v0", entry_point=Square)  # type: ignore[arg-type]


def save(
    path: Path, env_id: str = "Square-v0", seed: int = 5, scale: float = 0.3, **kwargs: Any
) -> Path:
    """A policy file with fixed random weights."""
    env = envs.make(env_id, **kwargs)
    policy = make_policy("linear", env.observation_space, env.action_space)
    env.close()
    policy.weights = np.random.default_rng(0).standard_normal(policy.weights.size) * scale
    training = {"seed": seed, "rollout_length": 40, "iteration": 7, "timesteps": 12345}
    save_policy(path, PolicyFile(policy, env_id, {}, training))
    return path


def refusal(main: Main, words: list[Any], capsys: pytest.CaptureFixture[str]) -> tuple[Any, str]:
    """The exit status and the one line on stderr."""
    with pytest.raises(SystemExit) as stopped:
        main([str(word) for word in words])
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1, lines
    return stopped.value.code, lines[0]


def frames_of(path: Path) -> tuple[str, Any]:
    """What ffmpeg says of a video, and its frames, uint8 [frames, height, width, 3]."""
    ffmpeg = imageio_ffmpeg.get_ffmpeg_exe()
    command = [ffmpeg, "-i", str(path), "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    done = subprocess.run(command, capture_output=True, timeout=60, check=True)
    about = next(line for line in done.stderr.decode().splitlines() if "Video: " in line)
    size = re.search(r", (\d+)x(\d+)", about)
    assert size is not None
    width, height = map(int, size.groups())
    return about, np.frombuffer(done.stdout, np.uint8).reshape(-1, height, width, 3)
