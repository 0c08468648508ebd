"""The settings of `ars plot`."""

from __future__ import annotations

from dataclasses import dataclass

from ars.common.errors import UsageError
from ars.common.settings import setting

TABLE_FORMATS = ("text", "markdown", "latex", "csv")
_CURVES, _WEIGHTS = {"weights": (False,)}, {"weights": (True,)}


@dataclass(frozen=True)
class PlotConfig:
    """What to draw or print of runs, and where to."""

    output: str | None = setting(
        None, "file to write: .png, .svg or .pdf (default: a .png in the folder that is RUN)"
    )
    x: str = setting(
        "timesteps",
        "what curves run over",
        choices=("timesteps", "episodes", "time"),
        requires=_CURVES,
    )
    training: bool = setting(
        False, "returns of training's own episodes instead of evaluations", requires=_CURVES
    )
    reference: bool = setting(
        False, "a line for each published return of the environment", requires=_CURVES
    )
    table: str | None = setting(
        None,
        "print a table that compares the runs, as text unless a format is named; a figure is drawn "
        "too if `output` is given",
        choices=TABLE_FORMATS,
        requires=_CURVES,
    )
    weights: bool = setting(
        False, "draw the weights of a linear policy, and what it loses without each input"
    )
    each_weight: bool = setting(
        False, "also what it loses without each weight, which takes longer", requires=_WEIGHTS
    )
    episodes: int = setting(
        5, "episodes without each input; 0: the weights alone", at_least=0, requires=_WEIGHTS
    )
    latest: bool = setting(
        False, "a run folder's latest policy instead of its best", requires=_WEIGHTS
    )
    at: int | None = setting(
        None,
        "the policy that a run folder had after as many timesteps, from its tape",
        at_least=0,
        requires=_WEIGHTS,
    )

    def __post_init__(self) -> None:
        if self.each_weight and not self.episodes:
            raise UsageError("`each_weight`: has no meaning with `episodes` 0, which plays nothing")
