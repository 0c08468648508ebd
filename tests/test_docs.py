"""What README and docs show works: files are written, blocks are run, a page from top to bottom.

Trainings are cut short (`SHORTER`, `SMALLER`). What cannot be run here is in `NOT_RUN`, with the
reason; a command of the toolkit or a script among it is parsed, by its own parser.
"""

from __future__ import annotations

import argparse
import importlib
import os
import re
import runpy
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import gymnasium
import pytest
from pages import PAGES, Block, blocks, commands, write
from paths import ROOT

# Commands by how they begin. The toolkit's own (`ars`, `scripts/`) are parsed all the same.
NOT_RUN = {
    "python scripts/": "takes minutes to hours",
    **dict.fromkeys(
        (
            "python -m ars.train HalfCheetah-v5 --n-seeds",
            "python -m ars.train CartPole-v1 --algo ppo --n-seeds",
            "python -m ars.train HumanoidFlagrunHarder",
            "python -m ars.train LQR --n-seeds",
            "python -m ars.train ObstacleCar --algo dqn --n-seeds",
            "python -m ars.train ObstacleCar --algo reinforce --n-seeds",
            "python -m ars.train ObstacleCar --algo actor-critic --n-seeds",
            "python -m ars.train ObstacleCar --n-seeds",
        ),
        "like another that is run",
    ),
    "python -m ars.train HalfCheetah --track": "needs a package that the tests do without",
    "trackio ": "serves until it is ended",
    "python -m ars.train Ant --ray-address": "needs a cluster",
    "ray ": "needs a cluster",
    "scp ": "needs a cluster",
    "chmod ": "changes the rights of files of the user",
    "mkdir -p ~/.ray": "makes a folder of the user's",
    "export ": "sets a variable in the reader's shell",
    "pip install -e": "the set-up, which .ci/run does",
    "pip ": "changes the environment",
    "python3.11 -m venv": "the set-up, which .ci/run does",
    "source ": "sets variables in the reader's shell",
    "python -m pytest": "the tests themselves",
    "make ": "what .ci/run calls",
    "pre-commit ": "changes the checkout",
}

# Added to the words of a command; of a flag given twice the last one counts.
SHORTER = {
    "train": [
        *("--n-iterations", "1", "--eval-episodes", "1"),
        *("--rollout-length", "50", "--eval-length", "50"),
    ],
    "evaluate": ["--episodes", "1"],
    "render": ["--width", "64", "--height", "48"],
    "tune": [
        *("--n-trials", "1", "--n-seeds", "1", "--n-directions", "4"),
        *("--total-timesteps", "100", "--eval-episodes", "1"),
    ],
    "report": ["--no-pictures", "--episodes", "0"],
}

CUT = "episodes are cut"  # how the warning begins that these lengths are shorter than the world's

# The same in Python.
SMALLER = {
    r"\bn_trials=\d+, n_seeds=\d+, total_timesteps=[\d_]+": "n_trials=1, n_seeds=1, "
    "total_timesteps=+100, eval_episodes=1, n_directions=4",
    r"\btotal_timesteps=[\d_]+": "n_iterations=1, eval_episodes=1, "
    "rollout_length=50, eval_length=50, n_workers=0",
    r"\bepisodes=\d+": "episodes=1",
    r"((?<!\.)\brender\([^()]*)\)": r"\1, width=64, height=48)",
}

SHOWN_ONLY = {"", "text"}  # languages of blocks that are no code
FILES = {"python", "xml", "diff", "yaml"}  # and of those that may be files, by their title
PLAYED = ("ars", "envs", "policies", "tests", "pyproject.toml")  # of a checkout, for changes to it


def reason_not_to_run(words: list[str]) -> str | None:
    start = start_not_run(words)
    return None if start is None else NOT_RUN[start]


def start_not_run(words: list[str]) -> str | None:
    line = " ".join(words) + " "
    return next((start for start in NOT_RUN if line.startswith(start)), None)


def command_of(words: list[str]) -> tuple[str, list[str]] | None:
    """The toolkit's command in a line (`train`; empty for the overview), and its arguments."""
    if words[0] == "ars":
        words = ["python", "-m", *words]
    if words[:2] != ["python", "-m"] or words[2].partition(".")[0] != "ars":
        return None
    name, arguments = words[2].partition(".")[2], words[3:]
    if not name and arguments:
        name, *arguments = arguments
    return name, arguments


def shorter(name: str, arguments: list[str]) -> list[str]:
    added = [] if "--help" in arguments else SHORTER.get(name, [])
    if name == "tune" and "--resume" in arguments:
        added = ["--n-trials", "1"]
    if name == "render" and not any(word.endswith(".png") for word in arguments):
        added = ["--speed", "100", *added]  # fewer pictures
    if name == "train" and added:
        if "--resume" in arguments:
            added = ["--n-iterations", "2", *added[2:4]]
        if "--n-seeds" in arguments:
            added = [*added, "--n-seeds", "2"]
        if "--n-workers" not in arguments:
            added = [*added, "--n-workers", "0"]
    return [*arguments, *added]


def run_toolkit(name: str, arguments: list[str]) -> None:
    """Call a command as `python -m ars.NAME` does. Raises: SystemExit where it fails."""
    module = importlib.import_module(f"ars.{name or '__main__'}")
    try:
        module.main(shorter(name, arguments))
    except SystemExit as end:
        if end.code:
            raise


