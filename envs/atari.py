"""Preprocessing wrappers for Atari games.

    envs.make("ALE/Breakout-v5", pixels="atari")     84x84 grey, 4 frames (Mnih et al., 2015)
    envs.make("ALE/Pong-v5", pixels="pong")          80x80 difference of two frames (Karpathy, 2016)

`info["cut_returns"]` is true after a lost life, or in Pong after a point. Training may then treat
the return as ended although the episode continues. Unlike in many other wrappers, the game is not
reset: an episode is always a whole game, and its return is the game's score.

The games and their emulator come from ale-py, in the extra `atari`.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from typing import Any, ClassVar

import gymnasium
import numpy as np
from gymnasium.envs.registration import EnvSpec
from numpy.typing import NDArray

from envs.actions import number_of
from envs.errors import WrongOptions

Frame = NDArray[np.uint8]
StepResult = tuple[Any, float, bool, bool, dict[str, Any]]

FRAMES_PER_SECOND = 60  # of an Atari 2600


class Atari(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Stacks the last frames, scaled down and grey: uint8 [n_frames, size, size], the newest last.

    After Mnih et al. (2015), Methods: an action is repeated for `frame_skip` frames; each pixel is
    the maximum over the last two of them, since some games draw objects only in every other frame;
    an episode starts with 1 to `noop_max` frames without any action.

    Args:
        env: the game, with one grey frame per step.
        n_frames: number of frames in an observation.
        size: height and width of a frame.
        frame_skip: number of frames for which an action is repeated.
        noop_max: maximum number of frames without action at the start of an episode.
        fire: press FIRE at the start of an episode and after a lost life, in games that have it.
            Some games wait for it, and would wait forever for a policy that never presses it.
    """

    made_with: ClassVar[Mapping[str, Any]] = {"frameskip": 1, "obs_type": "grayscale"}

    def __init__(
        self,
        env: gymnasium.Env[Any, Any],
        *,
        n_frames: int = 4,
        size: int = 84,
        frame_skip: int = 4,
        noop_max: int = 30,
        fire: bool = False,
    ) -> None:
        super().__init__(env)
        for name, value, least in (
            ("n_frames", n_frames, 1),
            ("size", size, 1),
            ("frame_skip", frame_skip, 1),
            ("noop_max", noop_max, 0),
        ):
            if not isinstance(value, int) or value < least:
                raise WrongOptions(f"{name}={value!r}: must be a whole number of at least {least}")
        game: Any = env.unwrapped
        meanings = game.get_action_meanings()
        self.stack_size = n_frames
        self.frame_skip, self._noop_max = frame_skip, noop_max
        self._fire = meanings.index("FIRE") if fire and "FIRE" in meanings else None
        self.observation_space = gymnasium.spaces.Box(0, 255, (n_frames, size, size), np.uint8)
        self.metadata = {**env.metadata, "render_fps": FRAMES_PER_SECOND / frame_skip}
        self._stack = np.zeros((n_frames, size, size), np.uint8)
        self._shrink = Shrink(env.observation_space.shape or (), size)
        self._screens: tuple[Frame, Frame] | None = None  # the last two
        self._lives = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Frame, dict[str, Any]]:
        screen, info = self.env.reset(seed=seed, options=options)
        self._screens = screen, screen
        if self._noop_max:
            count = int(self.env.unwrapped.np_random.integers(1, self._noop_max + 1))
            self._wait(0, count)
        if self._fire is not None:
            self._wait(self._fire, self.frame_skip)
        self._lives = info.get("lives", 0)
        self._stack[:] = self._frame()
        return self._stack.copy(), info

    def _wait(self, action: int, frames: int) -> None:
        """Play some frames; if the game ends during them, start it again."""
        _, over, truncated, _ = self._play(action, frames)
        if over or truncated:
            screen, _ = self.env.reset()
            self._screens = screen, screen

    def _play(self, action: Any, frames: int) -> tuple[float, bool, bool, dict[str, Any]]:
        total, over, truncated = 0.0, False, False
        info: dict[str, Any] = {}
        assert self._screens is not None, "step before reset"
        for _ in range(frames):
            screen, reward, over, truncated, info = self.env.step(action)
            self._screens = self._screens[1], screen
            total += float(reward)
            if over or truncated:
                break
        return total, over, truncated, info

    def step(self, action: Any) -> StepResult:
        reward, over, truncated, info = self._play(action, self.frame_skip)
        lives = info.get("lives", 0)
        info["cut_returns"] = lives < self._lives
        if info["cut_returns"] and self._fire is not None and not (over or truncated):
            more, over, truncated, _ = self._play(self._fire, self.frame_skip)
            reward += more
        self._lives = lives
        self._stack[:-1] = self._stack[1:]
        self._stack[-1] = self._frame()
        return self._stack.copy(), reward, over, truncated, info

    def _frame(self) -> Frame:
        assert self._screens is not None
        return self._shrink(np.maximum(*self._screens))


class Shrink:
    """Scales grey images of a fixed shape to a square by averaging the area of each new pixel.

    This is OpenCV's INTER_AREA, which most libraries' wrappers use. Here the sums are exact
    (integers below 2^24 in float32), so that BLAS may add them in any order.
    """

    def __init__(self, shape: tuple[int, ...], size: int) -> None:
        self._size = size
        self._rows, self._columns = (_overlaps(length, size) for length in shape)
        self._area = self._rows.shape[1] * self._columns.shape[1]

    def __call__(self, picture: Frame) -> Frame:
        """`picture`: uint8 [height, width] -> uint8 [size, size]."""
        # Blocks of whole pixels map to whole pixels: 5 rows to 2, and 40 columns to 21.
        blocks = picture.reshape(-1, self._rows.shape[1], picture.shape[1]).astype(np.float32)
        narrow = (self._rows @ blocks).reshape(-1, self._columns.shape[1])
        sums = (narrow @ self._columns.T).reshape(self._size, self._size)
        small: Frame = np.rint(sums / self._area).astype(np.uint8)
        return small


