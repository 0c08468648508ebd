"""The settings of `ars report`."""

from __future__ import annotations

from dataclasses import dataclass

from ars.common.settings import setting

EPISODES, MOST_INPUTS = 3, 60  # what takes seconds; that of 300 inputs takes minutes


@dataclass(frozen=True)
class ReportConfig:
    """What to show of runs on a page, and where to write it."""

    output: str | None = setting(
        None, "file to write, .html (default: report.html in the folder that is RUN)"
    )
    pictures: bool = setting(
        True, "moments, a video and the policies of the training, which take a while to draw"
    )
    episodes: int | None = setting(
        None,
        "episodes without each input of a linear policy, to find what carries it; 0: its weights "
        f"alone (default: {EPISODES}, with more than {MOST_INPUTS} inputs 0)",
        at_least=0,
    )
