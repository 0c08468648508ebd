"""Searches whose trainings are rehearsed, each test in a folder of its own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from rehearsed import Rehearsed

from ars.tuning import outcome, trials


@pytest.fixture(autouse=True)
def in_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def rehearsed(monkeypatch: pytest.MonkeyPatch) -> type[Rehearsed]:
    Rehearsed.reset()
    monkeypatch.setattr(trials, "Processes", Rehearsed)
    monkeypatch.setattr(outcome, "FIGURES", ())  # take longer than all else
    monkeypatch.setattr(os, "fsync", lambda handle: None)
    return Rehearsed
