"""Exports a policy: builds the file, checks it, and only then writes it."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ars.common.errors import RunError, UsageError, failures
from ars.common.output import check_output
from ars.exporting.check import N_OBSERVATIONS, check
from ars.exporting.formats import Origin, load_writer
from ars.exporting.plain import plain_policy
from envs import clock, resolve, wrapping
from envs.drawing.possible import registered_creator
from policies import PolicyFile
from policies.file import write_atomically

VECTORS = ".vectors.npz"  # the ending of the file of observations and actions beside an export


@dataclass(frozen=True)
class Export:
    """What was written: the file, what stands beside it, and in words how its actions compare and
    which of its inputs are a clock's."""

    path: Path
    beside: tuple[Path, ...]
    comparison: str
    clock: str = ""


def export_policy(file: PolicyFile, format: str, output: Path) -> Export:
    """Write a policy in another format, with test vectors beside it.

    Args:
        file: the policy and its environment's name.
        format: a key of `ars.exporting.settings.FORMATS`.
        output: the file; it is replaced if it exists.

    Raises:
        UsageError: the format cannot hold this policy, `output` cannot be written, or something
            else has the name of a file beside it.
        RunError: a program that is needed is missing, or the result does not act as the policy.
    """
    check_output(output)
    origin = Origin(output.name, file.env_id, describe(file), clock_inputs(file))
    exported = load_writer(format)(file.policy, plain_policy(file.policy), origin)
    checked = check(file.policy, exported)
    vectors = io.BytesIO()
    np.savez_compressed(vectors, observations=checked.observations, actions=checked.actions)
    files = {output.with_suffix(VECTORS): vectors.getvalue()}
    for ending, make in exported.beside.items():
        beside = output.with_name(f"{output.stem}{ending}")
        files[beside] = make(checked.observations, checked.actions)
    if not output.exists():
        _refuse_to_replace(output, files)
    try:
        for path, data in {**files, output: exported.data}.items():
            write_atomically(path, data)
    except OSError as error:
        raise RunError(f"{output}: cannot be written ({error.strerror})") from error
    comparison = (
        "to the last bit" if checked.equal else f"to {checked.difference:.1g} of their size"
    )
    return Export(
        output,
        tuple(files),
        f"equal to the policy's {comparison} for {N_OBSERVATIONS:,} observations",
        origin.clock,
    )


def _refuse_to_replace(output: Path, files: Mapping[Path, bytes]) -> None:
    """Raises: UsageError where what is to stand beside a new export is there, and something else.

    An export that is written again replaces what stands beside it too.
    """
    for path, data in files.items():
        if path.exists() and not (path.is_file() and path.read_bytes() == data):
            raise UsageError(
                f"`output` {output}: {path.name}, which would stand beside it, is there already, "
                "and something else; choose another name"
            )


def describe(file: PolicyFile) -> str:
    """`linear policy, trained by ars, seed 104, iteration 280`; without any path."""
    training, words = file.training, [f"{file.policy.spec.kind} policy"]
    if isinstance(algo := training.get("algo"), str):
        words.append(f"trained by {algo}")
    for name in ("seed", "iteration", "timesteps"):
        if isinstance(training.get(name), int):
            words.append(f"{name} {training[name]:,}")
    return ", ".join(words)


def clock_inputs(file: PolicyFile) -> str:
    """Which inputs of the policy are those of its environment's clock, and how to compute them."""
    frequencies = clock.frequencies_in(file.env_kwargs.get(clock.OPTION, []))
    if not frequencies:
        return ""
    each = ", then ".join(f"{frequency!r}" for frequency in frequencies)
    rate = _steps_per_second(file)
    divisor = "r" if rate is None else f"{rate:g}"
    return (
        f"The last {2 * len(frequencies)} of its {file.policy.spec.observation.size} inputs are "
        f"sin and cos of 2 pi f k / {divisor}, k steps after a start, f = {each}"
        + ("" if rate is not None else ", r the `render_fps` of its environment")
    )


def _steps_per_second(file: PolicyFile) -> float | None:
    """By which the clock goes; None where to know it would run code that only a file names."""
    if ":" in file.env_id or wrapping.OPTION in file.env_kwargs:
        return None
    try:
        metadata = getattr(registered_creator(resolve(file.env_id)), "metadata", {})
    except failures():  # it is not installed
        return None
    rate = metadata.get("render_fps")
    return float(rate) if isinstance(rate, int | float) else None
