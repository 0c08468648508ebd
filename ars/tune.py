"""`ars tune ENV`, or `python -m ars.tune ENV`: search for settings, and write them as a preset."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from ars.algorithms import ALGORITHMS, DEFAULT_ALGORITHM
from ars.cli.exit import command
from ars.cli.life_sign import life_signs
from ars.cli.parser import Parser, add_flags, add_trust_flag, add_wrapper_flag, with_flags
from ars.cli.program import command_line, program, resuming
from ars.cli.search import closing, open_search_display, opening
from ars.cli.task_flags import (
    add_algo_flag,
    add_env_argument,
    add_env_flags,
)
from ars.common.errors import RunError
from ars.common.host import hosting
from ars.common.settings import as_spelled
from ars.training.config import WorkerConfig
from ars.tuning.config import TuneConfig


def make_parser(algo: str = DEFAULT_ALGORITHM) -> Parser:
    """The command's parser, with the flags of one algorithm."""
    parser = Parser(
        prog=program("tune"),
        description=f"Search for settings. Example: {program('tune')} HalfCheetah --time-budget "
        "30m. " + " ".join(str(TuneConfig.__doc__).partition("\n\n")[2].split()),
        epilog=f"For the settings of another algorithm: --algo {{{','.join(ALGORITHMS)}}} --help",
    )
    add_env_argument(parser)
    main = parser.add_argument_group("search")
    add_algo_flag(main)
    add_flags(main, TuneConfig)
    add_env_flags(main)
    add_wrapper_flag(main)
    hidden = argparse.SUPPRESS
    main.add_argument("--run-dir", metavar="DIR", default=hidden, help="folder for the search")
    main.add_argument("--resume", metavar="DIR", default=hidden, help="search to go on with")
    add_trust_flag(main)
    add_flags(parser.add_argument_group("workers"), WorkerConfig)
    about = "settings given here are the same in every trial, and not searched"
    add_flags(parser.add_argument_group(f"algorithm {algo}", about), ALGORITHMS[algo].Config)
    return parser


def _chosen_algorithm(argv: Sequence[str]) -> str:
    """The algorithm whose flags are accepted: --algo's, or that of the search to resume."""
    first = Parser(add_help=False)
    first.add_argument("--algo")
    first.add_argument("--resume")
    chosen, _ = argparse.ArgumentParser.parse_known_args(first, argv)
    algo = as_spelled(chosen.algo, ALGORITHMS)
    if chosen.algo is None and chosen.resume is not None:
        from ars.tuning.study import algorithm_of_study, is_study

        folder = Path(chosen.resume)
        algo = algorithm_of_study(folder) if is_study(folder) else algo
    return algo if algo in ALGORITHMS else DEFAULT_ALGORITHM


@command
def main(arguments: Sequence[str]) -> None:
    """Run the command; `arguments`: those after `ars tune`, by default the process's."""
    parser = make_parser(_chosen_algorithm(arguments))
    given = vars(parser.parse_args(arguments))
    trust = given.pop("trust")
    if "resume" not in given and "env_id" not in given:
        parser.error(f"name an environment, for example: {program('tune')} HalfCheetah")
    from ars.tuning.study import Study

    with hosting(), life_signs("preparing the search"):
        if "resume" in given:
            study = Study.open(Path(given.pop("resume")), given, command_line(), trust)
        else:
            study = Study.new(given.pop("env_id"), given, command_line())
    print(with_flags(opening(study)), flush=True)
    again = resuming(study.folder, "tune", **study.workers)
    try:
        with open_search_display(study) as display:
            found = study.search(display, trust)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"interrupted and saved; to go on: {again}") from None
    except RunError as error:
        raise RunError(f"{error}; to go on: {again}") from error
    more = {} if study.config.n_trials is None else {"n_trials": 2 * study.config.n_trials}
    print(closing(study, found, resuming(study.folder, "tune", **study.workers, **more)))
    if not found.best:
        raise RunError(f"no trial is complete; to go on: {again}")


if __name__ == "__main__":
    main()
