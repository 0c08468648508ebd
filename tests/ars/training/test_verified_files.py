"""`ars verify` of files that have too much or too little: more rows than the tape, or none yet."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hopper_runs import resume, train

from ars.api import RunError
from ars.training import verification
from ars.training.verification import verify_run
from ars.verify import report
from policies import FileError, read_policy, save_policy

SIX = ("--n-iterations", "6")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return train(tmp_path / "run", *SIX)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda lines: lines.insert(3, lines[3]), "two rows of one iteration"),
        (lambda lines: lines.pop(3), "has no row of iteration 3"),
        (lambda lines: lines.append(f"7{lines[6][1:]}"), "has a row of iteration 7; the tape ends"),
        (lambda lines: lines.insert(3, "3,4\n"), r"its row 3 has 2 cells, its columns are \d+"),
    ],
)
def test_rows_that_are_not_those_of_the_tape_are_found(
    change: Callable[[list[str]], object], told: str, run: Path
) -> None:
    lines = (run / "progress.csv").read_text().splitlines(keepends=True)
    change(lines)
    (run / "progress.csv").write_text("".join(lines))
    with pytest.raises((RunError, FileError), match=rf"progress\.csv: .*{told}"):
        verify_run(str(run))


def test_a_run_can_be_verified_while_it_goes_on(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = verification._Claims.of

    def read_and_go_on(folder: Path) -> verification._Claims:
        claims = read(folder)
        resume(folder, "--n-iterations", "8")
        return claims

    monkeypatch.setattr(verification._Claims, "of", read_and_go_on)
    found = verify_run(str(run), share=1.0)
    assert found.n_iterations == 8 and "6 rows of progress.csv" in found.compared


def test_a_run_that_ended_in_its_first_iteration_is_verified(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("ars.algorithms.parameter_search.ParameterSearch.iterate", interrupt)
    with pytest.raises(SystemExit):
        train(tmp_path / "run", *SIX)
    assert (tmp_path / "run/progress.csv").read_bytes() == b""
    found = verify_run(str(tmp_path / "run"))
    assert (found.n_iterations, found.compared[0]) == (0, "0 rows of progress.csv")


def test_a_forged_policy_of_before_the_tape_is_not_called_compared(run: Path) -> None:
    (run / "tape.bin").unlink()
    best = read_policy(run / "best_policy.safetensors")
    best.policy.weights = best.policy.weights + 1.0
    resume(run, "--n-iterations", "8")
    best.training["iteration"] = 0
    save_policy(run / "best_policy.safetensors", best)
    found = verify_run(str(run), share=1.0)
    assert found.uncompared == ["best_policy.safetensors (iteration 0, before the tape)"]
    assert not any("best_policy" in name for name in found.compared)
    said = report(found)
    assert "not compared: best_policy.safetensors (iteration 0, before the tape)" in said


def test_a_run_may_save_a_checkpoint_while_its_claims_are_read(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_and_go_on(path: Path) -> object:
        monkeypatch.setattr(verification, "read_policy", read_policy)
        found = read_policy(path)
        resume(run, "--n-iterations", "8")
        return found

    monkeypatch.setattr(verification, "read_policy", read_and_go_on)
    assert "the checkpoint (iteration 6)" in verify_run(str(run), share=1.0).compared
