"""Run folders made of the files that figures and tables read, without a training."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

STEPS = (0, 100, 200, 300)


def store_run(
    folder: Path,
    returns: Sequence[float] = (0.0, 10.0, 20.0, 30.0),
    steps: Sequence[int] = STEPS,
    *,
    seed: int = 0,
    algo: str = "ars",
    env_id: str = "CartPole-v1",
    final: float | None = 30.0,
    env_kwargs: dict[str, Any] | None = None,
    **settings: Any,
) -> Path:
    """Write a run that was evaluated after each of its iterations; `final` None: it has not ended.

    An iteration is of two episodes and a minute.
    """
    folder.mkdir(parents=True)
    config = {"env_id": env_id, "env_kwargs": env_kwargs or {}, "algo": algo, "seed": seed}
    config |= {"config": settings, "run": {"eval_episodes": 5}}
    (folder / "config.json").write_text(json.dumps(config))
    rows = list(enumerate(zip(steps, returns, strict=True)))
    lines = ["iteration,timesteps,episodes,return_mean,time_seconds"]
    lines += [f"{i},{step},5,{value},{60 * i}" for i, (step, value) in rows]
    (folder / "evaluations.csv").write_text("\n".join(lines) + "\n")
    lines = lines[:1] + [
        f"{i},{step},{2 * i},{value / 2},{60 * i}" for i, (step, value) in rows[1:]
    ]
    (folder / "progress.csv").write_text("\n".join(lines) + "\n")
    if final is not None:
        result = {"timesteps": steps[-1], "final_evaluation": {"return_mean": final}}
        (folder / "result.json").write_text(json.dumps(result))
    return folder


def store_seeds(folder: Path, count: int, name: str = "ars", **run: Any) -> list[Path]:
    """Runs with the seeds 0 ... count - 1, each of which returns 10 more than the one before."""
    found = []
    for seed in range(count):
        returns = [value + 10.0 * seed for value in (0.0, 10.0, 20.0, 30.0)]
        found.append(
            store_run(folder / f"{name}-s{seed}", returns, seed=seed, final=returns[-1], **run)
        )
    return found
