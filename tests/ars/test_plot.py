"""`ars plot`: what it writes, prints and refuses, and the same from Python."""

from __future__ import annotations

import doctest
from pathlib import Path
from typing import Any

import pytest
from pictures import Square, refusal, save
from PIL import Image
from stored_runs import store_run, store_seeds

from ars import api, plot
from ars.results import from_python


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def runs() -> Path:
    store_seeds(Path("runs"), 3, "ars")
    store_seeds(Path("runs"), 2, "ppo", algo="ppo")
    return Path("runs")


def test_the_examples_hold() -> None:
    failed, tried = doctest.testmod(from_python)
    assert failed == 0 and tried > 5


def test_a_figure_is_written_into_the_folder_that_was_given(
    runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plot.main(["runs"])
    assert capsys.readouterr() == (
        "wrote runs/learning_curves.png: 2 lines of 5 runs; lines are interquartile means over "
        "seeds, bands 95 % stratified bootstrap intervals\n",
        "",
    )
    with Image.open(runs / "learning_curves.png") as picture:
        assert picture.width == round(3.4 * 300)
    plot.main(["runs/ars-s0", "runs/ppo-s0"])
    assert Path("learning_curves.png").is_file()


@pytest.mark.parametrize("ending", [".png", ".svg", ".PDF"])
def test_the_same_runs_give_the_same_bytes(ending: str, runs: Path) -> None:
    for name in ("a", "b"):
        plot.main(["runs", "--reference", "--output", name + ending])
    first, second = (Path(name + ending).read_bytes() for name in ("a", "b"))
    assert first == second
    signs = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}
    assert first.startswith(signs[ending.lower()])


