"""One file that holds a run: written for others, and read without running anything in it."""

from __future__ import annotations

import atexit
import functools
import io
import json
import lzma
import os
import re
import shlex
import shutil
import tempfile
import zipfile
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any

import envs
from ars.algorithms import ALGORITHMS
from ars.common.errors import UsageError, short_message
from ars.common.output import replacing
from ars.common.shell import quoted
from ars.common.shipped import shipped
from ars.training.run_folder import (
    BEST_POLICY,
    CONFIG,
    EVALUATIONS,
    LATEST_POLICY,
    PROGRESS,
    RESULT,
    TAPE,
    one_of_those_in,
    read_json,
    without_folder,
)
from policies import FileError
from policies.file import json_bytes, read_plain

# What is taken out of a file: nothing else in it is looked at.
FILES = (CONFIG, RESULT, BEST_POLICY, LATEST_POLICY, TAPE, PROGRESS, EVALUATIONS)
CARD, PICTURE = "README.md", "picture.png"
LARGEST = 2**31  # bytes, unpacked
SHIPPED_ALONE = "shipped:"  # before the name of a shipped policy
_BROKEN = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError),
    *(NotImplementedError, RuntimeError, ValueError),
)
# The folders of an absolute path, up to its last name.
_FOLDERS = re.compile(r"""(?<=')[~/][^']*/|(?<=")[~/][^"]*/|(?<![\w.:/'"])[~/]\S*/(?=\S)""")
_APOSTROPHE = "'\"'\"'"  # within a word that is quoted for a shell
_WHEN = (1980, 1, 1, 0, 0, 0)  # the same run gives the same bytes at any time


def check_shareable(folder: Path) -> None:
    """Raises: UsageError unless it is a run folder that has a result."""
    needed = {
        CONFIG: "not a run folder",
        RESULT: "has no result yet",
        BEST_POLICY: "has no policy",
    }
    for name, what in needed.items():
        if not (folder / name).is_file():
            instead = one_of_those_in(folder) if name == CONFIG else ""
            raise UsageError(f"`run` {folder}: {what} (no {name} in it){instead}")


def _without_folders(command: str) -> str:
    """A command, with the last names alone of its absolute paths."""
    try:
        words = shlex.split(command) if _APOSTROPHE in command else []
    except ValueError:  # it was not quoted for a shell
        words = []
    if not words:
        return _FOLDERS.sub("", command)
    kept = []
    for word in words:
        name, equals, value = word.partition("=") if word.startswith("-") else ("", "", word)
        if value.startswith(("/", "~")):
            value = value.rstrip("/").rpartition("/")[2]
        kept.append(f"{name}{equals}{value}")
    return shlex.join(kept)


def share(folder: Path, output: Path, picture: bytes | None = None) -> list[str]:
    """Write a run to one file, with a card that describes it.

    Of absolute paths in its commands, and of its preset and start, only the last name is kept: the
    folders before it are nobody else's business.

    Args:
        folder: of the run.
        output: the file.
        picture: a PNG for the card; None for none.

    Returns:
        The names of what is in the file.

    Raises:
        UsageError: as for `check_shareable`.
        FileError: a file in it is damaged.
        RunError: the file cannot be written.
    """
    check_shareable(folder)
    contents = {name: read_plain(folder / name) for name in FILES if (folder / name).is_file()}
    if picture is not None:
        contents[PICTURE] = picture
    config, result = read_json(folder / CONFIG), read_json(folder / RESULT)
    for name in ("preset", "init_from"):
        if isinstance(place := config.get(name), str):
            config[name] = without_folder(place)
    try:
        contents[CARD] = card(config, result, list(contents), output.name).encode()
    except (KeyError, TypeError, ValueError) as error:
        what = f"no {error}" if isinstance(error, KeyError) else short_message(error)
        raise FileError(f"{folder}: {CONFIG} or {RESULT} is damaged ({what})") from None
    if isinstance(commands := config.get("commands"), list):
        config["commands"] = [_without_folders(str(command)) for command in commands]
    contents[CONFIG] = json_bytes(config)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(contents):
            archive.writestr(zipfile.ZipInfo(name, _WHEN), contents[name], zipfile.ZIP_DEFLATED)
    with replacing(output) as temporary:
        temporary.write_bytes(packed.getvalue())
    return sorted(contents)


