"""Makes a page about runs and writes it: what `ars report` and `ars.api.report` do."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ars import __version__
from ars.common.errors import UsageError
from ars.common.output import replacing
from ars.common.settings import counted
from ars.reporting import facts, pictures
from ars.reporting.config import EPISODES, MOST_INPUTS, ReportConfig
from ars.reporting.page import render
from ars.reporting.parts import Page, Pictures, Section, Table, Weights
from ars.reporting.settings import setting_rows
from ars.results import plotting, style
from ars.results.curves import Group, Line, grouped, lines_of
from ars.results.linear import carriers, find_losses, linear_weights
from ars.results.policy_table import MOST_ROWS, draw_tables, is_table, policy_table
from ars.results.stored_run import Notify, StoredRun, find_runs
from ars.results.svg import inline
from ars.results.table import by_env, grid, group_scores
from ars.training.rebuild import chosen_policy
from ars.training.run_folder import LATEST_POLICY, ResolvedPolicy
from ars.training.trust import check_trust

ENDINGS = ".html", ".htm"
MOST_SHOWN = 4  # groups of runs with pictures and weights: more would make a page of tens of MB


def report(
    words: Sequence[str | Path],
    config: ReportConfig,
    output: Path,
    notify: Notify,
    working: pictures.Working,
    trust: bool = False,
) -> None:
    """Write a page about runs.

    Args:
        words: run folders, shared runs, or folders with run folders somewhere below.
        config: what to show.
        output: the file, with one of `ENDINGS`.
        notify: told what is left out, ends early or stands for what; the page says it too.
        working: says what takes a while.
        trust: import the module that a run from elsewhere names.

    Raises:
        UsageError: there is no such run, or the file cannot be written.
        FileError: the files of a run that was named are damaged.
    """
    with replacing(output) as temporary:
        reporter = _Reporter(config, notify, working, trust)
        page = reporter.page([str(word) for word in words])
        temporary.write_bytes(render(page))


class _Reporter:
    """Gathers what a page shows."""

    def __init__(
        self, config: ReportConfig, notify: Notify, working: pictures.Working, trust: bool
    ) -> None:
        self._config, self._working, self._trust = config, working, trust
        self._tell, self._notes = notify, list[str]()

    def page(self, words: Sequence[str]) -> Page:
        """Everything on the page of these runs."""
        runs = [run for run in find_runs(words, self._notify) if self._is_whole(run)]
        if not runs:
            raise UsageError(f"`run` {' '.join(words)}: no run there that can be read")
        groups = grouped(runs, self._notify)
        lines = lines_of(groups, "timesteps", False, self._notify)
        n_runs = sum(len(group.runs) for group in groups)
        comparisons, note = self._comparisons(groups) if n_runs > 1 else ([], "")
        curve, curve_note = self._curve(lines)
        sections = [self._section(group, index) for index, group in enumerate(groups)]
        names = dict.fromkeys(f"{group.env_id}, {group.label}" for group in groups)
        return Page(
            "; ".join(names) if len(names) <= 2 else f"{counted(n_runs, 'run')} compared",
            curve,
            curve_note,
            comparisons,
            note,
            sections,
            self._notes,
            __version__,
        )

    def _notify(self, line: str) -> None:
        if line not in self._notes:  # each film and figure plays in the same environment
            self._notes.append(line)
            self._tell(line)

    def _is_whole(self, run: StoredRun) -> bool:
        """Whether the logs of a run can be read. Raises: FileError if one that was named cannot."""
        with run.left_out_if_damaged(self._notify):
            run.curve("timesteps", False, _ignore)
            facts.ending(run, _ignore)
            return True
        return False

    def _curve(self, lines: Sequence[Line]) -> tuple[str, str]:
        if not lines:
            return "", ""
        from ars.results.figure import draw

        with style.print_style():
            figure = draw(lines, "timesteps", False, True, _ignore)
            shown = inline(figure, "curve", "learning curves: return over timesteps")
        return shown, plotting.summary(lines)

    def _comparisons(self, groups: Sequence[Group]) -> tuple[list[tuple[str, Table]], str]:
        said: list[str] = []
        try:
            rows = group_scores(groups, said.append)
        except UsageError:  # none was evaluated yet
            return [], ""
        tables = []
        for env_id, ours in by_env(rows).items():
            heads, *body = grid(ours)
            tables.append((env_id, Table(heads, body)))
        return tables, "; ".join(said)

    def _section(self, group: Group, index: int) -> Section:
        endings = [facts.ending(run, self._notify) for run in group.runs]
        best = max(endings, key=lambda one: one.score)
        shown, weights, drawn = self._look(best.run, index)
        if len(endings) > 1 and shown:
            shown = f"Of seed {best.run.seed}, the best of them: {shown[0].lower()}{shown[1:]}"
        tables = [
            (
                f"seed {one.run.seed}, {counted(len(one.rows), 'evaluation')}",
                facts.evaluations_table(one),
            )
            for one in endings
        ]
        return Section(
            f"{group.env_id}: {group.label}",
            facts.sentences(group, endings),
            facts.tiles(group, endings),
            facts.facts(group, endings),
            facts.seeds_table(endings),
            [(caption, table) for caption, table in tables if table.rows],
            setting_rows(group.runs[0]),
            shown,
            weights,
            drawn,
        )

    def _look(self, run: StoredRun, index: int) -> tuple[str, Weights | None, Pictures]:
        """What the policy of a run is, what it consists of, and how it looks."""
        resolved = None
        try:
            with run.left_out_if_damaged(self._notify):
                resolved = chosen_policy(str(run.folder), trust=self._trust)
        except UsageError:
            return "", None, Pictures(notes=["There is no policy yet."])
        if resolved is None:
            return "", None, Pictures(notes=["The file of its policy is damaged."])
        if index >= MOST_SHOWN:
            few = f"Weights and pictures are shown of the first {MOST_SHOWN} groups of runs."
            return _named(resolved), None, Pictures(notes=[few])
        weights = self._weights(resolved, index)
        if not self._config.pictures:
            return _named(resolved), weights, Pictures(notes=["Pictures were not asked for."])
        drawn = pictures.draw(run.folder, resolved, self._trust, self._working, self._notify)
        return _named(resolved), weights, drawn

    def _weights(self, resolved: ResolvedPolicy, index: int) -> Weights:
        if is_table(resolved):
            return self._table(resolved, index)
        spec = resolved.file.policy.spec
        sizes = " ".join(map(str, spec.layer_sizes))
        what = f"A policy of kind {spec.kind} with {counted(spec.n_weights, 'weight')}"
        found = [f"{what}, in layers of {sizes}." if spec.kind != "linear" else f"{what}."]
        try:
            weights = linear_weights(resolved)
        except UsageError:
            return Weights([*found, "Heat maps are drawn of linear policies that fit on a page."])
        except plotting.FAILURES as error:
            return Weights([*found, f"No heat map can be drawn: {error}"])
        losses, n_inputs = None, spec.observation.size
        episodes = self._config.episodes
        if episodes is None:
            episodes = EPISODES if n_inputs <= MOST_INPUTS else 0
        if episodes:
            try:
                file = resolved.file
                check_trust(resolved.path, file.env_id, file.env_kwargs, self._trust)
                with self._working("switching off inputs") as advance:
                    losses = find_losses(resolved, weights, episodes, False, self._notify, advance)
                text = carriers(weights, losses)
                found.append(f"{text[0].upper()}{text[1:]}.")
            except plotting.FAILURES as error:
                found.append(f"Which inputs carry it could not be found: {error}")
        from ars.results.heat_map import draw_weights

        with style.print_style():
            name = f"weights{index}"
            return Weights(found, inline(draw_weights(weights, losses), name, "weights"))

    def _table(self, resolved: ResolvedPolicy, index: int) -> Weights:
        file = resolved.file
        states, actions = file.policy.spec.observation.size, file.policy.spec.action.size
        found = [f"A table of values: {counted(states, 'state')}, {counted(actions, 'action')}."]
        try:
            check_trust(resolved.path, file.env_id, file.env_kwargs, self._trust)
            with style.print_style():
                figure = draw_tables([policy_table(resolved)])
                return Weights(found, inline(figure, f"table{index}", "values"), "Values")
        except UsageError:
            few = f"A picture is drawn of a grid, a graph or at most {MOST_ROWS} states."
            return Weights([*found, few], heading="Values")
        except plotting.FAILURES as error:
            return Weights([*found, f"No picture can be drawn: {error}"], heading="Values")


def _ignore(line: str) -> None:
    """Say nothing."""


def _named(resolved: ResolvedPolicy) -> str:
    """`The best policy, after 2,784,000 timesteps (iteration 580)`."""
    which = "latest" if resolved.path.name == LATEST_POLICY else "best"
    training = resolved.file.training
    iteration, timesteps = training.get("iteration"), training.get("timesteps")
    if not isinstance(iteration, int) or not isinstance(timesteps, int):
        return f"The {which} policy"
    return f"The {which} policy, after {counted(timesteps, 'timestep')} (iteration {iteration:,})"
