"""What a page is made of: plain records that its template shows, every text escaped there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple


class Tile(NamedTuple):
    """A figure that stands out: its value, what it is, and a word on it."""

    value: str
    name: str
    detail: str = ""


@dataclass(frozen=True)
class Table:
    """A table; the cells after the first of a row are numbers.

    Attributes:
        heads: of the columns.
        rows: their cells.
        marked: the row to point out; None for none.
        note: a sentence below it.
    """

    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    marked: int | None = None
    note: str = ""


class SettingRow(NamedTuple):
    """A setting of a run: its value, its default, where the value comes from, what it does."""

    name: str
    value: str
    default: str
    origin: str
    help: str
    differs: bool


class Stop(NamedTuple):
    """A place on the slider: the part of the film that it shows, in seconds, and its text."""

    start: float
    end: float
    text: str


@dataclass
class Pictures:
    """How a policy looks: pictures and films as data URIs, empty where they were not drawn.

    Attributes:
        moments: pictures from a whole episode.
        video: the first seconds of the episode.
        caption: what `moments` and `video` show.
        film: the policies of the training, one after the other.
        stops: where each of them is in the film.
        notes: why something was not drawn.
    """

    moments: list[str] = field(default_factory=list)
    video: str = ""
    caption: str = ""
    film: str = ""
    stops: list[Stop] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Weights:
    """What a policy consists of: sentences, and of a linear one or a table a figure (`svg`)."""

    sentences: list[str]
    figure: str = ""
    heading: str = "Weights"


@dataclass(frozen=True)
class Section:
    """Runs that differ in their seed alone.

    Attributes:
        heading: the environment, and what tells the runs from others on the page.
        sentences: what was trained and what came of it.
        tiles: the figures that stand out.
        facts: names and values.
        seeds: a row a run; None for one run.
        evaluations: by run, with a caption.
        settings: of the first run.
        shown: which policy the rest of the section is about.
        weights: what it consists of; None where there is none yet.
        pictures: how it looks.
    """

    heading: str
    sentences: list[str]
    tiles: list[Tile]
    facts: list[tuple[str, str]]
    seeds: Table | None
    evaluations: list[tuple[str, Table]]
    settings: list[SettingRow]
    shown: str
    weights: Weights | None
    pictures: Pictures


@dataclass(frozen=True)
class Page:
    """Everything on a page.

    Attributes:
        title: of the page.
        curve: a figure of the learning curves, an `svg` element; empty where there is none yet.
        curve_note: what its lines are.
        comparisons: tables of groups of runs by environment.
        comparison_note: what their scores are.
        sections: one a group of runs.
        notes: what is left out, ends early or stands for what.
        version: of the toolkit that made the page.
    """

    title: str
    curve: str
    curve_note: str
    comparisons: list[tuple[str, Table]]
    comparison_note: str
    sections: list[Section]
    notes: list[str]
    version: str