def card(config: dict[str, Any], result: dict[str, Any], names: list[str], file: str) -> str:
    """A model card in Markdown, with the metadata that model hubs read.

    Args:
        config: config.json.
        result: result.json.
        names: what there is besides.
        file: the name of the shared file.
    """
    env_id, algo, final = config["env_id"], config["algo"], result["final_evaluation"]
    mean, deviation = final["return_mean"], final["return_std"]
    is_deep = not ALGORITHMS[algo].trains_in_pool and "hidden_sizes" in config["config"]
    metadata = {
        "library_name": "ars-toolkit",
        "tags": [
            env_id,
            algo,
            "reinforcement-learning",
            *(("deep-reinforcement-learning",) if is_deep else ()),
        ],
        "model-index": [
            {
                "name": algo.upper(),
                "results": [
                    {
                        "task": {
                            "type": "reinforcement-learning",
                            "name": "reinforcement-learning",
                        },
                        "dataset": {"name": env_id, "type": env_id},
                        "metrics": [
                            {
                                "type": "mean_reward",
                                "value": f"{mean:.2f} +/- {deviation:.2f}",
                                "name": "mean_reward",
                                "verified": False,
                            }
                        ],
                    }
                ],
            }
        ],
    }
    front = "\n".join(f"{name}: {json.dumps(value)}" for name, value in metadata.items())
    rows = {
        "return": f"{mean:,.2f} ± {deviation:,.2f} over {final['episodes']} new episodes, worst "
        f"{final['return_min']:,.2f}",
        **{
            name: f"{final[f'{name}_mean']:,.1f}"
            for name in ("flags", "metres")
            if f"{name}_mean" in final
        },
        "training": f"{result['timesteps']:,} timesteps, {result['episodes']:,} episodes, "
        f"{result['iterations']:,} iterations",
        "seed": str(config["seed"]),
        "preset": str(config["preset"]),
    }
    table = "\n".join(f"| {name} | {value} |" for name, value in rows.items())
    picture = f"\n![The policy at work]({PICTURE})\n" if PICTURE in names else ""
    file = quoted(file)
    verify = f"python -m ars.verify {file}   # every policy from its tape\n" * (TAPE in names)
    settings = json.dumps(config["config"], indent=2)
    return f"""---
{front}
---

# {algo.upper()} on {env_id}
{picture}
| | |
|---|---|
{table}

```bash
python -m ars.evaluate {file}
python -m ars.render {file}
{verify}python -m ars.train --config {file}   # the same training again
```

<details><summary>Settings</summary>

```json
{settings}
```

</details>
"""


def shipped_file(run: str) -> Path | None:
    """The shared file of a RUN that is the name of a shipped policy; None for any other.

    What stands in the working folder comes first, but not after `shipped:`.
    """
    name = run.removeprefix(SHIPPED_ALONE)
    if ":" in name or os.sep in name:  # a colon would import a module
        return None
    if name == run and Path(run).exists():
        return None
    with suppress(envs.UnknownEnvironment):
        name = envs.canonical_name(name)
    return shipped().get(name)


def unpacked(run: str) -> str:
    """The folder of a RUN that is a shared file, unpacked for as long as this process lives.

    So for the name of a shipped policy. Any other RUN is returned as it is.

    Raises:
        FileError: the file is damaged, or holds no run.
    """
    path = shipped_file(run) or Path(run)
    if path.suffix.lower() != ".zip" or not path.is_file():
        return run
    return str(_unpack(path.resolve(), path.stat().st_mtime_ns))


@functools.cache
def _unpack(path: Path, _changed: int) -> Path:
    place = Path(tempfile.mkdtemp(prefix="ars-shared-"))  # which only this user can enter
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    folder = place / path.name
    folder.mkdir()
    try:
        with zipfile.ZipFile(io.BytesIO(read_plain(path, LARGEST))) as archive:
            members = {info.filename: info for info in archive.infolist()}
            if CONFIG not in members:
                raise FileError(f"{path}: holds no run (no {CONFIG} in it)")
            left = LARGEST
            for name in FILES:
                if name in members:
                    with archive.open(members[name]) as file:
                        content = file.read(left + 1)
                    left -= len(content)
                    if left < 0:
                        raise FileError(f"{path}: of more than {LARGEST:,} bytes, unpacked")
                    (folder / name).write_bytes(content)
    except _BROKEN as error:
        if isinstance(error, FileError):
            raise
        raise FileError(f"{path}: cannot be read ({short_message(error)})") from None
    return folder
