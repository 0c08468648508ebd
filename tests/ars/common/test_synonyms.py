"""Words of other toolkits lead to our settings."""

from __future__ import annotations

import pytest

from ars.algorithms import ALGORITHMS
from ars.common import synonyms
from ars.common.settings import setting_names
from ars.training.config import RunConfig, TaskConfig, WorkerConfig
from ars.training.resolve import OTHERS

ALGORITHM_CONFIGS = [entry.Config for entry in ALGORITHMS.values()]
OURS = {
    *OTHERS,
    *("env_id", "resume"),
    *(
        name
        for config in (TaskConfig, RunConfig, WorkerConfig, *ALGORITHM_CONFIGS)
        for name in setting_names(config)
    ),
}


def test_every_word_leads_to_a_setting_that_there_is() -> None:
    assert synonyms._OTHER_NAMES.keys() <= OURS


@pytest.mark.parametrize(
    ("word", "known", "told"),
    [
        ("lr", "step_size seed", " (did you mean step_size?)"),
        ("lr", "learning_rate seed", " (did you mean learning_rate?)"),
        ("--n-delta", "n_directions n_top", " (did you mean n_directions?)"),
        ("checkpoint", "init_from resume seed", " (did you mean init_from or resume?)"),
        ("sed", "seed n_top", " (did you mean seed?)"),
        ("-v", "seed n_top", " (a run always says how far it is, on stdout)"),
        ("verbose", "verbose n_top", " (did you mean verbose?)"),
        ("wholly_unknown", "seed n_top", ""),
    ],
)
def test_what_may_have_been_meant(word: str, known: str, told: str) -> None:
    assert synonyms.meant(word, {name: name for name in known.split()}) == told
