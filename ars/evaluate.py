"""`ars evaluate RUN ...`, or `python -m ars.evaluate RUN ...`: measure how good policies are.

Actions are deterministic, observation statistics are frozen, and rewards are the environment's own,
without the training shift. Episodes start from the seeds of training's final evaluation, so the
first of them repeat that evaluation exactly.
"""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ars.cli.console import progress, tell_aside
from ars.cli.exit import command
from ars.cli.parser import Parser, add_flags, add_policy_flags
from ars.cli.program import program
from ars.cli.result_stream import to_stderr
from ars.common.settings import LARGEST_SEED, counted, make_config, setting
from ars.common.words import digits, rounded

if TYPE_CHECKING:
    from ars.training.run_folder import ResolvedPolicy


@dataclass(frozen=True)
class EvaluateConfig:
    """Settings of an evaluation."""

    episodes: int = setting(100, "episodes to run", at_least=1)
    seed: int | None = setting(
        None, "seed of the episodes (default: the training run's)", at_least=0, at_most=LARGEST_SEED
    )
    stochastic: bool = setting(False, "draw actions from the policy's distribution")


def report(result: dict[str, Any]) -> str:
    """A readable summary of what `evaluate_policy` returned."""
    labels = {
        "return_mean": "mean return",
        "return_std": "deviation",
        "return_min": "minimum",
        "return_max": "maximum",
        "length_mean": "mean length",
        "flags_mean": "mean flags",
        "with_a_flag": "episodes with a flag",
        "metres_mean": "mean metres",
        "metres_per_second": "metres a second",
    }
    if "flags" in result:
        result = {**result, "with_a_flag": sum(flags > 0 for flags in result["flags"])}
    labels = {name: label for name, label in labels.items() if name in result}
    lines = [f"{result['env_id']}, {counted(result['episodes'], 'episode')}, seed {result['seed']}"]
    values = {
        name: (rounded if name.startswith("metres") else digits)(result[name], 2) for name in labels
    }
    if "with_a_flag" in values:
        values["with_a_flag"] = f"{result['with_a_flag']}"
    width = max(map(len, values.values()))
    space = max(map(len, labels.values())) + 1
    lines += [f"  {label:<{space}} {values[name]:>{width}}" for name, label in labels.items()]
    return "\n".join(lines)


def _parser() -> Parser:
    parser = Parser(
        prog=program("evaluate"),
        description="Evaluate a policy over many episodes: no noise, no shift, frozen statistics.",
    )
    add_policy_flags(parser, several=True)
    add_flags(parser, EvaluateConfig)
    parser.add_argument(
        "--json", action="store_true", help="print a JSON object for each RUN, with all returns"
    )
    return parser


@command
def main(arguments: Sequence[str]) -> None:
    """Run the command; `arguments`: those after `ars evaluate`, by default the process's."""
    args = _parser().parse_args(arguments)
    config = make_config(EvaluateConfig, vars(args))
    from ars.cli.seeds import table

    # All are checked before one is played.
    chosen = [_chosen(run, args, config) for run in args.run]
    for number, (experiment, policies) in enumerate(chosen):
        if number and not args.json:
            print()
        results = {seed: _evaluate(policies[seed], args, config) for seed in policies}
        if experiment is None:
            [result] = results.values()
            print(json.dumps(result) if args.json else report(result), flush=True)
        elif args.json:
            names = dict(zip(("env_id", "algo"), experiment, strict=True))
            print(json.dumps({**names, "seeds": results}), flush=True)
        else:
            print(f"\n{table(*experiment, results)}", flush=True)


def _chosen(
    run: str, args: Namespace, config: EvaluateConfig
) -> tuple[tuple[str, str] | None, dict[int, ResolvedPolicy]]:
    """The environment and algorithm of an experiment, and its policies by seed.

    One that is no experiment's is numbered 0.
    """
    from ars.training.experiment import is_experiment, members

    if not is_experiment(Path(run)):
        return None, {0: _policy(run, args, config)}
    env_id, algo, runs = members(Path(run), tell_aside)
    return (env_id, algo), {run.seed: _policy(str(run.folder), args, config) for run in runs}


def _policy(run: str, args: Namespace, config: EvaluateConfig) -> ResolvedPolicy:
    """The policy that a run means."""
    from ars.training.evaluation import check_evaluable
    from ars.training.rebuild import chosen_policy
    from ars.training.trust import check_trust

    resolved = chosen_policy(run, args.latest, args.at, args.trust)
    check_trust(resolved.path, resolved.file.env_id, resolved.file.env_kwargs, args.trust)
    check_evaluable(resolved, config.stochastic)
    return resolved


def _evaluate(policy: ResolvedPolicy, args: Namespace, config: EvaluateConfig) -> dict[str, Any]:
    """Evaluate a policy, after a line on it."""
    from ars.training.evaluation import evaluate_policy

    if not args.json:
        print(policy.description, flush=True)
    alone = to_stderr() if args.json else nullcontext()
    with alone, progress("evaluating", config.episodes) as advance:
        return evaluate_policy(policy, config.episodes, config.seed, config.stochastic, advance)


if __name__ == "__main__":
    main()
