"""`python -m ars.train ENV`: train a policy and say what was reached."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ars.algorithms import ALGORITHMS, DEFAULT_ALGORITHM, settings_of_others
from ars.cli.exit import reporting
from ars.cli.parser import KeyValues, Parser, add_flags, command_line, with_flags
from ars.common.errors import RunError
from ars.common.settings import counted
from ars.training.config import RunConfig, TaskConfig, TrainingConfig, WorkerConfig
from ars.training.resolve import resolve_new, resolve_resumed, stored_algorithm
from envs.atari import VIEWS

if TYPE_CHECKING:
    from ars.algorithms.base import Algorithm
    from ars.rollout.pool import Pool
    from ars.rollout.task import RolloutSpec
    from ars.training.trainer import Display


def make_parser(algo: str = DEFAULT_ALGORITHM) -> Parser:
    """The command's flags, most of them from the config dataclasses, with those of one algorithm.

    Flags of the same name may mean different things, or have other defaults, in two algorithms.
    """
    ours = ALGORITHMS[algo].Config
    parser = Parser(
        elsewhere=lambda: settings_of_others(algo),
        prog="python -m ars.train",
        description="Train a policy. Example: python -m ars.train HalfCheetah",
        epilog="Values shown as defaults are those without a preset; a preset of the "
        "environment's name is used by itself, and any flag overrides it. For the settings of "
        f"another algorithm: --algo {{{','.join(ALGORITHMS)}}} --help",
    )
    hidden = argparse.SUPPRESS
    parser.add_argument(
        "env_id",
        metavar="ENV",
        nargs="?",
        default=hidden,
        help="a robot (HalfCheetah, Ant, Reacher ...: python -m ars names all), a registered "
        "Gymnasium id (CartPole-v1) or module:Id-v0",
    )
    main = parser.add_argument_group("run")
    main.add_argument(
        "--algo",
        choices=ALGORITHMS,
        default=hidden,
        help=f"algorithm (default: {DEFAULT_ALGORITHM})",
    )
    main.add_argument("--preset", metavar="NAME", default=hidden, help="a named set of settings")
    main.add_argument(
        "--env-kwargs",
        metavar="K=V",
        nargs="+",
        action=KeyValues,
        default=hidden,
        help="for the environment",
    )
    main.add_argument(
        "--pixels",
        choices=VIEWS,
        default=hidden,
        help="how an Atari game is seen: atari, 4 grey frames of 84x84; pong, what moved, 80x80",
    )
    main.add_argument("--run-dir", metavar="DIR", default=hidden, help="folder of the run")
    main.add_argument("--resume", metavar="RUN", default=hidden, help="go on with a run folder")
    main.add_argument(
        "--init-from", metavar="RUN", default=hidden, help="start with a trained policy's weights"
    )
    for config in (TaskConfig, WorkerConfig):
        add_flags(main, config)
    add_flags(parser.add_argument_group("stopping, evaluation, saving"), RunConfig)
    about = with_flags(" ".join(str(ours.__doc__).split()))
    add_flags(parser.add_argument_group(f"algorithm {algo}", about), ours)
    return parser


def _chosen_algorithm(argv: Sequence[str]) -> str:
    """The algorithm whose flags a command line may hold: --algo's, or a resumed run's."""
    first = Parser(add_help=False)
    first.add_argument("--algo")
    first.add_argument("--resume")
    chosen, _ = argparse.ArgumentParser.parse_known_args(first, argv)
    if chosen.algo is None and chosen.resume is not None:
        return stored_algorithm(Path(chosen.resume))
    return chosen.algo if chosen.algo in ALGORITHMS else DEFAULT_ALGORITHM


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command; exits with 0, 1, 2 or 130 as the design says."""
    words = sys.argv[1:] if argv is None else argv
    parser = make_parser(_chosen_algorithm(words))
    given = vars(parser.parse_args(words))
    with reporting():
        if "resume" in given:
            plan = resolve_resumed(Path(given.pop("resume")), given, command_line())
        elif "env_id" in given:
            plan = resolve_new(given.pop("env_id"), given, command_line())
        else:
            parser.error("name an environment, for example: python -m ars.train HalfCheetah")
        train(plan, given.get("run_dir"))