def run(words: list[str], folder: Path, changed: bool) -> None:
    """Run a line in the current folder, `folder`, or where it is a changed checkout with its code.

    Only what a change needs gets a process of its own, which costs seconds.
    """
    found = command_of(words)
    if found is not None and not changed:
        run_toolkit(*found)
        return
    if found is not None:
        name, arguments = found
        words = ["python", "-m", f"ars.{name}" if name else "ars", *shorter(name, arguments)]
    assert words[0] == "python", f"{' '.join(words)}: neither run nor listed in NOT_RUN"
    alone = ["--numprocesses=0"] if words[1:3] == ["-m", "pytest"] else []
    run_process([sys.executable, *words[1:], *alone], folder)


def run_process(words: list[str], folder: Path) -> None:
    done = subprocess.run(
        words,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert done.returncode == 0, done.stdout


class Parsed(Exception):
    """A parser took its words."""


def parse(words: list[str], patch: pytest.MonkeyPatch) -> None:
    """Hold a line against the parser of the command or script in it, and stop there."""
    parse_args = argparse.ArgumentParser.parse_args

    def parse_and_stop(parser: argparse.ArgumentParser, *given: object) -> None:
        parse_args(parser, *given)  # type: ignore[call-overload]
        raise Parsed

    patch.setattr(argparse.ArgumentParser, "parse_args", parse_and_stop)
    known = set(gymnasium.registry)
    try:
        if (found := command_of(words)) is not None:
            importlib.import_module(f"ars.{found[0]}").main(found[1])
        else:
            patch.setattr(sys, "argv", words[1:])
            patch.syspath_prepend(ROOT / "scripts")
            runpy.run_path(str(ROOT / words[1]), run_name="__main__")
    except Parsed:
        return
    finally:
        for name in gymnasium.registry.keys() - known:  # a script may be run again
            del gymnasium.registry[name]
    raise AssertionError(f"{' '.join(words)}: no parser took its words")


def page_name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.fixture(scope="session")
def first_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a reader who did the first thing: `runs` with a short training in it."""
    folder = tmp_path_factory.mktemp("reader")
    before = Path.cwd()
    os.chdir(folder)
    try:
        run_toolkit("train", ["HalfCheetah"])
    finally:
        os.chdir(before)
    return folder / "runs"


@pytest.fixture
def reader(first_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current folder of somebody who does what a page says."""
    shutil.copytree(first_run, tmp_path / "runs")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    loaded = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - loaded:
        if Path(getattr(sys.modules[name], "__file__", None) or "/").is_relative_to(tmp_path):
            del sys.modules[name]


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_a_page_works_from_top_to_bottom(page: Path, reader: Path) -> None:
    todo = blocks(page)
    changed = any(block.language == "diff" for block in todo)
    if changed:
        for name in PLAYED:
            (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, reader / name)
    for block in todo:
        if block.title is not None:
            assert block.language in FILES, block
            write(block, reader)
        elif block.language == "python":
            warnings = ["-W", "error", "-W", f"ignore:{CUT}:RuntimeWarning"]
            run_process([sys.executable, *warnings, "-c", smaller(block)], reader)
        elif block.language in ("bash", "console"):
            for words in commands(block):
                if reason_not_to_run(words) is None or (changed and words[0] == "python"):
                    run(words, reader, changed)
        else:
            assert block.language in SHOWN_ONLY, f"{block}: {block.language} is never run"


def smaller(block: Block) -> str:
    text = block.text
    for pattern, replacement in SMALLER.items():
        text = re.sub(pattern, replacement, text)
    return text


def ours(words: list[str]) -> list[str]:
    """The toolkit's command or script in a line, also behind `ray job submit … --`; or nothing."""
    words = words[words.index("--") + 1 :] if "--" in words else words
    script = words[0] == "python" and words[1].startswith("scripts/")
    return words if script or command_of(words) is not None else []


NOT_RUN_OF_OURS = {
    " ".join(words): words
    for page in PAGES
    for block in blocks(page)
    if block.language in ("bash", "console")
    for line in commands(block)
    if reason_not_to_run(line) is not None and (words := ours(line))
}


@pytest.mark.parametrize("line", NOT_RUN_OF_OURS)
def test_a_command_that_is_not_run_is_understood(
    line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    parse(NOT_RUN_OF_OURS[line], monkeypatch)


def test_what_is_not_run_stands_on_a_page() -> None:
    used = {
        start_not_run(words)
        for page in PAGES
        for block in blocks(page)
        if block.language in ("bash", "console")
        for words in commands(block)
    }
    assert [start for start in NOT_RUN if start not in used] == []


def test_a_wrong_flag_on_a_page_would_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SystemExit):
        parse(["python", "-m", "ars.train", "Ant", "--ray-adress", "auto"], monkeypatch)


def test_what_the_set_up_commands_are_stands_at_the_top() -> None:
    first, second = [block for block in blocks(ROOT / "README.md") if block.language == "bash"][:2]
    assert first.text == "pip install -e . && python -m ars.train HalfCheetah\n"
    assert second.text == 'pip install -e ".[test]" && python -m pytest\n'


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 100


LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)\s]*)?\)")
CODE = re.compile(r"^( *)```.*?^\1```$", re.DOTALL | re.MULTILINE)
OF_THE_SITE = {"settings.md"}  # pages that the site makes, see docs/hooks.py


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CHANGELOG.md"], ids=page_name)
def test_links_lead_to_files_that_are_there(page: Path) -> None:
    missing = [
        link
        for link in LINK.findall(CODE.sub("", page.read_text()))
        if "://" not in link and not (page.parent / link).exists() and link not in OF_THE_SITE
    ]
    assert missing == []
