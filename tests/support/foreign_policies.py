"""Files of other projects, of the same form as theirs."""

from __future__ import annotations

import io
import json
import pickle
import sys
import types
import zipfile
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch


def original_ars(path: Path, *parts: Any, protocol: int = 2) -> Path:
    """What `code/ars.py` of the original ARS code saves: one array of objects, pickled."""
    objects = np.empty(len(parts), object)
    objects[:] = parts
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        file, {"descr": "|O", "fortran_order": False, "shape": objects.shape}
    )
    file.write(pickle.dumps(objects, protocol))
    return archive(path, {"arr_0.npy": file.getvalue()})


def archive(path: Path, entries: Mapping[str, bytes]) -> Path:
    """A zip file with these entries, compressed."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in entries.items():
            file.writestr(name, data)
    return path


def stable_baselines3(
    path: Path, module: str, weights: Mapping[str, Any], **policy_kwargs: Any
) -> Path:
    """What `model.save` of Stable-Baselines3 saves.

    Args:
        path: the zip file.
        module: of the policy's class.
        weights: its state dict.
        **policy_kwargs: as in the JSON of its data.
    """
    data = {"policy_class": {"__module__": module}, "policy_kwargs": policy_kwargs}
    state = OrderedDict(
        (name, torch.tensor(np.asarray(value), dtype=torch.float32))
        for name, value in weights.items()
    )
    file = io.BytesIO()
    torch.save(state, file)
    return archive(path, {"data": json.dumps(data).encode(), "policy.pth": file.getvalue()})


def vec_normalize(path: Path, mean: Any, var: Any, **attributes: Any) -> Path:
    """What `VecNormalize.save` saves: the object itself, pickled."""
    common = "stable_baselines3.common"
    with (
        stand_in(f"{common}.running_mean_std", "RunningMeanStd") as statistics,
        stand_in(f"{common}.vec_env.vec_normalize", "VecNormalize") as kind,
    ):
        rms, found = statistics(), kind()
        vars(rms).update(mean=np.array(mean), var=np.array(var), count=1000.0001)
        clip = {"clip_obs": 2.0, "epsilon": 1e-8, "norm_obs": True, "norm_reward": True}
        vars(found).update(obs_rms=rms, gamma=np.float64(0.99), **{**clip, **attributes})
        path.write_bytes(pickle.dumps(found))
    return path


@contextmanager
def stand_in(module: str, name: str) -> Iterator[Any]:
    """A class of this name in a module of this name, which need not be installed."""
    kind = type(name, (), {"__module__": module})
    parts = module.split(".")
    names = [".".join(parts[: n + 1]) for n in range(len(parts))]
    with pytest.MonkeyPatch.context() as patch:
        for each in names:
            patch.setitem(sys.modules, each, sys.modules.get(each) or types.ModuleType(each))
        setattr(sys.modules[module], name, kind)
        yield kind


class Runs:
    """Pickles as a call: what would happen if the pickle were loaded."""

    def __init__(self, function: Any, *args: Any) -> None:
        self._call = function, args

    def __reduce__(self) -> Any:
        return self._call
