"""What every deep algorithm keeps: exact resume, the same curve however spread, clear words."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from learners import make, outcome, without_times
from paths import SUPPORT
from processes import wait_until
from threadpoolctl import threadpool_info, threadpool_limits

import ars.evaluate
import ars.train
from ars.algorithms import ALGORITHMS
from ars.algorithms.deep import DeepAlgorithm
from ars.algorithms.ppo import PPO
from ars.algorithms.reinforce import REINFORCE
from ars.cli.parser import flag_name
from ars.common.seeding import Stream, reset_seed
from ars.common.settings import setting_names
from ars.learning import device
from policies import load_policy

DEEP = [name for name, entry in ALGORITHMS.items() if issubclass(entry.load(), DeepAlgorithm)]
every_algorithm = pytest.mark.parametrize("algo", DEEP)

# Where the defaults make an iteration long: settings that make it short, and use what there is.
SMALL = {
    "dqn": "--n-steps 64 --buffer-size 300 --learning-starts 50 --batch-size 16 --target-update 50 "
    "--exploration-steps 300 --double --dueling --prioritized --return-steps 3",
    "ppo": "--n-steps 32 --batch-size 24 --n-epochs 2 --learning-rate-schedule linear "
    "--normalize-observations --normalize-rewards --target-kl 0.05",
    # The rest of an iteration goes on in the next: episodes, or 3 environments' parts of them.
    "a2c": "--iteration-steps 20 --entropy-coef 0.01 --learning-rate-schedule linear "
    "--critic-learning-rate 0.002",
    "actor-critic": "--iteration-steps 20 --update episode --critic q",
    "reinforce": "--n-steps 25 --n-episodes 3 --baseline --normalize-observations",
}
RUN = "--n-envs 3 --eval-freq 2 --eval-episodes 2 --save-freq 3 --hidden-sizes 8"


def train(folder: Path, algo: str, words: str, env: str = "CartPole-v1") -> Path:
    """Run the command in this process."""
    settings = f"--algo {algo} --run-dir {folder} {RUN} {SMALL.get(algo, '')} {words}"
    ars.train.main([env, *settings.split()])
    return folder


def refused(capsys: pytest.CaptureFixture[str], words: str) -> str:
    """The one line a command ends with, whose status is 2."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as stopped:
        ars.train.main(words.split())
    out, err = capsys.readouterr()
    assert stopped.value.code == 2, err
    assert err.count("\n") == 1
    assert "run folder" not in out
    return err


@every_algorithm
def test_4_iterations_resumed_to_10_are_10(algo: str, tmp_path: Path) -> None:
    whole = train(tmp_path / "whole", algo, "--n-iterations 10")
    parts = train(tmp_path / "parts", algo, "--n-iterations 4")
    ars.train.main(["--resume", str(parts), "--n-iterations", "10"])
    assert outcome(parts) == outcome(whole)


@every_algorithm
def test_processes_for_environments_change_nothing(algo: str, tmp_path: Path) -> None:
    here = train(tmp_path / "here", algo, "--n-iterations 2")
    there = train(tmp_path / "there", algo, "--n-iterations 2 --env-processes 2")
    assert outcome(here) == outcome(there)


@every_algorithm
def test_seeds_differ(algo: str, tmp_path: Path) -> None:
    first = train(tmp_path / "0", algo, "--n-iterations 1")
    second = train(tmp_path / "1", algo, "--n-iterations 1 --seed 1")
    assert outcome(first)["policy"] != outcome(second)["policy"]


@every_algorithm
def test_an_iteration_is_a_fixed_number_of_steps(algo: str, tmp_path: Path) -> None:
    rows = without_times(train(tmp_path / "run", algo, "--n-iterations 4") / "progress.csv")
    steps = [int(row[1]) for row in rows[1:]]
    assert np.diff([0, *steps]).tolist() == [steps[0]] * 4
    assert "iteration is" in (ALGORITHMS[algo].Config.__doc__ or "")