def _overlaps(n_in: int, n_out: int) -> NDArray[np.float32]:
    """Return how much of each old pixel lies in each new one, for the shortest repeating pattern.

    The values are integers, and each row sums to the number of old pixels in the pattern:
    float32 [n_out / g, n_in / g], where g is the greatest common divisor of `n_in` and `n_out`.
    """
    common = math.gcd(n_in, n_out)
    old, new = np.arange(n_in // common), np.arange(n_out // common)[:, None]
    ends = np.minimum((old + 1) * len(new), (new + 1) * len(old))
    starts = np.maximum(old * len(new), new * len(old))
    overlaps: NDArray[np.float32] = np.maximum(ends - starts, 0).astype(np.float32)
    return overlaps


class PongDifference(gymnasium.Wrapper[Any, Any, Any, Any]):
    """What moved in Pong since the previous step: int8 [80, 80] of -1, 0, 1. Actions: up, down.

    After Karpathy (2016), "Deep Reinforcement Learning: Pong from Pixels": crop the playing field,
    take every second pixel, set all but the background to 1, and subtract the previous step's
    result.
    """

    made_with: ClassVar[Mapping[str, Any]] = {"frameskip": 4, "obs_type": "rgb"}
    ACTIONS = (2, 3)  # up and down; the emulator calls them RIGHT and LEFT
    BACKGROUNDS = (144, 109)  # red components of the two background colours

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        super().__init__(env)
        self.observation_space = gymnasium.spaces.Box(-1, 1, (80, 80), np.int8)
        self.action_space = gymnasium.spaces.Discrete(len(self.ACTIONS))
        self.metadata = {
            **env.metadata,
            "render_fps": FRAMES_PER_SECOND / self.made_with["frameskip"],
        }
        self._before = np.zeros((80, 80), np.int8)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        screen, info = self.env.reset(seed=seed, options=options)
        self._before = self._objects(screen)
        return np.zeros((80, 80), np.int8), info

    def step(self, action: Any) -> StepResult:
        screen, reward, over, truncated, info = self.env.step(
            self.ACTIONS[number_of(action, ("up", "down"), "Pong")]
        )
        now = self._objects(screen)
        difference, self._before = now - self._before, now
        info["cut_returns"] = reward != 0
        return difference, float(reward), over, truncated, info

    def _objects(self, screen: Frame) -> NDArray[np.int8]:
        red = screen[35:195:2, ::2, 0]
        objects: NDArray[np.int8] = ((red != 0) & ~np.isin(red, self.BACKGROUNDS)).astype(np.int8)
        return objects


VIEWS: Mapping[str, type[Atari | PongDifference]] = {"atari": Atari, "pong": PongDifference}


def make(
    spec: EnvSpec, env_id: str, pixels: str, kwargs: dict[str, Any]
) -> gymnasium.Env[Any, Any]:
    """Make an Atari game with one of the preprocessing wrappers.

    Args:
        spec: the game's entry in Gymnasium's registry.
        env_id: the game's id.
        pixels: the wrapper, a key of `VIEWS`.
        kwargs: options of the wrapper by name; the others are passed to `gymnasium.make`.

    Raises:
        WrongOptions: the environment is not such a game, or an option is invalid.
    """
    if pixels not in VIEWS:
        raise WrongOptions(f"pixels={pixels}: must be one of {', '.join(VIEWS)}")
    game = spec.kwargs.get("game") if str(spec.entry_point).startswith("ale_py") else None
    if game is None or (pixels == "pong" and game != "pong"):
        games = "the game ALE/Pong-v5" if pixels == "pong" else "Atari games, such as ALE/Pong-v5"
        raise WrongOptions(f"pixels={pixels}: is for {games}, and {spec.id} is none")
    view = VIEWS[pixels]
    for name in view.made_with.keys() & kwargs.keys():
        raise WrongOptions(f"{name}={kwargs[name]}: pixels={pixels} sees to it")
    own = inspect.signature(view).parameters.keys() & kwargs.keys()
    options = {name: kwargs.pop(name) for name in sorted(own)}
    return view(gymnasium.make(env_id, **view.made_with, **kwargs), **options)


def n_stacked(env: gymnasium.Env[Any, Any]) -> int:
    """Return how many consecutive frames an observation stacks along its first axis, oldest first.

    The answer is verified by taking some steps, since wrappers above the stacking one may have
    transposed the image.
    """
    name = "stack_size"  # the attribute of gymnasium.wrappers.FrameStackObservation
    number = int(env.get_wrapper_attr(name)) if env.has_wrapper_attr(name) else 1
    length = (env.observation_space.shape or (0,))[0]
    if number == 1 or length % number:
        return 1
    depth = length // number
    obs, _ = env.reset(seed=0)
    env.action_space.seed(0)
    for _ in range(32):
        next_obs, _, terminated, truncated, _ = env.step(env.action_space.sample())
        if not np.array_equal(next_obs[:-depth], obs[depth:]):
            return 1
        if terminated or truncated:
            break
        obs = next_obs
    return number
