"""Forged files from elsewhere: policies of other projects, shared runs and files of settings."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from fuzzing.outcome import Target, Unhandled, checked

# An environment in a module that must not be imported: see `runs_nothing`.
FOREIGN = "never_imported:Cart-v0"
SETTINGS: dict[str, dict[str, Any]] = {
    "ars": {
        "env": "CartPole-v1",
        "algo": "ars",
        "seed": 3,
        "step-size": 0.1,
        "n_directions": 4,
        "policy": "mlp",
        "hidden_sizes": [8, 4],
        "env_kwargs": {"sutton_barto_reward": True},
        "n_iterations": 2,
        "n_workers": 0,
        "eval_freq": 1,
        "time_budget": 60,
    },
    "ppo": {
        "env": FOREIGN,
        "algo": "ppo",
        "n_envs": 2,
        "n_steps": 32,
        "batch_size": 32,
        "preset": None,
        "total_timesteps": 1000,
        "target_return": 100,
        "gae_lambda": 0.9,
        "init_from": "nowhere",
        "run_dir": "here",
        "device": "cpu",
        "n_seeds": 2,
    },
}


def runs_nothing() -> None:
    """Raises: Unhandled if the module that a file names has been imported, or looked for."""
    if FOREIGN.partition(":")[0] in sys.modules:
        raise Unhandled(f"{FOREIGN} was imported")


def unpack(data: bytes) -> dict[str, bytes]:
    """The entries of a zip archive."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def pack(entries: dict[str, bytes]) -> bytes:
    """A zip archive with these entries."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return file.getvalue()


def archives(data: bytes) -> Any:
    """The strategy for an archive: entries altered, those of an archive in it, or its own bytes."""
    import forgeries
    from hypothesis import strategies as st

    entries = unpack(data)

    def replaced(name: str) -> Callable[[bytes], bytes]:
        return lambda new: pack({**entries, name: new})

    found = [forgeries.altered(data), forgeries.altered_entries(entries).map(pack)]
    for name, content in entries.items():
        if content.startswith(b"PK"):
            inner = forgeries.altered_entries(unpack(content)).map(pack)
            found += [inner.map(replaced(name))] * 3
        elif content.startswith(b"{"):
            document = forgeries.edited(json.loads(content)).map(lambda d: json.dumps(d).encode())
            found += [document.map(replaced(name))] * 2
    return st.one_of(found)


@contextlib.contextmanager
def imports(run: Path, place: Path) -> Iterator[Target]:
    """Policies of the original ARS code and of Stable-Baselines3, and VecNormalize's statistics."""
    import foreign_policies
    import forgeries
    import numpy as np
    from gymnasium import spaces
    from hypothesis import strategies as st

    from ars.common.errors import UsageError
    from ars.training.imports import read_actor
    from policies import FileError, PolicyFile, UnsupportedSpace, read_policy, save_policy

    rng = np.random.default_rng(0)
    seen, joints = spaces.Box(-9, 9, (3,), np.float64), spaces.Box(-1, 1, (2,), np.float64)
    weights, mean, std = rng.standard_normal((2, 3)), rng.standard_normal(3), np.ones(3)
    layers = {"0.weight": rng.standard_normal((4, 3)), "0.bias": np.zeros(4)}
    last = {"weight": rng.standard_normal((2, 4)), "bias": np.zeros(2)}
    ppo = {f"mlp_extractor.policy_net.{name}": value for name, value in layers.items()}
    ppo |= {f"action_net.{name}": value for name, value in last.items()} | {"log_std": np.zeros(2)}
    common = "stable_baselines3.common.policies"
    kind = "<class 'torch.nn.modules.activation.ReLU'>"
    files = {
        f"original-{protocol}": foreign_policies.original_ars(
            place / f"o{protocol}.npz", weights, mean, std, protocol=protocol
        )
        for protocol in (0, 2, 5)
    }
    np.savez(place / "plain.npz", weights)
    files["plain"] = place / "plain.npz"
    files["ppo"] = foreign_policies.stable_baselines3(
        place / "ppo.zip", common, ppo, activation_fn=kind
    )
    files["ars"] = foreign_policies.stable_baselines3(
        place / "ars.zip", "sb3_contrib.ars.policies", {"action_net.0.weight": weights}
    )
    statistics = foreign_policies.vec_normalize(place / "v.pkl", mean, std)
    strategy = st.one_of(
        *(st.tuples(st.just("policy"), archives(path.read_bytes())) for path in files.values()),
        st.tuples(st.just("statistics"), forgeries.altered(statistics.read_bytes())),
    )
    good = files["ppo"].read_bytes()

    def attempt(forged: tuple[str, bytes]) -> bool:
        what, data = forged
        path, other = place / "forged", place / "forged.pkl"
        path.write_bytes(data if what == "policy" else good)
        other.write_bytes(data)
        try:
            actor = read_actor(path, other if what == "statistics" else None)
            policy = actor.policy("Robot-v0", seen, joints)
        except (FileError, UsageError, UnsupportedSpace) as error:
            checked(str(error))
            return False
        save_policy(place / "written", PolicyFile(policy, "Robot-v0", {}, {}))
        with np.errstate(all="ignore"):
            read_policy(place / "written").policy.act(np.zeros(3))
        return True

    yield strategy, attempt


