"""Rows of the fault matrix about workers and environments, on this machine."""

from __future__ import annotations

import os
import shlex
import signal
import time
from collections.abc import Callable
from pathlib import Path

from faults.runs import (
    SLOW,
    Lab,
    Training,
    all_ready,
    forked,
    identical,
    passes,
    require,
    resume_words,
    undisturbed,
    words,
)

LONG = ["--n-iterations", "12", "--rollout-length", "100"]
SHORT = ["--n-iterations", "5", "--rollout-length", "100"]
# Shorter timeouts.
SHORT_TIMEOUTS = (
    "from ars.distributed import timeouts as t; "
    "t.LATE_SECONDS, t.HUNG_SECONDS, t.HUNG_START_SECONDS = 1, 3, 3"
)


def one_dies(lab: Lab) -> str:
    """`kill -9` one of two workers."""
    return _killed(lab, 1)


def all_die(lab: Lab) -> str:
    """`kill -9` both workers."""
    return _killed(lab, 2)


def _killed(lab: Lab, n_killed: int) -> str:
    reference = undisturbed(lab, SLOW, *LONG)
    command = words(SLOW, lab.place / "run", *LONG, workers=2)
    with Training(lab.place / "run", command, all_ready(2)) as run:
        run.wait_for_rows(3)
        time.sleep(0.1)  # so that the workers are in the middle of a call
        for pid in run.workers()[:n_killed]:
            os.kill(pid, signal.SIGKILL)
        run.end()
    lost = [line for line in run.out.splitlines() if "died; replaced" in line]
    require(len(lost) == n_killed, f"{len(lost)} workers were replaced: {lost}")
    again = sum(int(line.split("replaced, ")[1].split()[0]) for line in lost)
    require(again <= 4 * n_killed, f"{again} rollouts ran again")  # of six an iteration
    identical(run.folder, reference)
    return f"{again} rollouts again"


def _seed() -> int:
    """Return the reset seed of iteration 2, direction 2, sign - of a run with seed 0."""
    from ars.common.seeding import Stream, reset_seed

    return reset_seed(0, Stream.TRAINING, 1, 2, 1)


def _once(lab: Lab, name: str, event: str, workers: int = 2, patch: str = "") -> None:
    """Let one rollout fail the first time; the run must report it and give the same result."""
    flag = lab.place / f"{name}.flag"
    kwargs = ["--env-kwargs", f"seed={_seed()}", f"flag={flag}"]
    place = lab.place / name
    place.mkdir()
    flag.touch()  # the environment then behaves as if it had already failed
    reference = undisturbed(lab, f"faulty_envs:{name}-v0", *kwargs, *SHORT)
    flag.unlink()
    command = words(f"faulty_envs:{name}-v0", place / "run", *kwargs, *SHORT, workers=workers)
    with Training(place / "run", command, patch) as run:
        run.end()
    require(flag.exists(), "the rollout did not go wrong")
    require(event in run.out, f"not told: {event!r}, in: {run.out}")
    identical(run.folder, reference)


def dies_before_answering(lab: Lab) -> None:
    """End the process in the last step of a rollout."""
    _once(lab, "KillsAtTheEnd", "died; replaced")


def straggler(lab: Lab) -> None:
    """Let one step of a rollout sleep for a minute."""
    began = time.monotonic()
    _once(lab, "Straggles", "is late; its rollouts also run elsewhere")
    require(time.monotonic() - began < 60, "the straggler was waited for")


def hung(lab: Lab) -> None:
    """Let the only worker of a run loop forever; stop that of another run with SIGSTOP."""
    _once(lab, "Hangs", "did not answer for", workers=1, patch=SHORT_TIMEOUTS)
    reference = undisturbed(lab, SLOW, *LONG)
    command = words(SLOW, lab.place / "run", *LONG, workers=1)
    with Training(lab.place / "run", command, SHORT_TIMEOUTS) as run:
        run.wait_for_rows(3)
        (stopped,) = run.workers()
        os.kill(stopped, signal.SIGSTOP)
        run.end()
    require(f"(pid {stopped}) did not answer for" in run.out, "not told")
    identical(run.folder, reference)


def raises_once(lab: Lab) -> None:
    """Let the first attempt at a rollout raise."""
    _once(lab, "Raises", "failed (faulty_envs:Raises-v0, iteration 2, direction 2, sign -")


def raises_always(lab: Lab) -> None:
    """Let a rollout always raise; the command that the run prints must reproduce the error."""
    folder = lab.place / "run"
    kwargs = ["--env-kwargs", f"seed={_seed()}"]
    named = "iteration 2, direction 2, sign -: ValueError: the pole snapped"
    with Training(
        folder, words("faulty_envs:Raises-v0", folder, *kwargs, *SHORT, workers=2)
    ) as run:
        run.end_clean(named, "to play it again: ")
    again = shlex.split(run.err.partition("to play it again: ")[2])
    status, _, err = forked(again[3:])
    require(status == 1 and named in err, f"{shlex.join(again)} does not fail: {err}")


