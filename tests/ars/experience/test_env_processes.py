"""Environment processes end with their run, and with them whatever an environment started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from paths import ROOT, SUPPORT
from processes import alive, wait_until

from ars.experience.env_processes import SubprocessGroup
from ars.experience.vector_env import VectorEnv

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the kernel of Linux sees to it")

DRIVER = """
import sys
from ars.experience.vector_env import VectorEnv

if __name__ == "__main__":
    several = VectorEnv("lingering_envs:Stuck-v0", {"folder": sys.argv[1]}, 1, 7, 100, 1)
    several.reset()
    print(several._shards[0].group._process.pid, flush=True)
    several.step(several._episodes)
"""


def started_in(folder: Path) -> list[int]:
    """The processes that environments have started."""
    return [int(path.name) for path in folder.iterdir()]


def test_a_killed_driver_takes_along_a_process_in_c_code_and_what_it_started(
    tmp_path: Path,
) -> None:
    script, folder = tmp_path / "driver.py", tmp_path / "started"
    script.write_text(DRIVER)
    folder.mkdir()
    path = {**os.environ, "PYTHONPATH": os.pathsep.join([str(SUPPORT), str(ROOT)])}
    words = [sys.executable, str(script), str(folder)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=path) as driver:
        assert driver.stdout is not None
        pids = [int(driver.stdout.readline()), *started_in(folder)]
        time.sleep(0.5)  # in the step
        assert len(pids) == 2 and all(map(alive, pids))
        driver.kill()
    assert wait_until(lambda: not any(map(alive, pids)))


@pytest.mark.parametrize("interrupted", [False, True])
def test_closing_ends_stopped_processes_too_and_what_they_started(
    interrupted: bool, tmp_path: Path
) -> None:
    several = VectorEnv("lingering_envs:StartsAProcess-v0", {"folder": str(tmp_path)}, 2, 7, 100, 2)
    several.reset()
    pids = started_in(tmp_path)
    for shard in several._shards:
        assert isinstance(shard.group, SubprocessGroup) and shard.group._process.pid
        pids.append(shard.group._process.pid)
        os.kill(pids[-1], signal.SIGSTOP)
    if interrupted:
        before = signal.signal(signal.SIGALRM, signal.default_int_handler)
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        with pytest.raises(KeyboardInterrupt):
            several.close()
        signal.signal(signal.SIGALRM, before)
    else:
        several.close()
    assert len(pids) == 4
    assert wait_until(lambda: not any(map(alive, pids)))
    several.close()  # safe


def test_a_process_that_dies_while_it_comes_back_is_replaced_again(tmp_path: Path) -> None:
    dying, whole = tmp_path / "dying", tmp_path / "whole"
    for folder in (dying, whole):
        folder.mkdir()
    for n in range(3):
        (whole / str(n)).touch()  # as if it had died three times
    said: list[str] = []
    name = "lingering_envs:DiesThreeTimes-v0"
    with (
        closing(VectorEnv(name, {"folder": str(dying)}, 2, 7, 100, 1, said.append)) as ours,
        closing(VectorEnv(name, {"folder": str(whole)}, 2, 7, 100)) as theirs,
    ):
        assert np.array_equal(ours.reset(), theirs.reset())
        for t in range(40):
            actions = np.full(2, t % 2)
            assert np.array_equal(ours.step(actions).obs, theirs.step(actions).obs)
    assert len(started_in(dying)) == 3
    assert len(said) == 1


def test_an_episode_that_does_not_come_back_is_truncated_where_it_was(tmp_path: Path) -> None:
    flag, said = tmp_path / "flag", list[str]()
    name = "faulty_envs:EndsWhere-v0"
    with closing(VectorEnv(name, {"flag": str(flag)}, 2, 7, 100, 1, said.append)) as several:
        several.reset()
        for t in range(4):
            last = several.step(np.full(2, t % 2)).obs
        flag.touch()
        group = several._shards[0].group
        assert isinstance(group, SubprocessGroup)
        group._process.kill()
        step = several.step(np.zeros(2, np.int64))
        assert step.truncated.all() and not step.terminated.any()
        assert np.array_equal(step.final_obs, last) and not np.array_equal(step.obs, last)
        assert [episode.length for episode in several.finished] == [5, 5]
        assert several._episodes.tolist() == [1, 1] and several._lengths.tolist() == [0, 0]
        assert not several.step(np.zeros(2, np.int64)).truncated.any()
    assert "they go on from where they came to" in said[1]