@contextlib.contextmanager
def shared_runs(run: Path, place: Path) -> Iterator[Target]:
    """Runs in one file: read as `train --config`, `plot`, `evaluate` and `verify` read them."""
    from ars.common.errors import RunError, UsageError
    from ars.results.stored_run import find_runs
    from ars.training import shared_run
    from ars.training.config_file import settings_in, with_file
    from ars.training.rebuild import chosen_policy
    from policies import FileError

    shared_run.share(run, place / "good.zip")
    path, unpacked = place / "forged.zip", place / "unpacked"
    shared_run._unpack.cache_clear()
    readers = (
        lambda: with_file(settings_in(path), {}),
        lambda: [each.curve("time", False, unheard) for each in find_runs([folder()], unheard)],
        lambda: chosen_policy(str(path)),
        lambda: chosen_policy(str(path), at=10**9),
    )

    def unheard(notice: str) -> None: ...

    def folder() -> str:
        return shared_run.unpacked(str(path))

    def attempt(forged: bytes) -> bool:
        path.write_bytes(forged)
        unpacked.mkdir()
        good = True
        with contextlib.ExitStack() as stack:
            stack.callback(shutil.rmtree, unpacked)
            stack.callback(shared_run._unpack.cache_clear)
            stack.callback(setattr, tempfile, "tempdir", tempfile.tempdir)
            tempfile.tempdir = str(unpacked)
            for reader in readers:
                try:
                    reader()
                except (FileError, RunError, UsageError) as error:
                    checked(str(error))
                    good = False
        outside = {each.name for each in place.iterdir()} - {"good.zip", "forged.zip", "run"}
        if outside:
            raise Unhandled(f"written outside: {outside}")
        return good

    yield archives((place / "good.zip").read_bytes()), attempt


@contextlib.contextmanager
def settings_files(run: Path, place: Path) -> Iterator[Target]:
    """Files for `--config`: TOML, YAML and JSON of one's own, and the config.json of a run."""
    import forgeries
    import yaml
    from hypothesis import strategies as st

    import envs
    from ars.common.errors import UsageError
    from ars.training.config_file import settings_in, with_file
    from ars.training.resolve import resolve_new
    from policies import FileError

    writers = {"toml": _toml, "yaml": yaml.safe_dump, "json": json.dumps}
    documents = [*SETTINGS.values(), json.loads((run / "config.json").read_text())]

    @st.composite
    def texts(draw: Any) -> tuple[str, bytes]:
        document = draw(forgeries.edited(draw(st.sampled_from(documents))))
        kind = draw(st.sampled_from(sorted(writers)))
        text = writers[kind](document).encode(errors="surrogatepass")
        if draw(st.integers(0, 3)) == 0:
            text = draw(forgeries.altered(text))
        return kind, text

    def attempt(forged: tuple[str, bytes]) -> bool:
        kind, text = forged
        path = place / f"settings.{kind}"
        path.write_bytes(text)
        try:
            given = with_file(settings_in(path), {})
            for name in ("n_seeds", "jobs"):
                given.pop(name, None)
            resolve_new(given.pop("env_id", "CartPole-v1"), given)
        except (FileError, UsageError, envs.UnknownEnvironment, envs.WrongOptions) as error:
            checked(str(error))
            return False
        finally:
            runs_nothing()
        return True

    yield texts(), attempt


def _toml(document: dict[str, Any]) -> str:
    """TOML of a document, as far as JSON's spelling of its values is TOML's too."""
    lines = [
        f"{json.dumps(name)} = {_toml_value(value)}"
        for name, value in document.items()
        if value is not None
    ]
    return "\n".join(lines)


def _toml_value(value: Any) -> str:
    if isinstance(value, dict):
        pairs = (f"{json.dumps(name)} = {_toml_value(each)}" for name, each in value.items())
        return f"{{ {', '.join(pairs)} }}"
    if isinstance(value, list):
        return f"[{', '.join(map(_toml_value, value))}]"
    return {"NaN": "nan", "Infinity": "inf", "-Infinity": "-inf"}.get(
        text := json.dumps(value), text
    )
