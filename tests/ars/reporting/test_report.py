"""`ars report`: what the page shows, and that it stands alone and runs nothing from files."""

from __future__ import annotations

import base64
import doctest
import hashlib
import itertools
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from gymnasium.wrappers import TimeLimit
from pictures import Square, refusal
from stored_runs import store_run, store_seeds

from ars import api, report
from ars.common.words import digits
from ars.reporting import from_python, pictures

HOSTILE = "</title></style><script>alert(1)</script><img src=//x onerror=alert(1)>\ud800"
TABLE: dict[str, Any] = {"eval_freq": 1, "eval_episodes": 1, "verbose": False}
FEW: dict[str, Any] = {"n_directions": 2, "eval_freq": 1, "eval_episodes": 1, "verbose": False}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


class Page(HTMLParser):
    """What a browser would find on a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, Any]]] = []
        self.text, self.code = "", {"style": "", "script": ""}
        self._inside = ""
        self.feed(path.read_text())

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append((tag, dict(attrs)))
        self._inside = tag

    def handle_data(self, data: str) -> None:
        if self._inside in self.code:
            self.code[self._inside] += data
        else:
            self.text += data

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def all(self, tag: str) -> list[dict[str, Any]]:
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def policy(self) -> str:
        """Its content security policy."""
        [found] = [m["content"] for m in self.all("meta") if "http-equiv" in m]
        return str(found)

    def check_alone(self) -> None:
        """Nothing is fetched, and the style sheet and the script are those of the policy."""
        assert self.policy.startswith("default-src 'none'; img-src data:; media-src data:;")
        for name in self.code:
            digest = hashlib.sha256(self.code[name].encode()).digest()
            assert f"{name}-src 'sha256-{base64.b64encode(digest).decode()}'" in self.policy
            assert len(self.all(name)) == 1
        for tag, attributes in self.tags:
            names = {name for name in attributes if name.startswith("on") or name == "style"}
            assert not names, f"{tag} has {names}"
            for name in ("src", "href", "xlink:href", "srcset", "poster", "action", "data"):
                if (value := attributes.get(name)) is not None:
                    assert value.startswith(("data:", "#")), f"{tag} asks for {value[:80]}"


def write_page(*words: Any, **options: Any) -> Page:
    path = api.report(*words, output="page.html", verbose=False, **options)
    page = Page(path)
    page.check_alone()
    return page


def test_the_examples_hold() -> None:
    failed, tried = doctest.testmod(from_python)
    assert failed == 0 and tried == 3


def test_a_page_shows_a_policy_at_work_and_those_of_its_training(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pictures, "POLICIES", 3)
    run = api.train(Square, n_iterations=2, **FEW)
    page = write_page(run, episodes=1)
    images = [image["src"] for image in page.all("img")]
    assert len(images) == pictures.MOMENTS
    assert all(image.startswith("data:image/jpeg;base64,/9j/") for image in images)
    video, film = (found["src"] for found in page.all("video"))
    for found in (video, film):
        assert found.startswith("data:video/mp4;base64,")
        assert base64.b64decode(found.partition(",")[2])[4:8] == b"ftyp"
    stops = [found for found in page.all("li") if "data-start" in found]
    places = [(float(stop["data-start"]), float(stop["data-end"])) for stop in stops]
    assert len(places) == 3 and places[0][0] == 0.0
    assert all(end == start for (_, end), (start, _) in itertools.pairwise(places))
    assert page.all("input")[0]["max"] == "2"
    assert "0 timesteps: return " in page.text and "80 timesteps: return " in page.text
    assert "it loses" in page.text
    assert len(page.all("svg")) == 2  # the curve and the weights


@pytest.mark.parametrize(("env_id", "drawn"), [("CliffWalking-v1", 1), ("Blackjack-v1", 0)])
def test_a_table_is_shown_by_its_values(env_id: str, drawn: int) -> None:
    """Gymnasium's Blackjack has too many states for rows, and its own picture is not known."""
    run = api.train(env_id, algo="q-learning", n_iterations=1, run_dir="run", **TABLE)
    page = Page(api.report(run, pictures=False, verbose=False))
    assert page.text.count("Values") == 1 and "A table of values: " in page.text
    figures = [attributes.get("aria-label") for attributes in page.all("svg")]
    assert figures.count("values") == drawn
    assert ("at most 60 states" in page.text) == (not drawn)
    page.check_alone()


def test_what_films_and_weights_have_to_say_is_said_once(
    capfd: pytest.CaptureFixture[str],
) -> None:
    def world(render_mode: str | None = None) -> Any:
        return TimeLimit(Square(render_mode), 15)

    run = api.train(world, n_iterations=1, eval_length=10, **FEW)
    capfd.readouterr()
    api.report(run, output="page.html", episodes=1)
    out, err = capfd.readouterr()
    told = "episodes are cut at 10 steps, as in the evaluations of training"
    assert (out.count(told), err) == (1, "")
    assert Path("page.html").read_text().count(told) == 1


def test_a_world_without_pictures_gets_a_page_without_them() -> None:
    class Blind(Square):
        def render(self) -> Any:
            raise RuntimeError("no light")

    page = write_page(api.train(Blind, n_iterations=1, **FEW), episodes=0)
    assert re.search("Not drawn: .*no picture could be drawn: .*no light", page.text)
    assert not page.all("video") and not page.all("img") and page.all("svg")


