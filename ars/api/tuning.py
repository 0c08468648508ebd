"""Search for settings from Python."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

from ars.api.training import plain
from ars.cli.search import open_search_display
from ars.common.errors import UsageError
from ars.common.host import hosting
from ars.training.given_env import check_known_elsewhere
from ars.tuning.outcome import Tuned
from ars.tuning.study import Study
from ars.tuning.trials import SilentTuneShow


def tune(
    env: str | None = None,
    *,
    run_dir: str | Path | None = None,
    resume: str | Path | None = None,
    verbose: bool = True,
    trust: bool = False,
    **settings: Any,
) -> Tuned:
    """Search for settings; each trial trains several seeds, each in a process of its own.

    Args:
        env: as for `train`, but only by name.
        run_dir: the search's folder; None: runs/ENV/tune-ALGO, numbered if taken.
        resume: the folder of a search to go on with.
        verbose: show each trial, as the command does.
        trust: as for `train`.
        **settings: those of `python -m ars.tune --help`, with underscores: `n_trials`,
            `time_budget`, `n_seeds`, `total_timesteps`, `jobs`, `algo`, `env_kwargs` (a dict) ...;
            settings of the algorithm are the same in every trial.

    Returns:
        What came of it: `best`, the complete trials, the best first; `preset`, the settings of the
        first, and `preset_file`, which `train(env, preset=...)` takes; `importances`; all `trials`.

    Raises:
        UsageError, UnknownEnvironment, UnsupportedSpace: as for `train`.
        RunError: trial after trial failed, or Optuna is not installed.
        FileError: the folder's files are damaged.
        KeyboardInterrupt: the user interrupted; trials under way are saved.

    >>> few = {"n_seeds": 1, "total_timesteps": 300, "eval_episodes": 1, "verbose": False}
    >>> found = tune("CartPole-v1", n_trials=1, n_directions=4, **few)
    >>> len(found.trials), found.preset["n_directions"], found.preset_file.name
    (1, 4, 'preset.yaml')
    """
    given = plain({name: value for name, value in settings.items() if value is not None})
    words = [f"{name}={value!r}" for name, value in given.items()]
    if run_dir is not None:
        given["run_dir"] = str(run_dir)
    with hosting():
        if resume is not None:
            given |= {} if env is None else {"env_id": env}
            call = f"ars.api.tune({', '.join([f'resume={str(resume)!r}', *words])})"
            study = Study.open(Path(resume), given, call, trust)
        elif isinstance(env, str):
            check_known_elsewhere(env)
            call = f"ars.api.tune({', '.join([repr(env), *words])})"
            study = Study.new(env, given, call)
        else:
            raise UsageError('`env`: name an environment, for example tune("HalfCheetah")')
    silent = nullcontext(SilentTuneShow())
    with open_search_display(study, str) if verbose else silent as show:
        return study.search(show, trust)
