"""`python -m ars.evaluate RUN`: how good a policy is, over many episodes.

The policy takes its best actions with frozen statistics, and rewards are the environment's own,
without the training shift. Episodes start from the seeds of training's final evaluation, so the
first of them repeat that evaluation exactly.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ars.cli.console import progress
from ars.cli.exit import reporting
from ars.cli.parser import Parser, add_flags
from ars.common.errors import RunError, UsageError
from ars.common.settings import counted, make_config, setting

if TYPE_CHECKING:
    from ars.training.run_folder import ResolvedPolicy


@dataclass(frozen=True)
class EvaluateConfig:
    """How much to evaluate."""

    episodes: int = setting(100, "episodes to run", at_least=1)
    seed: int | None = setting(None, "seed of the episodes, else the training run's", at_least=0)
    stochastic: bool = setting(False, "draw actions from the policy's distribution")


def evaluate(
    found: ResolvedPolicy, episodes: int, seed: int | None = None, stochastic: bool = False
) -> dict[str, Any]:
    """Run episodes and return what they gave, ready for JSON.

    `return_std` is the population deviation of the episodes' returns (divided by n), as
    Stable-Baselines3's `evaluate_policy` reports it; `seed` is the training run's if None;
    `stochastic` draws actions from the policy's distribution.
    Raises: UsageError where it has none; RunError or RolloutError where an episode fails or is
    not finite.
    """
    from ars.common.seeding import Stream
    from ars.common.statistics import summarize_returns
    from ars.rollout.task import Snapshot, Task, describe
    from ars.training.evaluation import acting

    policy = found.file.policy
    if stochastic and policy.spec.distribution == "none":
        raise UsageError(
            f"--stochastic: {found.path} has no distribution of actions; it was trained by "
            f"{found.file.training.get('algo', 'ars')}, which always takes the best"
        )
    snapshot = Snapshot(policy.weights, policy.normalizer)
    returns, lengths = [], []
    with (
        acting(found, seed, stochastic=stochastic) as rollouts,
        progress("evaluating", episodes) as count,
    ):
        for index in range(episodes):
            task = Task(Stream.FINAL_EVALUATION, 0, index)
            [episode] = rollouts.run(snapshot, [task])
            if episode.fault is not None:
                raise RunError(f"{describe(rollouts.spec, task)}: {episode.fault}")
            returns.append(episode.total_reward)
            lengths.append(episode.length)
            count()
        seed = rollouts.spec.seed
    return {
        "env_id": found.file.env_id,
        "policy": str(found.path),
        "iteration": found.file.training.get("iteration"),
        "seed": seed,
        "stochastic": stochastic,
        "episodes": episodes,
        **summarize_returns(returns, lengths),
        "returns": returns,
        "lengths": lengths,
    }


def report(result: dict[str, Any]) -> str:
    """The summary that people read, from what `evaluate` returned."""
    labels = {
        "return_mean": "mean return",
        "return_std": "deviation",
        "return_min": "minimum",
        "return_max": "maximum",
        "length_mean": "mean length",
    }
    lines = [f"{result['env_id']}, {counted(result['episodes'], 'episode')}, seed {result['seed']}"]
    values = {name: f"{result[name]:,.2f}" for name in labels}
    width = max(map(len, values.values()))
    lines += [f"  {label:<12}  {values[name]:>{width}}" for name, label in labels.items()]
    return "\n".join(lines)


def _parser() -> Parser:
    parser = Parser(
        prog="python -m ars.evaluate",
        description="Evaluate a policy over many episodes: no noise, no shift, frozen statistics.",
    )
    parser.add_argument("run", metavar="RUN", help="run folder, policy file or shipped policy")
    add_flags(parser, EvaluateConfig)
    parser.add_argument("--json", action="store_true", help="print one JSON object, all returns")
    parser.add_argument(
        "--latest", action="store_true", help="a run folder's latest policy instead of its best"
    )
    return parser


@reporting()
def main(argv: Sequence[str] | None = None) -> None:
    """Run the command; `argv` as after `python -m ars.evaluate`."""
    args = _parser().parse_args(argv)
    config = make_config(EvaluateConfig, vars(args))
    from ars.training.run_folder import find_policy

    found = find_policy(args.run, args.latest)
    if not args.json:
        print(found.description)
    result = evaluate(found, config.episodes, config.seed, config.stochastic)
    print(json.dumps(result) if args.json else report(result))


if __name__ == "__main__":
    main()
