"""Makes a policy file of a policy that another project has trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import envs
from ars.common.errors import UsageError
from ars.common.output import check_output, replacing
from ars.importing import original_ars, stable_baselines3
from ars.importing.actor import Actor
from ars.importing.archives import open_archive, reading
from ars.training.env_check import probe
from policies import Policy, PolicyFile, save_policy


@dataclass(frozen=True)
class Imported:
    """A policy file of ours, where the policy is from, and what the user should know."""

    path: Path
    file: PolicyFile
    description: str
    warnings: tuple[str, ...]


def import_file(
    path: Path,
    env: str,
    env_kwargs: Mapping[str, Any],
    statistics: Path | None,
    output: Path,
) -> Imported:
    """Read a policy of another project and write a policy file.

    Args:
        path: `lin_policy_plus.npz` of the original ARS code, or a zip of Stable-Baselines3.
        env: the environment that it acts in.
        env_kwargs: the environment's arguments.
        statistics: the file of `VecNormalize.save`, if the policy was trained with it.
        output: the policy file.

    Raises:
        UnknownEnvironment, UsageError: arguments that cannot be used.
        FileError: a file is damaged, or of another kind; nothing in it has been run.
        RunError: the environment cannot be made.
    """
    check_output(output, ".safetensors")
    actor = read_actor(path, statistics)
    env_id = envs.canonical_name(env)
    probed = probe(env_id, dict(env_kwargs))
    policy = actor.policy(env_id, probed.observation_space, probed.action_space)
    about = {"imported_from": actor.source}
    if actor.algo is not None:
        about["algo"] = actor.algo
    file = PolicyFile(policy, env_id, dict(env_kwargs), about)
    with replacing(output) as temporary:
        save_policy(temporary, file)
    return Imported(output, file, _describe(actor, policy), tuple(actor.warnings))


def read_actor(path: Path, statistics: Path | None = None) -> Actor:
    """The actor in a file of another project. Raises: UsageError, FileError."""
    if path.suffix == ".safetensors":
        raise UsageError(f"{path}: is a policy file already; name it where a RUN is asked for")
    with reading(path, "policy of Stable-Baselines3 or of the original ARS code"):
        archive = open_archive(path)
        if "policy.pth" not in archive.names and "data" not in archive.names:
            if statistics is not None:
                raise UsageError(
                    f"`statistics` {statistics}: a policy of the original ARS code has its own"
                )
            return original_ars.read(archive)
        actor = stable_baselines3.read(archive)
    if statistics is None:
        actor.warnings.append(
            "the file does not say whether its observations were normalised; if they were, by "
            "VecNormalize, give the file of its statistics as `statistics`"
        )
        return actor
    with reading(statistics, "file of VecNormalize's statistics"):
        actor.normalizer = stable_baselines3.read_statistics(statistics)
        size = actor.layers[0][0].shape[1]
        if actor.normalizer is not None and actor.normalizer.mean.size != size:
            raise ValueError(
                f"statistics of {actor.normalizer.mean.size} numbers, and the policy takes {size}"
            )
    return actor


def _describe(actor: Actor, policy: Policy) -> str:
    spec = policy.spec
    sizes = ", ".join(f"{size:,}" for size in spec.layer_sizes)
    seen = "as they are" if policy.normalizer is None else "normalised"
    words = [f"{spec.kind} policy from {actor.source}, layers of {sizes}", f"observations {seen}"]
    if spec.deterministic_rule != "argmax":
        clipped = spec.clip_actions
        words.append("actions clipped to their bounds" if clipped else "actions not clipped")
    return ", ".join(words)