def test_a_table_stands_alone_on_stdout(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plot.main(["runs", "--table"])
    out, err = capsys.readouterr()
    assert out.splitlines()[0].startswith("CartPole-v1  runs  timesteps")
    assert err == "scores are final evaluations: the best policy of each run on new episodes\n"
    assert not list(Path().rglob("*.png"))
    plot.main(["--table", "CSV", "runs", "--output", "x.svg"])
    out, err = capsys.readouterr()
    assert out.startswith("env_id,label,n_runs,") and len(out.splitlines()) == 3
    assert "wrote x.svg" in err


def test_a_shipped_run_is_no_format(capsys: pytest.CaptureFixture[str]) -> None:
    plot.main(["--table", "hopper"])
    assert "Hopper" in capsys.readouterr().out


@pytest.mark.parametrize("words", [["--table", "runs"], ["--table=text", "runs"]])
def test_a_table_without_a_format_is_text(
    words: list[str], runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plot.main(words)
    assert capsys.readouterr().out.startswith("CartPole-v1  runs")


def test_weights_of_a_policy_file(capsys: pytest.CaptureFixture[str]) -> None:
    save(Path("square.safetensors"))
    plot.main(["square.safetensors", "--weights", "--episodes", "1", "--each-weight"])
    out, err = capsys.readouterr()
    first, second, last = out.splitlines()
    assert first == "policy file square.safetensors (iteration 7, 12,345 timesteps)"
    assert second.startswith("mean return ")
    assert (last, err) == ("wrote weights.png", "")
    plot.main(["HalfCheetah", "--weights", "--episodes", "0", "--output", "w.pdf"])
    assert len(capsys.readouterr().out.splitlines()) == 2


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        ([], 2, "the following arguments are required: RUN"),
        (["nowhere"], 2, "RUN nowhere: there is no run folder of that name"),
        (["HalfCheta"], 2, "RUN HalfCheta: there is no run folder of that name"),
        (["runs", "--output", "x.jpg"], 2, "--output x.jpg: must end in .png, .svg, .pdf"),
        (["runs", "--output", "no/x.png"], 2, "--output no/x.png: there is no folder no"),
        (["runs", "--output", "runs.png"], 2, "--output runs.png: is a folder"),
        (["runs", "--x", "step"], 2, "--x step: must be one of timesteps, episodes, time"),
        (["runs", "--table", "--weights"], 2, "--table text: has no meaning with --weights"),
        (["runs", "--each-weight"], 2, "--each-weight: has no meaning without --weights"),
        (["runs", "--episodes", "3"], 2, "--episodes 3: has no meaning without --weights"),
        (["runs", "runs", "--weights"], 2, "--weights: shows one policy; give one RUN"),
        (["runs", "--weights"], 2, "RUN runs: a folder without best_policy.safetensors"),
        (["runs", "--table", "html"], 2, "--table html: must be one of text, markdown, latex, csv"),
        (["--table", "no/runs"], 2, "RUN no/runs: there is no run folder of that name"),
        (["runs", "--table", "--training"], 2, "--training: is of a figure; --table alone draws"),
        (["runs", "--table", "--x", "time"], 2, "--x: is of a figure; --table alone draws none"),
        (["HalfCheetah", "--weights", "--each-weight", "--episodes", "0"], 2, "--each-weight: has"),
        (["runs", "--tabel"], 2, "unknown argument --tabel (did you mean --table"),
    ],
)
def test_wrong_words(
    words: list[str], status: int, told: str, runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("runs.png").mkdir()
    found, line = refusal(plot.main, words, capsys)
    assert (found, line.startswith(f"error: {told}")) == (status, True), line
    assert not [path for path in Path().rglob("*.png") if path.is_file()]
    assert not list(Path().rglob(".*.png.*"))


def test_a_figure_that_fails_leaves_the_one_before(
    runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plot.main(["runs"])
    before = (runs / "learning_curves.png").read_bytes()
    capsys.readouterr()
    log = runs / "ars-s0" / "evaluations.csv"
    log.write_text(log.read_text().replace("200", "x"))
    words = ["runs/ars-s0", "--output", "runs/learning_curves.png"]
    status, line = refusal(plot.main, words, capsys)
    assert (status, line.startswith(f"error: {log}: not a log of a run")) == (1, True)
    assert (runs / "learning_curves.png").read_bytes() == before


@pytest.mark.parametrize("words", [[], ["--table"]])
def test_a_damaged_log_below_a_folder_is_left_out_and_said(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    *_, damaged = store_seeds(Path("exp"), 3)
    (damaged / "result.json").unlink()  # a table shows evaluations where one has not ended
    log = damaged / "evaluations.csv"
    log.write_text(log.read_text().replace("200", "x"))
    plot.main(["exp", *words])
    out, err = capsys.readouterr()
    assert "2 runs" in out or out.splitlines()[1].split()[1] == "2"
    assert f"left out: {log}: not a log of a run" in err
    for named in (["exp/ars-s2"], ["exp", "exp/ars-s2"]):
        with pytest.raises(SystemExit, match="1"):
            plot.main([*named, *words])
        line = capsys.readouterr().err.splitlines()[-1]
        assert line.startswith(f"error: {log}: not a log of a run")


def test_from_python(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = api.Run.open(runs / "ars-s0")
    assert api.plot(run, "runs", output=Path("a.svg"), x="episodes", training=True) == Path("a.svg")
    assert capsys.readouterr().out == ""
    ars, ppo = api.compare("runs")
    assert (ars.label, ppo.label, ppo.baseline) == ("ARS", "PPO", "ARS")
    assert api.plot_weights("Hopper", "w.svg", episodes=0) == Path("w.svg")
    assert capsys.readouterr() == ("", "")
    for call in (
        lambda: api.plot(),
        lambda: api.plot("nowhere"),
        lambda: api.plot("runs", output="x.gif"),
        lambda: api.plot("runs", x="steps"),
        lambda: api.compare("nowhere"),
    ):
        with pytest.raises(api.UsageError):
            call()


def test_weights_in_an_environment_that_was_given() -> None:
    few: dict[str, Any] = {"n_directions": 2, "eval_freq": 1, "eval_episodes": 1, "verbose": False}
    run = api.train(Square, n_iterations=1, **few)
    assert api.plot_weights(run, "a.svg", episodes=1).is_file()
    assert api.plot_weights(run.folder, "b.svg", episodes=1, env=Square).is_file()
    assert Path("a.svg").read_bytes() == Path("b.svg").read_bytes()
    with pytest.raises(api.UsageError, match="give it again, as env="):
        api.plot_weights(run.folder, "c.svg", episodes=1)
    assert api.plot_weights(run.folder, "c.svg", episodes=0).is_file()


def test_a_list_of_runs_stands_for_each_of_them() -> None:
    seeds = [api.Run.open(folder) for folder in store_seeds(Path("runs"), 2)]
    other = store_run(Path("other"), algo="ppo")
    assert api.plot(seeds, other, output="a.svg").is_file()
    assert [row.n_runs for row in api.compare(seeds, other)] == [2, 1]
    page = api.report(seeds, output="a.html", pictures=False, verbose=False).read_text()
    assert "with seeds 0, 1." in page


def test_a_table_and_its_figure_say_a_thing_once(capsys: pytest.CaptureFixture[str]) -> None:
    run = store_run(Path("going"), final=None)
    with (run / "evaluations.csv").open("a") as file:
        file.write("4,400,5,1")
    plot.main(["going", "--table", "--output", "x.svg"])
    lines = capsys.readouterr().err.splitlines()
    assert lines.count("going/evaluations.csv: its last row is incomplete and left out") == 1


def test_a_run_in_progress_is_drawn(capsys: pytest.CaptureFixture[str]) -> None:
    run = store_run(Path("going"), final=None)
    with (run / "evaluations.csv").open("a") as file:
        file.write("4,400,5,1")
    plot.main(["going"])
    assert capsys.readouterr().err.splitlines() == [
        "not ended, and drawn as far as it is: going",
        "going/evaluations.csv: its last row is incomplete and left out",
    ]