@every_algorithm
def test_the_policy_acts_in_numpy_alone(algo: str, tmp_path: Path) -> None:
    folder = train(tmp_path / "run", algo, "--n-iterations 1")
    code = (
        "import sys, policies; policy = policies.load_policy(sys.argv[1]); "
        "print(policy.act([0] * 4) in (0, 1), 'torch' in sys.modules)"
    )
    words = [sys.executable, "-c", code, str(folder / "best_policy.safetensors")]
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    assert done.stdout == "True False\n"


@every_algorithm
def test_actions_may_be_drawn_in_an_evaluation(
    algo: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = train(tmp_path / "run", algo, "--n-iterations 1")
    capsys.readouterr()
    words = [str(folder), "--episodes", "5", "--json"]
    if load_policy(folder / "policy.safetensors").spec.distribution == "none":
        with pytest.raises(SystemExit) as stopped:
            ars.evaluate.main([*words, "--stochastic"])
        assert stopped.value.code == 2
        assert "has no distribution of actions" in capsys.readouterr().err
        return
    results = []
    for more in ([], ["--stochastic"], ["--stochastic"]):
        ars.evaluate.main([*words, *more])
        results.append(json.loads(capsys.readouterr().out))
    best, drawn, again = results
    assert drawn == again
    assert (best["stochastic"], drawn["stochastic"]) == (False, True)
    assert drawn["returns"] != best["returns"]


@every_algorithm
def test_a_run_may_start_from_a_trained_policy(algo: str, tmp_path: Path) -> None:
    first = train(tmp_path / "first", algo, "--n-iterations 2")
    second = train(tmp_path / "second", algo, f"--n-iterations 1 --init-from {first} --eval-freq 1")
    best = load_policy(first / "best_policy.safetensors")
    start = load_policy(second / "best_policy.safetensors")
    assert start.spec == best.spec
    rows = [without_times(folder / "evaluations.csv") for folder in (first, second)]
    assert rows[1][1][3:] in [row[3:] for row in rows[0][1:]]


@every_algorithm
def test_a_falling_learning_rate_is_that_of_the_steps(algo: str) -> None:
    kind = ALGORITHMS[algo].load()
    steps = "iteration_steps" if "iteration_steps" in setting_names(kind.Config) else "n_steps"
    settings: dict[str, Any] = {"learning_rate": 0.01, "learning_rate_schedule": "linear"}
    settings |= {"horizon": 4000, steps: 80}
    algorithm = make(kind, "small_worlds:Identity-v0", **settings)
    algorithm.timesteps = 3000
    row = algorithm.iterate(None)
    algorithm.close()
    assert algorithm.optimizer.steps > 0
    assert row["learning_rate"] == algorithm.optimizer.learning_rate == 0.0025


def test_a_state_holds_nothing_of_an_episode_that_was_cut_off() -> None:
    algorithm = make(REINFORCE, "CartPole-v1", n_steps=7, n_episodes=100)
    algorithm.iterate(None)
    algorithm.environments._leave([0])  # as after an evaluation that had the environment
    state = algorithm.state()
    again = make(REINFORCE, "CartPole-v1", n_steps=7, n_episodes=100)
    again.restore(state)
    for one in (algorithm, again):
        one.iterate(None)
        one.close()
    assert np.array_equal(again.parameters.numpy(), algorithm.parameters.numpy())
    in_progress = [one.state().nested("trajectories").arrays for one in (algorithm, again)]
    for name, array in in_progress[0].items():
        assert np.array_equal(array, in_progress[1][name])


@every_algorithm
def test_a_run_whose_environment_failed_goes_on_from_its_checkpoint(
    algo: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flag = tmp_path / "failed"
    seed = reset_seed(0, Stream.TRAINING, 1, 4)  # fails in its fifth episode, once
    words = f"--save-freq 1 --n-iterations 10 --env-kwargs seed={seed} flag={flag}"
    with pytest.raises(SystemExit) as stopped:
        train(tmp_path / "parts", algo, words, "faulty_envs:Raises-v0")
    assert stopped.value.code == 1
    said = capsys.readouterr().err
    assert "training environment 1, episode 4, step 0: ValueError: the pole snapped (at " in said
    assert "; to play it again: " in said
    assert "resuming will repeat" not in said  # it was saved after every iteration
    ars.train.main(["--resume", str(tmp_path / "parts")])
    whole = train(tmp_path / "whole", algo, words, "faulty_envs:Raises-v0")
    assert outcome(tmp_path / "parts") == outcome(whole)


def test_a_failure_says_what_will_be_repeated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seed = reset_seed(0, Stream.TRAINING, 1, 4)
    words = f"--save-freq 100 --env-kwargs seed={seed} flag={tmp_path / 'failed'}"
    with pytest.raises(SystemExit):
        train(tmp_path / "run", "ppo", words, "faulty_envs:Raises-v0")
    steps = len(without_times(tmp_path / "run" / "progress.csv")) - 1
    assert steps > 1
    assert f"resuming will repeat {steps} iterations" in capsys.readouterr().out


@every_algorithm
def test_an_interrupted_run_is_saved_and_goes_on(algo: str, tmp_path: Path) -> None:
    """The iteration in progress is finished first."""
    folder = tmp_path / "run"
    settings = f"--algo {algo} --run-dir {folder} {RUN} {SMALL.get(algo, '')} --eval-freq 100000"
    words = [sys.executable, "-m", "ars.train", "CartPole-v1", *settings.split()]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while (
        not (folder / "progress.csv").exists()
        or b"\n" not in (folder / "progress.csv").read_bytes()
    ):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert err.startswith("interrupted and saved; to go on:")
    done = int(without_times(folder / "progress.csv")[-1][0])
    ars.train.main(["--resume", str(folder), "--n-iterations", str(done + 1)])
    assert int(without_times(folder / "progress.csv")[-1][0]) == done + 1


@pytest.mark.parametrize("processes", [0, 2])
def test_a_second_signal_leaves_a_step_that_hangs(processes: int, tmp_path: Path) -> None:
    seed = reset_seed(0, Stream.TRAINING, 1, 9)  # the second environment's tenth episode
    hangs = f"--env-kwargs seed={seed} flag={tmp_path / 'hangs'}"
    settings = f"--algo ppo --run-dir {tmp_path / 'run'} {RUN} {SMALL['ppo']} --save-freq 1 {hangs}"
    words = [sys.executable, "-m", "ars.train", "faulty_envs:Hangs-v0", *settings.split()]
    words += ["--env-processes", str(processes)]
    env = {**os.environ, "PYTHONPATH": str(SUPPORT)}
    process = subprocess.Popen(
        words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=env
    )
    assert wait_until((tmp_path / "hangs").exists, 60)
    for _ in range(2):
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        time.sleep(0.5)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert err.startswith("interrupted at once, which loses what came after the last checkpoint;")
    ars.train.main(["--resume", str(tmp_path / "run"), "--n-iterations", "14"])
    words_of_whole = f"--n-iterations 14 {hangs}"  # it hangs no more
    whole = train(tmp_path / "whole", "ppo", words_of_whole, "faulty_envs:Hangs-v0")
    assert outcome(tmp_path / "run") == outcome(whole)


@every_algorithm
def test_a_network_that_diverges_stops_the_run(
    algo: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        train(tmp_path / "run", algo, "--n-iterations 30 --learning-rate 1e38 --max-grad-norm 0")
    assert stopped.value.code == 1
    assert "no longer finite; a lower --learning-rate" in capsys.readouterr().err


def test_what_a_network_that_diverges_does_is_not_the_environments_fault(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        train(tmp_path / "run", "a2c", "--learning-rate 1e38 --max-grad-norm 0", "Pendulum-v1")
    assert "error: iteration 1: the network's weights are no longer" in capsys.readouterr().err


@every_algorithm
@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("CartPole-v1 --n-envs 0", "--n-envs 0: must be at least 1"),
        ("CartPole-v1 --hidden-sizes 10000000000", "must be at most 1000000000"),
        ("CartPole-v1 --device tpu", "--device tpu: must be one of auto, cpu, cuda"),
        ("CartPole-v1 --device cuda", "--device 'cuda': torch finds no CUDA device"),
        ("CartPole-v1 --policy cnn", "a cnn policy takes images"),
        ("CartPole-v1 --policy linear", "--policy linear: must be one of auto, mlp, cnn"),
        ("CartPole-v1 --on-nonfinite exclude", "cannot leave a step out"),
        ("CartPole-v1 --gamma 1.01", "--gamma 1.01: must be at most 1"),
        ("CartPole-v1 --env-processes -1", "--env-processes -1: must be at least 0"),
        (
            "CartPole-v1 --n-directions 8",
            "--n-directions: a setting of --algo ars, pgpe, sep-",
        ),
        ("CartPole-v1 --learning-rates 1", "did you mean --learning-rate"),
    ],
)
def test_wrong_words_end_in_one_line(
    algo: str, words: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if "CUDA" in message:
        import torch

        if torch.cuda.is_available():
            pytest.skip("there is a CUDA device")
    assert message in refused(capsys, f"{words} --algo {algo}")


def test_ars_has_no_use_for_a_gpu(capsys: pytest.CaptureFixture[str]) -> None:
    assert "--device cuda: ars learns without torch" in refused(capsys, "Hopper --device cuda")
    assert "--env-processes 2: ars plays" in refused(capsys, "Hopper --env-processes 2")
    assert "invalid choice: 'nothing'" in refused(capsys, "Hopper --algo nothing")


@pytest.mark.parametrize("algo", ALGORITHMS)
def test_every_flag_is_taken_or_its_algorithms_are_named(
    algo: str, capsys: pytest.CaptureFixture[str]
) -> None:
    ours = {flag_name(name) for name in setting_names(ALGORITHMS[algo].Config)}
    for other, algorithm in ALGORITHMS.items():
        for flag in {flag_name(name) for name in setting_names(algorithm.Config)} - ours:
            line = refused(capsys, f"CartPole-v1 --algo {algo} {flag} 1")
            assert line.startswith(f"error: {flag}: a setting of --algo ")
            assert other in line
    with pytest.raises(SystemExit):
        ars.train.main(["--algo", algo, "--help"])
    shown = capsys.readouterr().out
    assert all(flag in shown for flag in ours)


def test_a_policy_of_other_images_is_no_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = "--conv-layers 2 8 4 --n-iterations 1"
    given = train(tmp_path / "given", "a2c", words, "small_worlds:Images-v0")
    other = "small_worlds:Stacks-v0 --env-kwargs size=36 --algo a2c --hidden-sizes 8"
    said = refused(capsys, f"{other} {words} --init-from {given}")
    assert "--init-from: its policy sees observations of shape (2, 36, 36), this run (4," in said


def test_sums_do_not_depend_on_the_number_of_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of BLAS do, where it may have several threads."""
    # Not that of runs that other tests have left open.
    monkeypatch.setattr(device, "_one_thread", device._OneThread())

    def threads() -> tuple[set[int], int]:
        pools = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
        return {pool["num_threads"] for pool in pools}, torch.get_num_threads()

    with threadpool_limits(2, "blas"):
        before = threads()
        assert before[0] == {2}
        one = make(PPO, "CartPole-v1")
        assert threads() == ({1}, 1)
        threadpool_limits(2, "blas")  # by others
        other = make(PPO, "CartPole-v1")
        assert threads() == ({1}, 1)
        one.close()
        assert threads()[0] == {1}
        other.close()
        assert threads() == before  # whoever calls the API has other work too


@every_algorithm
def test_a_schedule_keeps_the_horizon_of_the_start(algo: str, tmp_path: Path) -> None:
    folder = train(tmp_path / "run", algo, "--total-timesteps 1")
    ars.train.main(["--resume", str(folder), "--n-iterations", "3"])
    config = json.loads((folder / "config.json").read_text())
    assert config["config"]["horizon"] == 1
