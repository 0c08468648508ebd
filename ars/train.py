"""`ars train ENV`, or `python -m ars.train ENV`: train a policy and print its result."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import envs
from ars.algorithms import ALGORITHMS, DEFAULT_ALGORITHM, settings_of_others
from ars.algorithms.objective import ObjectiveConfig
from ars.cli.closing import going_on, has_converged, seeing, summary
from ars.cli.console import open_display
from ars.cli.exit import command
from ars.cli.parser import Parser, add_flags, add_trust_flag, add_wrapper_flag, with_flags
from ars.cli.program import command_line, hint, program, resuming
from ars.cli.seeds import train_seeds
from ars.cli.task_flags import (
    add_algo_flag,
    add_env_argument,
    add_env_flags,
)
from ars.common.host import hosting
from ars.common.settings import as_spelled, make_config
from ars.training.config import DEFAULT_TIMESTEPS, RunConfig, TaskConfig, WorkerConfig
from ars.training.config_file import NO_FILE, FileSettings, settings_in, with_file
from ars.training.experiment import SeedsConfig, algorithm_of, is_experiment
from ars.training.preset_lines import preset_named_like
from ars.training.resolve import resolve_new, resolve_resumed, stored_algorithm
from ars.training.settings_file import NO_PRESET, known_presets, preset_algorithm


class Subject(NamedTuple):
    """What the help is about, besides an algorithm.

    Attributes:
        preset: a preset's name; None for none.
        sentence: on it, or on the environment that has none.
    """

    preset: str | None = None
    sentence: str = ""


def make_parser(algo: str = DEFAULT_ALGORITHM, subject: Subject | None = None) -> Parser:
    """The command's parser, with the flags of one algorithm; most come from config dataclasses.

    A flag may have another meaning or another default in another algorithm.
    """
    algorithm_config, presets = ALGORITHMS[algo].Config, ALGORITHMS[algo].presets
    subject = subject or Subject()
    known = f": {', '.join(presets)}" if presets else ""
    preset = {} if subject.preset is None else known_presets(algo, subject.preset)[subject.preset]
    parser = Parser(
        elsewhere=lambda: settings_of_others(algo),
        prog=program("train"),
        description=subject.sentence
        or f"Train a policy. Example: {program('train')} HalfCheetah. With --help after ENV or "
        "--preset, a preset's values are shown beside the defaults.",
        epilog="A preset named like the environment is used automatically, and any flag overrides "
        f"it. For the settings of another algorithm: --algo {{{','.join(ALGORITHMS)}}} --help",
    )
    hidden = argparse.SUPPRESS
    add_env_argument(parser)
    main = parser.add_argument_group("run")
    add_algo_flag(main)
    main.add_argument(
        "--preset",
        metavar="NAME",
        default=hidden,
        help=f"a named set of settings{known}; a file of one, such as {program('tune')} writes; or "
        f"{NO_PRESET}, for the defaults",
    )
    add_env_flags(main, preset)
    add_wrapper_flag(main)
    main.add_argument(
        "--config",
        metavar="FILE",
        default=hidden,
        help="settings from a file: a run folder or its config.json, to train that run again, or "
        "TOML or YAML; other flags override them",
    )
    main.add_argument(
        "--dry-run",
        action="store_true",
        help="print every setting and where it comes from, measure the speed for some seconds, and "
        "train nothing",
    )
    main.add_argument("--run-dir", metavar="DIR", default=hidden, help="folder for the run")
    main.add_argument("--resume", metavar="RUN", default=hidden, help="run folder to go on with")
    add_trust_flag(main)
    start = preset.get("init_from")
    main.add_argument(
        "--init-from",
        metavar="RUN",
        default=hidden,
        help="start from a trained policy's weights; none, to leave out a preset's start"
        + ("" if start is None else f" (preset: {start})"),
    )
    for config in (TaskConfig, SeedsConfig, WorkerConfig):
        add_flags(main, config, preset=preset)
    add_flags(parser.add_argument_group("stopping, evaluation, saving"), RunConfig, preset=preset)
    about = with_flags(" ".join(str(algorithm_config.__doc__).split()))
    group = parser.add_argument_group(f"algorithm {algo}", about)
    add_flags(group, algorithm_config, but_of=ObjectiveConfig, preset=preset)
    if issubclass(algorithm_config, ObjectiveConfig):
        about = with_flags(" ".join(str(ObjectiveConfig.__doc__).split()))
        add_flags(parser.add_argument_group("reward", about), ObjectiveConfig, preset=preset)
    return parser


def _subject(argv: Sequence[str], algo: str) -> Subject:
    """What the help for these arguments is about."""
    first = Parser(add_help=False)
    first.add_argument("--preset")
    given, others = argparse.ArgumentParser.parse_known_args(first, argv)
    names = [name for word in others if (name := _environment(word)) is not None]
    presets, env_id = known_presets(algo, given.preset), names[0] if names else None
    preset = as_spelled(given.preset, presets)
    if preset is None and env_id is not None:
        preset = preset_named_like(env_id, algo)
    if preset is not None and preset in presets:
        values = presets[preset]
        lengths = [f"{values[stop]:,} {unit}" for stop, unit in _UNITS.items() if stop in values]
        runs = f" runs for {lengths[0]}; its" if lengths else ": its"
        return Subject(preset, f"The preset {preset}{runs} values are shown below.")
    if env_id is None:
        return Subject()
    it = f"There is no preset for {env_id} and {algo}: it"
    if given.preset == NO_PRESET:
        it = f"Without a preset {env_id}"
    text = f"{it} runs for {DEFAULT_TIMESTEPS:,} timesteps with the defaults below."
    return Subject(None, text)


_UNITS = {"total_timesteps": "timesteps", "n_iterations": "iterations"}


def _environment(word: str) -> str | None:
    """The environment that a word names, without importing a module of the user's."""
    if word.startswith("-") or ":" in word:
        return None
    try:
        return envs.canonical_name(word)
    except envs.UnknownEnvironment:
        return None


