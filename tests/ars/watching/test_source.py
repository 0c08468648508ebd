"""What there is to watch in a run, and how the command refuses what is none."""

from __future__ import annotations

import html
import sys
from pathlib import Path

import pytest
from hopper_runs import resume, train
from pictures import refusal

import ars.watch
from ars.common.errors import UsageError
from ars.watching.source import Source, plain


def test_a_run_is_read_as_it_grows(tmp_path: Path) -> None:
    folder = train(tmp_path / "run", "--n-iterations", "2", env="CartPole-v1")
    source = Source(str(folder), trust=False)
    assert source.look()
    assert not source.look()  # nothing new
    assert len(source.state.moments) == 3
    first, last = source.policy("at", 0), source.policy("at", 2)
    assert (first.file.training["timesteps"], last.file.training["iteration"]) == (0, 2)
    assert source.status.startswith("ended: ")
    resume(folder, "--n-iterations", "4")
    assert source.look()
    assert len(source.state.moments) == 5
    assert source.state.curve.x.size == 3
    best = source.written("best")
    (folder / "tape.bin").touch()
    assert source.look() and source.written("best") == best


def test_a_policy_by_itself_has_no_curve(cheetah: Path) -> None:
    source = Source(str(cheetah), trust=False)
    assert not source.look()
    assert source.policy("latest", 0).file.env_id == "HalfCheetah"
    assert source.status == "a policy by itself"


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no run folder, policy file or shipped policy"):
        Source(str(tmp_path / "nothing"), trust=False)


def test_without_viser_the_extra_is_named(
    cheetah: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "viser", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    status, line = refusal(ars.watch.main, [cheetah], capsys)
    assert status == 1
    assert line.startswith("error: needs viser: pip install 'ars-toolkit[watch]'")


def test_a_strangers_words_are_shown_as_they_are() -> None:
    for text in ("<script>alert(1)</script>", "{a => b}", "[x](http://y)", "**_bold_**", "a & b"):
        shown = plain(text)
        assert html.unescape(shown) == text
        assert not set("<>{}[]()*_`") & set(shown)
    assert plain("ants/ars-s0, seed 1.5") == "ants/ars-s0, seed 1.5"
