"""`ars train ENV --dry-run`: what would be trained, printed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ars.cli.parser import flag_name, with_flags
from ars.cli.printable import printable
from ars.common.settings import counted
from ars.common.words import duration
from ars.training.config import TrainingConfig
from ars.training.dry_run import plan


def print_plan(
    config: TrainingConfig, given: Mapping[str, Any], from_file: Mapping[str, Any], n_seeds: int
) -> None:
    """Print what a training would be.

    Args:
        config, given, from_file: as for `plan`.
        n_seeds: how many of them there would be.
    """
    found = plan(config, given, from_file)
    preset = "no preset" if config.preset is None else f"preset {config.preset}"
    lines = [f"{config.env_id}, {config.algo}, {preset}; nothing is trained", ""]
    rows = [(flag_name(row.name), row.value, row.origin) for row in found.settings]
    widths = [max(map(len, column)) for column in list(zip(*rows, strict=True))[:2]]
    for name, value, origin in rows:
        lines.append(f"  {name:<{widths[0]}}  {value:<{widths[1]}}  {origin}")
    runs = "" if n_seeds == 1 else f", one of {counted(n_seeds, 'seed')} by itself"
    players = counted(found.n_workers, "worker") if found.n_workers else "this process"
    end = "no end by timesteps" if found.seconds is None else f"about {duration(found.seconds)}"
    lines += [
        "",
        *map(with_flags, config.notes),
        found.policy,
        f"time: {end} at {found.steps_per_second:,.0f} steps/s with {players}{runs}",
        f"memory: {found.megabytes:,.0f} MB in this process"
        + (", and up to as much in each worker" if found.n_workers else ""),
    ]
    print("\n".join(printable(line) for line in lines))