def _first_look(argv: Sequence[str]) -> tuple[str, FileSettings]:
    """The algorithm whose flags are accepted, and what --config's file says.

    The algorithm is --algo's, the file's, or that of the run to resume.
    """
    first = Parser(add_help=False)
    first.add_argument("--algo")
    first.add_argument("--resume")
    first.add_argument("--config")
    first.add_argument("--preset")
    chosen, _ = argparse.ArgumentParser.parse_known_args(first, argv)
    from_file = NO_FILE if chosen.config is None else settings_in(chosen.config)
    if chosen.algo is None and chosen.config is None and chosen.resume is not None:
        folder = Path(chosen.resume)
        return algorithm_of(folder) if is_experiment(folder) else stored_algorithm(folder), NO_FILE
    algo = from_file.given.get("algo") if chosen.algo is None else chosen.algo
    if algo is None:
        algo = preset_algorithm(chosen.preset or from_file.given.get("preset"))
    algo = as_spelled(algo, ALGORITHMS)
    return algo if isinstance(algo, str) and algo in ALGORITHMS else DEFAULT_ALGORITHM, from_file


@command
def main(arguments: Sequence[str]) -> None:
    """Run the command; `arguments`: those after `ars train`, by default the process's."""
    algo, from_file = _first_look(arguments)
    asks = {"-h", "--help"} & set(arguments)
    parser = make_parser(algo, _subject(arguments, algo) if asks else None)
    given = vars(parser.parse_args(arguments))
    trust = given.pop("trust")
    dry = given.pop("dry_run")
    if given.pop("config", None) is not None:
        given = with_file(from_file, given, trust)
        for note in from_file.notes:
            print(with_flags(note), flush=True)
    if dry:
        _dry_run(parser, given, from_file.given)
        return
    if train_seeds(given, command_line(), trust):
        return
    with hosting():  # from before the environment's module is imported
        if "resume" in given:
            config = resolve_resumed(Path(given.pop("resume")), given, command_line(), trust)
        elif "env_id" in given:
            config = resolve_new(given.pop("env_id"), given, command_line())
        else:
            parser.error(f"name an environment, for example: {program('train')} HalfCheetah")
        from ars.training.run import run_training

        with open_display(config) as display:
            folder, result = run_training(config, display, resuming, given.get("run_dir"))
        see = seeing(config.env_id, folder)
    more = config.chosen_workers | going_on(result, config.horizon)
    again = "" if has_converged(result) else f"\n  train on      {resuming(folder, **more)}"
    print(
        f"{with_flags(summary(config.env_id, result, config.weighs_rewards))}\n\n"
        f"  see it run    {see}\n"
        f"  evaluate it   {hint('evaluate', folder)}\n"
        f"  its curve     {hint('plot', folder)}{again}"
    )


def _dry_run(parser: Parser, given: dict[str, Any], from_file: Mapping[str, Any]) -> None:
    if "resume" in given:
        parser.error("--dry-run: shows new runs, not what is resumed")
    if "env_id" not in given:
        parser.error(f"name an environment, for example: {program('train')} HalfCheetah")
    seeds: dict[str, Any] = {name: given.pop(name) for name in ("n_seeds", "jobs") if name in given}
    if "jobs" in seeds and "n_seeds" not in seeds:
        parser.error("--jobs: has no meaning without --n-seeds")
    n_seeds = make_config(SeedsConfig, seeds).n_seeds or 1
    config = resolve_new(given["env_id"], {n: v for n, v in given.items() if n != "env_id"})
    from ars.cli.dry_run import print_plan

    with hosting():
        print_plan(config, given, from_file, n_seeds)


if __name__ == "__main__":
    main()
