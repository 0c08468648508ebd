"""A run in one file, with a picture of its policy and a name after what it is."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ars.common.errors import RolloutError, RunError, UsageError
from ars.common.output import check_output, free
from ars.rendering.film import RenderConfig
from ars.rendering.show import record
from ars.training.evaluation import acting
from ars.training.rebuild import chosen_policy
from ars.training.run_folder import CONFIG, read_json
from ars.training.shared_run import check_shareable, share
from ars.training.trust import check_trust
from envs import UnknownEnvironment, WrongOptions


@dataclass(frozen=True)
class Shared:
    """What was written: the file, what is in it, and why there is no picture, if there is none."""

    path: Path
    names: tuple[str, ...]
    without_picture: str = ""


def share_run(folder: Path, output: str | Path | None = None, trust: bool = False) -> Shared:
    """Write a run to one file, with a picture if its environment can be drawn.

    Args:
        folder: of the run.
        output: the file, .zip; None: named after the run, in the current folder, and
            numbered where there is such a file.
        trust: import the module that a run from elsewhere names, for the picture.

    Raises:
        UsageError: it is not a run folder or has no result yet, or the file cannot be written.
        FileError: a file of the run is damaged.
        RunError: the file cannot be written.
    """
    check_shareable(folder)  # before a picture is drawn
    config = read_json(folder / CONFIG)
    name = f"{config.get('env_id')}-{config.get('algo')}-s{config.get('seed')}.zip"
    if output is None:  # another run of the same name may have been shared here
        output = free(name.replace("/", "-").replace(":", "-"))
    path = check_output(output, ".zip")
    picture, why = None, ""
    try:
        picture = _picture(folder, trust)
    except (RunError, RolloutError, UsageError, UnknownEnvironment, WrongOptions) as error:
        why = str(error)
    return Shared(path, tuple(share(folder, path, picture)), why)


def _picture(folder: Path, trust: bool) -> bytes:
    """A sheet of the best policy at work, as PNG."""
    resolved = chosen_policy(str(folder), trust=trust)
    check_trust(resolved.path, resolved.file.env_id, resolved.file.env_kwargs, trust)
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "picture.png"
        record(partial(acting, resolved, None), RenderConfig(), path)
        return path.read_bytes()