def test_text_from_files_stays_text() -> None:
    path = store_run(Path("runs", "<b>bold</b>"), step_size=HOSTILE) / "config.json"
    config = json.loads(path.read_text())
    config |= {"preset": HOSTILE, "init_from": HOSTILE, "commands": [HOSTILE]}
    config |= {"versions": {HOSTILE: HOSTILE}, "platform": {"cpu": HOSTILE}}
    config["run"] |= {HOSTILE: HOSTILE}
    path.write_text(json.dumps(config))
    page = write_page("runs")
    assert not page.all("img") and not page.all("b")
    assert page.text.count(HOSTILE[:-1]) >= 8 and "runs/<b>bold</b>" in page.text


def test_seeds_are_a_section_and_settings_that_differ_are_another() -> None:
    store_seeds(Path("runs"), 3, "ars")
    store_seeds(Path("runs"), 1, "ppo", algo="ppo")
    page = write_page("runs")
    assert "with seeds 0, 1, 2." in page.text and "CartPole-v1: PPO" in page.text
    assert [a["href"] for a in page.all("a")] == ["#runs1", "#runs2"]
    assert "scores are final evaluations" in page.text
    assert page.text.count("There is no policy yet.") == 2
    # Of three seeds the last returns most.
    best = re.findall(r'<tr class="best"[^>]*><td>(\w+)', Path("page.html").read_text())
    assert best[0] == "2"


@pytest.mark.parametrize(("kept", "marked"), [("1,1,1", "200"), ("1,1,0", "100"), (None, "100")])
def test_the_evaluation_of_the_policy_that_was_kept_is_marked(
    kept: str | None, marked: str
) -> None:
    run = store_run(Path("run"), (1.0, 3.0, 2.0), (0, 100, 200), algo="value-iteration")
    if kept is not None:
        path = run / "evaluations.csv"
        lines = zip(path.read_text().splitlines(), ["best", *kept.split(",")], strict=True)
        path.write_text("".join(f"{line},{cell}\n" for line, cell in lines))
    write_page("run")
    best = re.findall(r'<tr class="best"[^>]*><td>(\w+)', Path("page.html").read_text())
    assert best == [marked]


def test_a_run_that_has_not_ended_is_shown_as_far_as_it_is() -> None:
    store_run(Path("run"), final=None)
    page = write_page("run")
    assert "The run has not ended: it is after 300 timesteps" in page.text
    assert "its best evaluation so far is 30.0" in page.text
    store_run(Path("new"), (), (), final=None)
    page = write_page("new")
    assert "in its first iteration" in page.text and not page.all("svg")


def test_a_return_of_many_digits_is_told_in_full() -> None:
    store_run(Path("large"), final=1e301)
    assert digits(1e301) in write_page("large").text


def test_an_experiment_without_a_tape_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "MOMENTS", 2)
    run = api.train(Square, n_iterations=1, **FEW)
    (run.folder / "tape.bin").unlink()
    page = write_page(run, episodes=0)
    assert len(page.all("video")) == 1 and "there is no tape to rebuild them from" in page.text


@pytest.mark.parametrize("name", ["evaluations.csv", "best_policy.safetensors"])
def test_what_is_damaged_below_a_folder_is_left_out_and_said(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    store_run(Path("exp", "good"), algo="ppo")
    path = store_run(Path("exp", "bad")) / name
    path.write_text("a,b\n1,2\n")
    page = write_page("exp")
    assert f"left out: {path}: " in page.text and "trained by PPO" in page.text
    # Without its log nothing of a run is shown, without its policy all but that.
    assert ("trained by ARS" in page.text) == (name != "evaluations.csv")
    status, line = refusal(report.main, ["exp/bad"], capsys)
    assert (status, line.startswith(f"error: {path}: ")) == (1, True)


def test_where_every_run_below_a_folder_is_damaged_there_is_no_page() -> None:
    store_run(Path("exp", "bad")).joinpath("evaluations.csv").write_text("a,b\n1,2\n")
    with pytest.raises(api.UsageError, match="`run` exp: no run there that can be read"):
        write_page("exp")


def test_of_a_damaged_tape_the_rest_of_the_page_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "MOMENTS", 2)
    run = api.train(Square, n_iterations=1, **FEW)
    (run.folder / "tape.bin").write_bytes(b"?")
    page = write_page(run, episodes=0)
    assert len(page.all("video")) == 1 and f"Not drawn: {run.folder}/tape.bin: " in page.text


def test_a_module_from_elsewhere_is_imported_only_if_it_is_trusted() -> None:
    run = api.train("CartPole-v1", n_iterations=1, n_workers=0, **FEW)
    path = run.folder / "best_policy.safetensors"
    from policies import PolicyFile, read_policy, save_policy

    policy = read_policy(path)
    save_policy(path, PolicyFile(policy.policy, "stranger:World-v0", {}, policy.training))
    page = write_page(run.folder)
    assert page.text.count("would run the module stranger") == 2  # for weights and for pictures
    assert "add trust if you trust them" in page.text


def test_the_command_writes_into_the_folder_that_was_given(
    capsys: pytest.CaptureFixture[str],
) -> None:
    store_run(Path("run"))
    report.main(["run", "--no-pictures"])
    assert capsys.readouterr() == ("wrote run/report.html: 0.0 MB, for any browser\n", "")
    assert Path("run/report.html").read_bytes().startswith(b"<!DOCTYPE html>")


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["nowhere"], "error: RUN nowhere: there is no run folder of that name"),
        (["run", "--output", "x.pdf"], "error: --output x.pdf: must end in .html, .htm"),
        (
            ["run", "--output", "no/x.html"],
            "error: --output no/x.html: there is no folder no",
        ),
        (["run", "--episodes", "-1"], "error: --episodes -1: must be at least 0"),
    ],
)
def test_wrong_words(words: list[str], line: str, capsys: pytest.CaptureFixture[str]) -> None:
    store_run(Path("run"))
    assert refusal(report.main, words, capsys) == (2, line)
    assert not list(Path().rglob("*.html"))
