"""The formats that a policy can be exported in, and the settings of an export.

For the command's help, which loads neither NumPy nor a format's packages.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ars.common.errors import UsageError
from ars.common.settings import setting


@dataclass(frozen=True)
class Format:
    """An entry of the registry.

    Attributes:
        entry_point: what writes it, as `module:function`; see `ars.exporting.formats.Writer`.
        suffix: the ending of its files.
    """

    entry_point: str
    suffix: str


FORMATS: Mapping[str, Format] = {
    "onnx": Format("ars.exporting.onnx_model:write", ".onnx"),
    "torch": Format("ars.exporting.torch_program:write", ".pt2"),
    "npz": Format("ars.exporting.npz:write", ".npz"),
    "c": Format("ars.exporting.c_header:write", ".h"),
}


@dataclass(frozen=True)
class ExportConfig:
    """Settings of an export."""

    format: str | None = setting(
        None, "what to write (default: what the ending of `output` says)", choices=tuple(FORMATS)
    )
    output: str | None = setting(None, "file to write (default: named after the environment)")


def chosen_format(config: ExportConfig) -> str:
    """The format asked for. Raises: UsageError where none is, or two are."""
    endings = {entry.suffix: name for name, entry in FORMATS.items()}
    given = None if config.output is None else Path(config.output)
    by_ending = None if given is None else endings.get(given.suffix.lower())
    if config.format is None:
        if by_ending is not None:
            return by_ending
        if given is not None:
            raise UsageError(
                f"`output` {given}: must end in {', '.join(endings)}, or come with a `format`"
            )
        raise UsageError(f"`format`: choose one of {', '.join(FORMATS)}")
    suffix = FORMATS[config.format].suffix
    if given is not None and given.suffix.lower() != suffix:
        raise UsageError(f"`output` {given}: of `format` {config.format} it must end in {suffix}")
    return config.format


def default_output(env_id: str, format: str) -> str:
    """The default name of a file."""
    name = env_id.rpartition(":")[2].replace("/", "-") or "policy"
    return name + FORMATS[format].suffix
