"""`ars verify RUN`, or `python -m ars.verify RUN`: whether a run is what it says.

Its tape's digests are checked, every policy is rebuilt from the tape and held against the run's
files, and iterations drawn at random are played again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ars.cli.console import progress
from ars.cli.exit import reporting
from ars.cli.parser import Parser, add_flags
from ars.cli.program import program
from ars.common.settings import counted, make_config, setting

if TYPE_CHECKING:
    from ars.training.verification import Verification


@dataclass(frozen=True)
class VerifyConfig:
    """How much to play again, and where."""

    share: float = setting(
        0.01, "share of the iterations to play again, one at least", at_least=0, at_most=1
    )
    iterations: int | None = setting(
        None, "how many iterations to play again, instead of a share", at_least=0
    )
    seed: int | None = setting(
        None, "draws the iterations; by default nobody can foresee which", at_least=0
    )
    n_workers: str = setting("0", "worker processes; 0: this process, no Ray; auto: all cores")


def report(found: Verification) -> str:
    """What was checked, for people to read."""
    n, m = found.n_iterations, len(found.played)
    lines = [f"tape of {counted(n, 'iteration')}: every digest holds"]
    if found.first:
        lines.append(f"  it begins after iteration {found.first:,}; what was before is not on it")
    lines += [f"equal to what is rebuilt from it: {', '.join(found.compared)}"]
    if found.other_machine is not None:
        lines.append(f"not comparable bit for bit ({found.other_machine}): compared within a scale")
    lines.append(
        f"played again: {counted(m, 'iteration')} ({found.share:.1%}), "
        f"{counted(found.n_rollouts, 'rollout')}: "
        + ("as on the tape" if found.other_machine is None else "about as on the tape")
    )
    if m:
        some = max(2, round(n / 100))
        lines.append(
            f"would have been found: one forged iteration with probability "
            f"{found.chance_to_find(1):.1%}, {some:,} with {found.chance_to_find(some):.1%}"
        )
    return "\n".join((*lines, "verified"))


def _parser() -> Parser:
    parser = Parser(
        prog=program("verify"),
        description="Verify a run: check its tape, rebuild every policy, play iterations again.",
    )
    parser.add_argument("run", metavar="RUN", help="run folder with a tape (of ars)")
    add_flags(parser, VerifyConfig)
    return parser


@reporting()
def main(argv: Sequence[str] | None = None) -> None:
    """Run the command; `argv` as after `ars verify`. Exits with 1 where the run is not verified."""
    args = _parser().parse_args(argv)
    config = make_config(VerifyConfig, vars(args))
    from ars.training.verification import verify_run

    with progress("playing iterations again") as count:
        found = verify_run(
            args.run, config.share, config.iterations, config.seed, config.n_workers, count, print
        )
    print(report(found))


if __name__ == "__main__":
    main()