def train(plan: TrainingConfig, run_dir: str | None = None) -> dict[str, Any]:
    """Carry out a plan; returns what result.json holds."""
    from ars.algorithms.base import TrainingContext
    from ars.cli.console import open_display
    from ars.training import checkpoint
    from ars.training.env_check import probe
    from ars.training.run_folder import find_policy, lock, new_folder

    # A run that ended before its first checkpoint begins again.
    going_on = plan.folder is not None and checkpoint.exists(plan.folder)
    initial = None
    if plan.init_from is not None and not going_on:
        initial = find_policy(plan.init_from).file.policy
    found = probe(plan.env_id, plan.env_kwargs)
    with open_display(f"{plan.env_id} · {plan.algo}", plan.run, plan.budget_seconds) as display:
        task = TrainingContext(
            plan.env_id,
            found.observation_space,
            found.action_space,
            plan.env_kwargs,
            plan.task.seed,
            plan.task.on_nonfinite,
            display.notify,
            plan.workers.device,
            plan.workers.env_processes,
        )
        with closing(ALGORITHMS[plan.algo].load()(plan.config, task)) as algorithm:
            if initial is not None:
                algorithm.start_from(initial)
            for warning in found.warnings:
                display.notify(f"warning: {warning}")
            folder = plan.folder or new_folder(plan.env_id, plan.algo, plan.task.seed, run_dir)
            with lock(folder):
                try:
                    plan.write(folder)
                except OSError as error:
                    raise RunError(f"{folder}: cannot be written: {error.strerror}") from None
                display.notify(f"run folder {folder}")
                result = _run(plan, algorithm, folder, display, going_on)
    _summarize(folder, plan.env_id, result)
    return result


def _run(
    plan: TrainingConfig, algorithm: Algorithm, folder: Path, display: Display, going_on: bool
) -> dict[str, Any]:
    from ars.common.errors import RolloutError
    from ars.training import checkpoint
    from ars.training.signals import Interrupts
    from ars.training.trainer import Trainer

    training = {"algo": plan.algo, "preset": plan.preset, **algorithm.policy_metadata}
    interrupts = Interrupts()
    again = f"python -m ars.train --resume {shlex.quote(str(folder))}"
    try:
        with (
            interrupts.handled(),  # around the pool too: half a Ray started or ended would stay
            closing(make_pool(plan, algorithm.rollout_spec, display)) as pool,
        ):
            trainer = Trainer(
                algorithm,
                pool,
                interrupts,
                folder,
                plan.run,
                display,
                plan.identity,
                training,
                plan.budget_seconds,
                resume=going_on,
            )
            try:
                return trainer.run()
            except RunError as error:
                hint = f"; to go on: {again}" if checkpoint.exists(folder) else ""
                raise RunError(f"{error}{hint}") from error
    except KeyboardInterrupt:
        if checkpoint.exists(folder):
            lost = " at once, which loses what came after the last checkpoint"
            how = lost if interrupts.broke_off else " and saved"
            raise KeyboardInterrupt(f"interrupted{how}; to go on: {again}") from None
        raise
    except RolloutError as error:
        where = " --n-workers 0" if algorithm.trains_in_pool else ""
        raise RunError(f"{error}; to play it again: {again}{where}") from error


def make_pool(plan: TrainingConfig, spec: RolloutSpec, display: Display) -> Pool:
    """The pool that the plan's worker flags ask for; Ray is loaded only if it is used."""
    if plan.n_workers == 0:
        from ars.rollout.pool import LocalPool

        return LocalPool(spec, display.notify)
    from ars.distributed.pool import RayPool

    return RayPool(spec, plan.n_workers, plan.workers.ray_address, display.notify)


def _summarize(folder: Path, env_id: str, result: dict[str, Any]) -> None:
    from ars.cli.console import duration

    final, seconds = result["final_evaluation"], result["seconds"]
    run = shlex.quote(str(folder))
    print(
        f"\n{env_id}: return {final['return_mean']:,.1f} ± {final['return_std']:,.1f} over "
        f"{counted(final['episodes'], 'new episode')} (best policy, iteration "
        f"{final['iteration']:,})\n"
        f"{result['stopped']}: {counted(result['timesteps'], 'timestep')}, "
        f"{counted(result['iterations'], 'iteration')} in {duration(seconds)} "
        f"({result['timesteps'] / seconds:,.0f} steps/s)\n\n"
        f"  see it run    python -m ars.render {run}\n"
        f"  evaluate it   python -m ars.evaluate {run}"
    )


if __name__ == "__main__":
    main()
