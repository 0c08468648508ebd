"""`ars verify RUN`, or `python -m ars.verify RUN`: is a run what it claims to be?

The digests of its tape are checked, every policy is rebuilt from the tape and compared with the
run's files, and iterations drawn at random are replayed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ars.cli.console import progress
from ars.cli.exit import command
from ars.cli.parser import Parser, add_flags, add_trust_flag
from ars.cli.program import program
from ars.common.settings import LARGEST_SEED, counted, make_config, setting

if TYPE_CHECKING:
    from ars.training.verification import Verification


@dataclass(frozen=True)
class VerifyConfig:
    """How much to replay, and where."""

    share: float = setting(
        0.01,
        "share of the iterations to replay, at least one",
        above=0,
        at_most=1,
        requires={"iterations": (None,)},
    )
    iterations: int | None = setting(
        None, "number of iterations to replay, instead of a share", at_least=0
    )
    seed: int | None = setting(
        None,
        "seed for drawing the iterations (default: unpredictable)",
        at_least=0,
        at_most=LARGEST_SEED,
    )
    n_workers: str = setting("0", "worker processes; 0: this process, no Ray; auto: all cores")


def report(found: Verification) -> str:
    """What was checked, for people to read."""
    n, m, other = found.n_iterations, len(found.played), found.other_machine
    result = "identical" if other is None else "close enough"
    lines = [f"tape of {counted(n, 'iteration')}: digests match"]
    if found.first:
        lines.append(f"it begins after iteration {found.first:,}: what came before is not on it")
    if found.init_from is not None:
        lines.append(f"it began with the policy {found.init_from}, of which nothing is checked")
    if other is not None:
        lines.append(f"not comparable bit for bit ({other}): compared within a scale")
    lines.append(f"rebuilt from the tape: {result}: {', '.join(found.compared)}")
    if found.uncompared:
        lines.append(f"not compared: {', '.join(found.uncompared)}")
    if m:
        lines.append(
            f"replayed: {result}: {counted(m, 'iteration')} ({found.share:.1%}), "
            f"{counted(found.n_rollouts, 'rollout')}"
        )
    else:
        lines.append("replayed: nothing, so that nothing is known of how its rollouts were played")
    if m and other is None:
        some = max(2, round(n / 100))
        lines.append(
            f"probability of detecting forged iterations: {found.chance_to_find(1):.1%} for 1, "
            f"{found.chance_to_find(some):.1%} for {some:,}"
        )
    elif m:
        lines.append(
            "of a forged iteration this shows only a mean score that is off by more than a "
            "deviation: on the run's machine every bit counts"
        )
    return "\n".join((*lines, "verified"))


def _parser() -> Parser:
    parser = Parser(
        prog=program("verify"),
        description="Verify a run: check its tape, rebuild every policy, replay iterations.",
    )
    parser.add_argument("run", metavar="RUN", help="run folder with a tape")
    add_flags(parser, VerifyConfig)
    add_trust_flag(parser)
    return parser


@command
def main(arguments: Sequence[str]) -> None:
    """Run the command; `arguments`: those after `ars verify`, by default the process's.

    It exits with 1 where the run is not verified.
    """
    args = _parser().parse_args(arguments)
    config = make_config(VerifyConfig, vars(args))
    from ars.training.verification import verify_run

    with progress("replaying iterations") as count:
        found = verify_run(
            args.run,
            config.share,
            config.iterations,
            config.seed,
            config.n_workers,
            count,
            print,
            args.trust,
        )
    print(report(found))


if __name__ == "__main__":
    main()
