"""Times and numbers of workers, as people write them."""

from __future__ import annotations

import pytest

from ars.common.errors import UsageError
from ars.common.settings import make_config
from ars.training.config import RunConfig, TaskConfig, WorkerConfig, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90),
        ("90s", 90),
        ("30m", 1800),
        ("1m30s", 90),
        ("1min", 60),
        ("3 mins", 180),
        ("1.5h", 5400),
        ("2 hours", 7200),
        ("1h 30min", 5400),
        ("1h30m20s", 5420),
        ("1d", 86_400),
        ("30M", 1800),
        ("0.5s", 0.5),
    ],
)
def test_a_time_in_each_of_its_spellings(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["soon", "", "0", "0s", "1:30", "1,5h", "30s1m", "5x", "-5m", "m"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(UsageError, match="must be a time such as 90s, 30m, 8h or 1h30m"):
        parse_duration(text)


def test_a_gpu_by_its_other_names() -> None:
    for word in ("cuda", "gpu", "GPU", "cuda:0"):
        assert make_config(WorkerConfig, {"device": word}).device == "cuda"
    with pytest.raises(UsageError, match="`device` tpu: must be one of auto, cpu, cuda"):
        make_config(WorkerConfig, {"device": "tpu"})


def test_counts_and_seeds_have_an_end() -> None:
    for config, name in ((RunConfig, "n_iterations"), (TaskConfig, "seed")):
        with pytest.raises(UsageError, match=f"`{name}` with so many digits: must be at most"):
            make_config(config, {name: int("9" * 400)})
    assert make_config(TaskConfig, {"seed": 2**128 - 1}).seed == 2**128 - 1
