"""Pages about runs from Python; `ars.api` offers them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack, nullcontext
from pathlib import Path

from ars.common.output import check_output
from ars.common.settings import make_config
from ars.reporting.config import ReportConfig
from ars.results.from_python import Given, each_of
from ars.training.finished import Run
from ars.training.given_run import folder_of, training_id


def report(
    *runs: Given | Sequence[Given],
    output: str | Path = "report.html",
    pictures: bool = True,
    episodes: int | None = None,
    verbose: bool = True,
    trust: bool = False,
) -> Path:
    """Write one HTML page about runs that stands alone: curves, settings, weights, films.

    Args:
        *runs: as for `plot`.
        output: the file, .html.
        pictures: draw moments, a video and the policies of the training, which takes a while.
        episodes: how many without each input of a linear policy; 0: its weights alone; None: a few,
            if its inputs are not very many.
        verbose: print what is left out, ends early or takes a while.
        trust: import the module that a run from elsewhere names.

    Returns:
        The path of the file.

    Raises:
        UsageError: there is no such run, or the file cannot be written.
        FileError: the files of a run that was named are damaged.

    >>> from ars.api import train
    >>> run = train("CartPole-v1", n_iterations=2, seed=8, n_workers=0, verbose=False)
    >>> report(run, output="cartpole.html", pictures=False, episodes=0).name
    'cartpole.html'
    """
    from ars.reporting.make import ENDINGS, report

    values = {"pictures": pictures, "episodes": episodes}
    config, path = make_config(ReportConfig, values), check_output(output, *ENDINGS)
    tell: Callable[[str], None] = print if verbose else lambda line: None

    def working(what: str) -> nullcontext[Callable[[int], None]]:
        tell(what)
        return nullcontext(lambda total: None)

    meant = each_of(runs)
    with ExitStack() as given:
        for run in meant:
            if isinstance(run, Run) and run.env is not None:
                given.enter_context(training_id(None, run.env, run.folder))
        report([*map(folder_of, meant)], config, path, tell, working, trust)
    return path