def cannot_start(lab: Lab) -> None:
    """Resume a run whose environment can be made by the driver but not by a worker."""
    flag = lab.place / "flag"
    env, kwargs = "faulty_envs:BrokenConstructor-v0", ["--env-kwargs", f"flag={flag}"]
    reference = undisturbed(lab, env, *kwargs, *SHORT)
    folder = lab.place / "run"
    forked(words(env, folder, *kwargs, *SHORT, "--n-iterations", "3"))
    before = _checkpoint(folder)
    with Training(folder, resume_words(folder, "--n-iterations", "5", workers=2)) as run:
        run.wait_for(lambda: "run folder" in run.out, "the driver's own environment")
        flag.touch()
        run.end_clean("a worker cannot start: OSError: no such robot")
    require(_checkpoint(folder) == before, "the checkpoint is another")
    flag.unlink()
    forked(resume_words(folder, "--n-iterations", "5"))
    identical(folder, reference)


def _checkpoint(folder: Path) -> dict[str, object]:
    """Return the contents of the checkpoint except the time."""
    from ars.training import checkpoint

    state = checkpoint.load(folder)
    numbers = {name: array.tobytes() for name, array in state.arrays.items()}
    return {**numbers, **state.values, "seconds": 0}


def _corrupted(lab: Lab, what: str, value: str = "nan", *more: str, workers: int = 2) -> Training:
    folder = lab.place / f"{what}-{value}-{len(more)}-{workers}"
    kwargs = ["--env-kwargs", f"what={what}", f'value="{value}"', f"seed={_seed()}"]
    command = words("faulty_envs:Corrupts-v0", folder, *kwargs, *SHORT, *more, workers=workers)
    return Training(folder, command)


def not_finite(lab: Lab) -> None:
    """Each of four kinds stops the run; with `exclude`, the direction is left out."""
    where = "iteration 2, direction 2, sign -: "
    for what, value, named in (
        ("reward", "nan", "reward 0 is nan"),
        ("reward", "inf", "reward 0 is inf"),
        ("observation", "nan", "observation 1 is not finite"),
        ("observation", "-inf", "observation 1 is not finite"),
    ):
        with _corrupted(lab, what, value, workers=2 if value == "nan" else 0) as run:
            run.end_clean(where + named, "to play it again: ")
    exclude = ["--on-nonfinite", "exclude", "--variant", "v2"]
    found = []
    for workers in (0, 2):
        with _corrupted(lab, "observation", "nan", *exclude, workers=workers) as run:
            found.append(run.end())
        require("direction 2" in run.out, f"the exclusion is not told: {run.out}")
    identical(found[1].folder, found[0].folder)
    from policies import read_policy

    # Reading fails if a value is not finite.
    normalizer = read_policy(found[0].folder / "policy.safetensors").policy.normalizer
    require(normalizer is not None, "there is no normaliser")


def wrong_kind(lab: Lab) -> None:
    """Return an observation of the wrong shape or type, or a wrong step tuple."""
    for what, named in (
        ("shape", "observation of shape (3,); the policy takes (4,)"),
        ("type", "observation is not made of numbers"),
        ("tuple", "env.step returned 2 values, not (observation, reward, terminated, "),
    ):
        with _corrupted(lab, what, workers=2 if what == "type" else 0) as run:
            run.end_clean("iteration 2, direction 2, sign -: ", named)


def extreme_observations(lab: Lab) -> str:
    """Run the tests that compare the normaliser with high-precision arithmetic."""
    return passes("tests/policies/test_normalizer.py")


def ties(lab: Lab) -> str:
    """Run the tests with tied and equal returns."""
    ask = "tests/ars/algorithms/test_ars.py::test_"
    return passes(
        f"{ask}ties_keep_exactly_n_top_by_index", f"{ask}equal_returns_make_no_step_and_say_so"
    )


def any_number(lab: Lab) -> None:
    """Let every rollout begin after a random wait, with different numbers of workers."""
    env = "faulty_envs:Dawdles-v0"
    reference = undisturbed(lab, env, *SHORT, "--n-directions", "12")
    for workers in (1, 2, 5, 16):
        folder = lab.place / str(workers)
        command = words(env, folder, *SHORT, "--n-directions", "12", workers=workers)
        with Training(folder, command, all_ready(workers)) as run:
            run.end()
        identical(folder, reference)


def signals(lab: Lab) -> None:
    """Send SIGINT to the whole process group, as a terminal does, and SIGTERM to the driver."""

    def to_group(run: Training) -> None:
        os.killpg(run.process.pid, signal.SIGINT)

    def to_driver(run: Training) -> None:
        run.process.send_signal(signal.SIGTERM)

    def twice(run: Training) -> None:
        to_group(run)
        time.sleep(0.3)
        to_group(run)

    from ars.training import checkpoint

    reference = undisturbed(lab, SLOW, *LONG)
    send: Callable[[Training], None]
    for send in (to_group, twice, to_driver):
        folder = lab.place / send.__name__
        with Training(folder, words(SLOW, folder, *LONG, workers=2), all_ready(2)) as run:
            run.wait_for_rows(4)
            send(run)
            run.end_clean("interrupted and saved; to go on: ", "--resume", status=130, seconds=30)
        require(checkpoint.exists(folder), "no checkpoint")
        forked(resume_words(folder))
        identical(folder, reference)
