"""The settings of `ars report`."""

from __future__ import annotations

from dataclasses import dataclass

from ars.common.settings import setting


@dataclass(frozen=True)
class ReportConfig:
    """What to show of runs on a page, and where to write it."""

    output: str | None = setting(
        None, "file to write, .html (default: report.html in the folder that is RUN)"
    )
    pictures: bool = setting(
        True, "moments, a video and the policies of the training, which take a while to draw"
    )
    episodes: int = setting(
        3, "episodes without each input of a linear policy; 0: its weights alone", at_least=0
    )
