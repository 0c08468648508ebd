"""What the commands share: failures told in one line, progress on a terminal, a policy at work.

Nothing heavy is imported until it is used, so that `--help` answers at once.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from ars.errors import RunError, UsageError
from ars.options import fail

if TYPE_CHECKING:
    from gymnasium.envs.registration import EnvSpec

    from ars.rollout import Rollouts
    from ars.runs import Found
    from policies import BoxSpec, DiscreteSpec

# By name: a class whose module was never imported cannot have been raised.
_STATUSES = (
    ("ars.errors", "UsageError", 2),
    ("envs", "UnknownEnvironment", 2),
    ("envs", "WrongOptions", 2),
    ("policies", "UnsupportedSpace", 2),
    ("ars.errors", "RunError", 1),
    ("gymnasium.error", "Error", 1),
    ("ars.rollout", "RolloutError", 1),
    ("policies", "FileError", 1),
)

# Steps of an episode where neither the training run nor the environment sets a limit.
_LONGEST_EPISODE = 1_000_000


@contextmanager
def reporting() -> Iterator[None]:
    """Turn the failures a user can cause or meet into one line on stderr and an exit status.

    2: arguments that cannot be used; 130: interrupted; 1: anything else that failed, which
    includes the system's own errors such as a full disk, and quietly a reader that went away. An
    exception that none of this foresees keeps its traceback. `KeyboardInterrupt("text")` prints
    its text.
    """
    try:
        yield
        sys.stdout.flush()  # here, where a closed pipe can still be handled
    except KeyboardInterrupt as error:
        print(str(error) or "interrupted", file=sys.stderr)
        raise SystemExit(130) from None
    except BrokenPipeError:
        # The interpreter flushes stdout once more when it exits; let that go nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(1) from None
    except Exception as error:
        status = _status(error)
        if status is None:
            raise
        fail(f"out of memory: {error}" if isinstance(error, MemoryError) else str(error), status)


def _status(error: Exception) -> int | None:
    for module, name, status in _STATUSES:
        if isinstance(error, getattr(sys.modules.get(module), name, ())):
            return status
    return 1 if isinstance(error, OSError | MemoryError) else None


@contextmanager
def progress(label: str, total: int | None = None) -> Iterator[Callable[[], None]]:
    """Gives a function that counts one thing done: a bar on a terminal, else nothing."""
    if not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=total)
        yield lambda: bar.advance(task)


@contextmanager
def acting(
    found: Found, seed: int | None, *, stochastic: bool = False, **env_kwargs: Any
) -> Iterator[Rollouts]:
    """The policy of `found` in its environment, as training's final evaluation has it.

    `seed`: the training run's if None; `stochastic`: actions are drawn from the policy's
    distribution; `env_kwargs` are added to the stored ones.
    Raises: RunError where the environment cannot be made or has other spaces than the policy.
    """
    import gymnasium

    from ars.rollout import Rollouts, RolloutSpec, one_line
    from envs import UnknownEnvironment, resolve

    file = found.file
    length = "eval_length" if "eval_length" in file.training else "rollout_length"
    spec = RolloutSpec(
        env_id=file.env_id,
        policy=file.policy.spec,
        env_kwargs={**file.env_kwargs, **env_kwargs},
        seed=_stored(file.training, "seed", 0, 0) if seed is None else seed,
        rollout_length=_stored(file.training, length, 1, _LONGEST_EPISODE),
        stochastic=stochastic,
    )
    try:
        rollouts = Rollouts(spec)
    except UnknownEnvironment:
        raise
    except Exception as error:
        for name in ("width", "height"):
            if isinstance(error, TypeError) and name in env_kwargs and f"'{name}'" in str(error):
                raise UsageError(f"--{name}: {file.env_id} does not let it be chosen") from None
        drawing = "render_mode" in env_kwargs
        hint = drawing_hint(gymnasium.spec(resolve(file.env_id))) if drawing else ""
        raise RunError(f"{file.env_id}: cannot be made: {one_line(error)}{hint}") from error
    if rollouts.notice is not None:
        print(f"warning: {rollouts.notice}", file=sys.stderr)
    try:
        _check_spaces(found, rollouts)
        yield rollouts
    finally:
        # What failed may fail again on closing; the first failure is the one to tell.
        with suppress(Exception):
            rollouts.close()


def drawing_hint(spec: EnvSpec | None) -> str:
    """What may help where an environment could not draw: MuJoCo needs a driver for OpenGL."""
    if "mujoco" not in str(spec and spec.entry_point):
        return ""
    return "; MuJoCo draws with MUJOCO_GL=egl (package libegl1) or osmesa (package libosmesa6)"


def _stored(training: dict[str, Any], name: str, least: int, default: int) -> int:
    value = training.get(name)
    return value if isinstance(value, int) and value >= least else default


def _check_spaces(found: Found, rollouts: Rollouts) -> None:
    from policies import space_spec

    env, policy = rollouts.env, rollouts.spec.policy
    start = f"{rollouts.spec.env_id}: {found.path} was trained on another version of it: "
    observation = space_spec(env.observation_space, "observation")
    if observation.size != policy.observation.size:
        raise RunError(
            f"{start}it gives observations of {observation.size} numbers, the policy takes "
            f"{policy.observation.size}"
        )
    action = space_spec(env.action_space, "action")
    if action != policy.action:
        raise RunError(
            f"{start}it takes {_words(action)}, the policy gives {_words(policy.action)}"
        )


def _words(action: BoxSpec | DiscreteSpec) -> str:
    from policies import DiscreteSpec

    if isinstance(action, DiscreteSpec):
        return f"actions {action.start} to {action.start + action.n - 1}"
    bounds = "without bounds" if action.low is None else f"from {action.low} to {action.high}"
    return f"{action.dtype} actions of shape {action.shape} {bounds}"
