"""Rows of the fault matrix about what environments do to their process and to repetition."""

from __future__ import annotations

import signal

from faults.runs import Lab, Training, passes, require, words

TESTS = "tests/ars/training/test_rude_envs.py"
LONG = ["--n-iterations", "1000000"]


def ends_program(lab: Lab) -> str:
    """An environment calls `sys.exit` in workers, now and then; the test suite has the rest."""
    folder, given = lab.place / "run", ["--env-kwargs", "at=step", "after=4", *LONG]
    with Training(folder, words("rude_envs:Exits-v0", folder, *given, workers=2)) as run:
        run.end_clean("rude_envs:Exits-v0", "it tried to end the program")
    return passes(TESTS, "-k", "ending_the_program")


def changes_process(lab: Lab) -> str:
    """An environment takes the signals; the test suite has the other things."""
    for at in ("made", "reset", "step"):
        for number in (signal.SIGINT, signal.SIGTERM):
            folder = lab.place / f"{at}-{number}"
            given = ["--env-kwargs", f"at={at}", *LONG]
            with Training(folder, words("rude_envs:TakesSignals-v0", folder, *given)) as run:
                run.wait_for_rows(2)
                run.process.send_signal(number)
                run.process.wait(30)
            require(run.process.returncode in (130, 143), f"status {run.process.returncode}")
            require("interrupted and saved" in run.err, f"not saved: {run.err}")
    return passes(TESTS, "tests/ars/common/test_host.py", "-k", "not ending_the_program")


def repeats_at_first(lab: Lab) -> str:
    """Random numbers late in an episode, and a state that leaks after some episodes."""
    return passes(TESTS, "-k", "repeat or twice")
