"""MkDocs hooks: add generated pages to the site, and remove links to files outside `docs/`."""

from __future__ import annotations

import dataclasses
import importlib
import re
import typing
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
ROOT_PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages from the root of the checkout, and a page of all settings."""
    pages = {name: _from_root((ROOT / source).read_text()) for source, name in ROOT_PAGES.items()}
    pages["reference/settings.md"] = _settings()
    for name, text in pages.items():
        files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Replace links to files that are not part of the site by their text."""
    return re.sub(r"\[([^\]]*)\]\(\.\./(?!reference)[^)]*\)", r"\1", markdown)


def _from_root(text: str) -> str:
    for source, name in ROOT_PAGES.items():
        text = text.replace(f"]({source})", f"]({name})")
    text = text.replace("](docs/", "](")
    return re.sub(r"\[([^\]]*)\]\(LICENSE\)", r"\1", text)


def _settings() -> str:
    from ars.cli.parser import with_flags
    from ars.evaluate import EvaluateConfig
    from ars.exporting.settings import ExportConfig
    from ars.rendering.film import RenderConfig
    from ars.reporting.config import ReportConfig
    from ars.results.plot_config import PlotConfig
    from ars.training.config import RunConfig, TaskConfig, WorkerConfig
    from ars.tuning.config import TuneConfig
    from ars.verify import VerifyConfig
    from ars.watch import WatchConfig

    imports = importlib.import_module("ars.import").ImportConfig  # a keyword of Python's
    parts = [
        "# Settings",
        "All settings from `--help` on one page. In Python, a setting is a keyword argument of the "
        "same name, with underscores.",
    ]
    for title, kind in {
        "Every training": TaskConfig,
        "Stopping, evaluation, saving": RunConfig,
        "Workers and devices": WorkerConfig,
        **{f"`--algo {name}`": config for name, config in _algorithms()},
        "`ars evaluate`": EvaluateConfig,
        "`ars render`": RenderConfig,
        "`ars plot`": PlotConfig,
        "`ars report`": ReportConfig,
        "`ars tune`": TuneConfig,
        "`ars verify`": VerifyConfig,
        "`ars watch`": WatchConfig,
        "`ars export`": ExportConfig,
        "`ars import`": imports,
    }.items():
        parts += [f"## {title}", with_flags(" ".join(str(kind.__doc__).split())), _table(kind)]
    return "\n\n".join(parts)


def _algorithms() -> list[tuple[str, Any]]:
    from ars.algorithms import ALGORITHMS

    return [(name, algorithm.Config) for name, algorithm in ALGORITHMS.items()]


def _table(kind: Any) -> str:
    from ars.cli.parser import flag_name, with_flags
    from ars.common.settings import plain_type

    hints = typing.get_type_hints(kind)
    rows = ["| setting | type | default | |", "|---|---|---|---|"]
    for field in dataclasses.fields(kind):
        kind_of = plain_type(hints[field.name])
        items = typing.get_args(kind_of)
        shown = f"{items[0].__name__} …" if items else kind_of.__name__
        default = "" if field.default in (None, ()) else f"`{field.default}`"
        choices = field.metadata.get("choices")
        text = with_flags(str(field.metadata["help"]))
        text += f": {', '.join(map(str, choices))}" if choices else ""
        cells = [f"`{flag_name(field.name)}`", f"`{shown}`", default, text]
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(rows)
