"""`ars train ENV`, or `python -m ars.train ENV`: train a policy and print its result."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ars.algorithms import ALGORITHMS, DEFAULT_ALGORITHM, settings_of_others
from ars.algorithms.objective import ObjectiveConfig
from ars.cli.closing import going_on, summary
from ars.cli.console import open_display
from ars.cli.exit import reporting
from ars.cli.parser import Parser, add_flags, flag_name, with_flags
from ars.cli.program import command_line, hint, program
from ars.cli.words import KeyValues
from ars.common.settings import as_spelled
from ars.training.config import RunConfig, TaskConfig, WorkerConfig
from ars.training.resolve import resolve_new, resolve_resumed, stored_algorithm
from envs.atari import VIEWS


def make_parser(algo: str = DEFAULT_ALGORITHM) -> Parser:
    """The command's parser, with the flags of one algorithm; most come from config dataclasses.

    A flag may have another meaning or another default in another algorithm.
    """
    algorithm_config = ALGORITHMS[algo].Config
    parser = Parser(
        elsewhere=lambda: settings_of_others(algo),
        prog=program("train"),
        description=f"Train a policy. Example: {program('train')} HalfCheetah",
        epilog="Defaults are shown as they are without a preset. A preset named like the "
        "environment is used automatically, and any flag overrides it. For the settings of "
        f"another algorithm: --algo {{{','.join(ALGORITHMS)}}} --help",
    )
    hidden = argparse.SUPPRESS
    parser.add_argument(
        "env_id",
        metavar="ENV",
        nargs="?",
        default=hidden,
        help=f"a robot (HalfCheetah, Ant, Reacher ...: {program()} names all), a registered "
        "Gymnasium id (CartPole-v1) or module:Id-v0",
    )
    main = parser.add_argument_group("run")
    main.add_argument(
        "--algo",
        type=partial(as_spelled, known=ALGORITHMS),
        choices=ALGORITHMS,
        default=hidden,
        help=f"algorithm (default: {DEFAULT_ALGORITHM})",
    )
    main.add_argument("--preset", metavar="NAME", default=hidden, help="a named set of settings")
    main.add_argument(
        "--env-kwargs",
        metavar="K=V",
        action=KeyValues,
        default=hidden,
        help="keyword arguments for the environment",
    )
    main.add_argument(
        "--pixels",
        type=partial(as_spelled, known=VIEWS),
        choices=VIEWS,
        default=hidden,
        help="observations of an Atari game: atari, 4 grey frames of 84x84; pong, the difference "
        "of two frames, 80x80",
    )
    main.add_argument("--run-dir", metavar="DIR", default=hidden, help="folder for the run")
    main.add_argument("--resume", metavar="RUN", default=hidden, help="run folder to go on with")
    main.add_argument(
        "--init-from", metavar="RUN", default=hidden, help="start from a trained policy's weights"
    )
    for config in (TaskConfig, WorkerConfig):
        add_flags(main, config)
    add_flags(parser.add_argument_group("stopping, evaluation, saving"), RunConfig)
    about = with_flags(" ".join(str(algorithm_config.__doc__).split()))
    group = parser.add_argument_group(f"algorithm {algo}", about)
    add_flags(group, algorithm_config, but_of=ObjectiveConfig)
    if issubclass(algorithm_config, ObjectiveConfig):
        about = with_flags(" ".join(str(ObjectiveConfig.__doc__).split()))
        add_flags(parser.add_argument_group("reward", about), ObjectiveConfig)
    return parser


def _chosen_algorithm(argv: Sequence[str]) -> str:
    """The algorithm whose flags are accepted: that of --algo, or of the run to resume."""
    first = Parser(add_help=False)
    first.add_argument("--algo")
    first.add_argument("--resume")
    chosen, _ = argparse.ArgumentParser.parse_known_args(first, argv)
    if chosen.algo is None and chosen.resume is not None:
        return stored_algorithm(Path(chosen.resume))
    algo = as_spelled(chosen.algo, ALGORITHMS)
    return algo if algo in ALGORITHMS else DEFAULT_ALGORITHM


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command; `argv`: the arguments after `ars train`."""
    arguments = sys.argv[1:] if argv is None else argv
    parser = make_parser(_chosen_algorithm(arguments))
    given = vars(parser.parse_args(arguments))
    with reporting():
        if "resume" in given:
            config = resolve_resumed(Path(given.pop("resume")), given, command_line())
        elif "env_id" in given:
            config = resolve_new(given.pop("env_id"), given, command_line())
        else:
            parser.error(f"name an environment, for example: {program('train')} HalfCheetah")
        from ars.training.run import run_training

        with open_display(config) as display:
            folder, result = run_training(config, display, _how_to_resume, given.get("run_dir"))
        more = going_on(result, stretch=bool(config.schedules))
        print(
            f"{with_flags(summary(config.env_id, result))}\n\n"
            f"  see it run    {hint('render', folder)}\n"
            f"  evaluate it   {hint('evaluate', folder)}\n"
            f"  train on      {_how_to_resume(folder, **more)}"
        )


def _how_to_resume(folder: Path, **settings: Any) -> str:
    flags = [word for name, value in settings.items() for word in (flag_name(name), value)]
    return hint("train", "--resume", folder, *flags)


if __name__ == "__main__":
    main()
