"""The toolkit from Python: `train`, `train_seeds`, `load`, `evaluate`, `render`, `verify` ...

>>> from ars.api import evaluate, load, train
>>> run = train("CartPole-v1", n_iterations=2, seed=3, n_workers=0, verbose=False)
>>> run.folder.as_posix()
'runs/CartPole-v1/ars-s3'
>>> run.progress["timesteps"].shape
(2,)
>>> policy = load("HalfCheetah")            # or a run, its folder, a policy file
>>> policy.act([0.0] * 26).shape
(6,)
>>> evaluate(run, episodes=5)["return_mean"] > 0
True

Failures are exceptions: `UsageError` for arguments that cannot be used, `UnknownEnvironment`,
`WrongOptions` and `UnsupportedSpace` for environments, `FileError` for damaged files, and
`RunError` for anything else that fails in a run. Everything here works in a notebook and in any
thread.
"""

from ars.api.exchange import export, import_policy, share
from ars.api.policies import evaluate, load, make_env, render, verify
from ars.api.training import train, train_seeds
from ars.api.tuning import tune
from ars.api.watching import watch
from ars.common.errors import RolloutError, RunError, UsageError
from ars.reporting.from_python import report
from ars.results.from_python import compare, plot, plot_weights
from ars.training.finished import Run
from envs import UnknownEnvironment, WrongOptions
from policies import FileError, UnsupportedSpace

__all__ = [
    "FileError",
    "RolloutError",
    "Run",
    "RunError",
    "UnknownEnvironment",
    "UnsupportedSpace",
    "UsageError",
    "WrongOptions",
    "compare",
    "evaluate",
    "export",
    "import_policy",
    "load",
    "make_env",
    "plot",
    "plot_weights",
    "render",
    "report",
    "share",
    "train",
    "train_seeds",
    "tune",
    "verify",
    "watch",
]
