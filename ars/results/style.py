"""How figures look and are written: fonts, sizes, colours for print, and the same bytes again."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from ars.common.errors import RunError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMATS = (".png", ".svg", ".pdf")

# Of Okabe and Ito (2008), "Color Universal Design": told apart by the colour-blind. Their yellow is
# too light for a line on white paper.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
# Of a length that shares no factor with that of the colours, so that 28 pairs differ.
DASHES = ("solid", (0, (4, 1.2)), (0, (4, 1.2, 1, 1.2)), (0, (1, 1.2)))

GREY = "#595959"

_STYLE: dict[str, Any] = {
    "figure.constrained_layout.use": True,
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "text.parse_math": False,  # a name may hold a dollar
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.xmargin": 0.01,
    "axes.grid": True,
    "grid.color": "#E4E4E4",
    "grid.linewidth": 0.5,
    "lines.linewidth": 1.4,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "legend.handlelength": 2.6,
    "savefig.dpi": 300,
    "pdf.fonttype": 42,  # TrueType: conferences refuse Type 3 fonts
    "svg.hashsalt": "ars",  # for ids that are the same each time
}
# Without the date, that the same figure is written as the same bytes.
_OPTIONS: dict[str, dict[str, Any]] = {
    ".svg": {"metadata": {"Date": None}},
    ".pdf": {"metadata": {"CreationDate": None}},
    # Half the time of Pillow's own level for a tenth more bytes; the picture is the same.
    ".png": {"pil_kwargs": {"compress_level": 3}},
}


@contextmanager
def print_style() -> Iterator[None]:
    """Draw in the style for print in the block, whatever the user's own settings of matplotlib."""
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # its first start says so, at length
    try:
        import matplotlib
    except ImportError as error:  # an older installation of the toolkit
        raise RunError(f"figures need matplotlib ({error}): pip install matplotlib") from None
    with matplotlib.rc_context(), warnings.catch_warnings():
        # A sign that the font lacks is seen as an empty box.
        warnings.filterwarnings("ignore", message="Glyph")
        matplotlib.rcdefaults()
        settings: Any = matplotlib.rcParams  # whose names are types of their own
        settings.update(_STYLE)
        yield


def write(figure: Figure, path: Path | IO[bytes], ending: str) -> None:
    """Write a figure in the format of a file's ending, one of `FORMATS`. Raises: OSError."""
    options = _OPTIONS[ending.lower()]
    figure.savefig(path, format=ending.lower().removeprefix("."), **options)


def text_width(text: str) -> float:
    """The width in inches of a text in the size of ticks, within `print_style`."""
    from matplotlib import rcParams
    from matplotlib.textpath import TextPath

    width = TextPath((0, 0), text, size=rcParams["xtick.labelsize"]).get_extents().width
    return float(width) / 72


def compact(number: float) -> str:
    """A number as axes have it: `1.5M`, `500k`, `0.02`."""
    for unit, letter in ((10**9, "B"), (10**6, "M"), (10**3, "k")):
        if abs(number) >= unit:
            return f"{number / unit:.6g}{letter}".replace("-", "\N{MINUS SIGN}")
    return f"{number:.6g}".replace("-", "\N{MINUS SIGN}")


def thousands(number: float) -> str:
    """A number with commas, `2,925`, `0.5`; from a million on as `compact` has it."""
    if abs(number) >= 10**6:
        return compact(number)
    return f"{number:,.10g}".replace("-", "\N{MINUS SIGN}")
