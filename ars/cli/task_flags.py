"""Flags of what is trained, and by which algorithm: for `ars train` and `ars tune`."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

from ars.algorithms import ALGORITHMS, DEFAULT_ALGORITHM
from ars.cli.program import program
from ars.cli.values import is_number, number
from ars.cli.words import KeyValues, Several
from ars.common.settings import as_spelled
from envs.atari import VIEWS


def add_env_argument(parser: argparse._ActionsContainer) -> None:
    """Add ENV."""
    parser.add_argument(
        "env_id",
        metavar="ENV",
        nargs="?",
        default=argparse.SUPPRESS,
        help=f"a robot (HalfCheetah, Ant, Reacher ...: {program()} names all), a registered "
        "Gymnasium id (CartPole-v1) or module:Id-v0",
    )


def add_algo_flag(parser: argparse._ActionsContainer) -> None:
    """Add the flag that chooses the algorithm."""
    parser.add_argument(
        "--algo",
        type=partial(as_spelled, known=ALGORITHMS),
        choices=ALGORITHMS,
        default=argparse.SUPPRESS,
        help=f"algorithm (default: {DEFAULT_ALGORITHM})",
    )


def add_env_flags(
    parser: argparse._ActionsContainer, preset: Mapping[str, Any] = MappingProxyType({})
) -> None:
    """Add the flags of how the environment is made; `preset`: values to show."""
    words = [f"{name}={value}" for name, value in preset.get("env_kwargs", {}).items()]
    shown = f" (preset: {' '.join(words)})" if words else ""
    parser.add_argument(
        "--env-kwargs",
        metavar="K=V",
        action=KeyValues,
        default=argparse.SUPPRESS,
        help="keyword arguments for the environment, as JSON or Python spells them: hard=False "
        f"wind=0.5 map='[1, 2]'{shown}",
    )
    parser.add_argument(
        "--pixels",
        type=partial(as_spelled, known=VIEWS),
        choices=VIEWS,
        default=argparse.SUPPRESS,
        help="observations of an Atari game: atari, 4 grey frames of 84x84; pong, the difference "
        "of two frames, 80x80",
    )
    parser.add_argument(
        "--clock",
        action=Several,
        type=number,
        takes=is_number,
        metavar="HZ",
        default=argparse.SUPPRESS,
        help="add a clock to observations: sine and cosine of these frequencies",
    )
