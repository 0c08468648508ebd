"""Do exported policies earn what the policy does?

    python scripts/check_exports.py [--policy HalfCheetah] [--episodes 20] [--formats npz c ...]

Plays episodes of the same seeds with a shipped policy and with each of its exports, and prints the
returns. Those of npz and c have to be equal to the last bit; those of onnx and torch, whose sums
run in another order, within two standard errors, since contacts are chaotic. Exits with 1 where
they are not. Needs a C compiler and the extra `onnx`.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "support"))

FORMATS = {"npz": True, "c": True, "onnx": False, "torch": False}  # and whether bits are equal


def actor(format: str, path: Path, n_actions: int) -> Any:
    """A function from a float64 observation to an action, through what reads the export."""
    if format == "npz":
        from ars.exporting import recipe

        with np.load(path) as stored:
            arrays = dict(stored)
        return lambda x: recipe.act(arrays, x)
    if format == "c":
        from c_policy import compile_policy

        return compile_policy(path, n_actions)
    if format == "onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(str(path))
        return lambda x: session.run(None, {"observation": x[None].astype(np.float32)})[0][0]
    import torch

    program = torch.export.load(path).module()
    return lambda x: program(torch.from_numpy(x[None].astype(np.float32)))[0].numpy()


def returns(env: Any, policy: Any, act: Any, episodes: int) -> Any:
    """The returns of episodes with the seeds 0, 1 ..."""
    from ars.rollout.episode import rollout

    player: Any = SimpleNamespace(flatten=policy.flatten, act_flat=act)
    return np.array([rollout(env, player, seed, 1000).total_reward for seed in range(episodes)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--policy", default="HalfCheetah")
    parser.add_argument("--episodes", type=int, default=20)
    parser.add_argument("--formats", nargs="+", default=list(FORMATS), choices=list(FORMATS))
    args = parser.parse_args()
    if args.episodes < 2:
        parser.error("--episodes: must be at least 2, whose returns have a deviation")

    import envs
    from ars.api import export
    from ars.training.rebuild import chosen_policy

    file, failed = chosen_policy(args.policy).file, False
    env = envs.make(file.env_id, **file.env_kwargs)
    wanted = returns(env, file.policy, file.policy.act_flat, args.episodes)
    print(f"{'policy':8} {wanted.mean():10,.3f}", flush=True)
    error = 2.0 * np.sqrt(2.0) * wanted.std(ddof=1) / np.sqrt(len(wanted))
    with tempfile.TemporaryDirectory() as folder:
        for format in args.formats:
            path = export(args.policy, format, Path(folder, "policy").with_suffix(suffix(format)))
            act = actor(format, path, file.policy.spec.action.size)
            found = returns(env, file.policy, act, args.episodes)
            same = int((found == wanted).sum())
            good = same == len(wanted) or (
                not FORMATS[format] and abs(found.mean() - wanted.mean()) <= error
            )
            failed = failed or not good
            told = "" if good else ", DIFFERENT"
            print(
                f"{format:8} {found.mean():10,.3f}  {same} of {len(wanted)} returns equal{told}",
                flush=True,
            )
    env.close()
    raise SystemExit(int(failed))


def suffix(format: str) -> str:
    from ars.exporting.settings import FORMATS as formats

    return formats[format].suffix


if __name__ == "__main__":
    main()
