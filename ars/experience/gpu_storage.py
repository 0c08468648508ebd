"""Frames of a replay buffer in the memory of the GPU that learns from them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ars.experience.storage import Indices


class GpuFrameStorage:
    """Frames on a device: each is copied there once, when it is stored.

    Raises:
        MemoryError: the device has too little memory.
    """

    def __init__(
        self, device: torch.device, n_frames: int, shape: tuple[int, ...], dtype: np.dtype[Any]
    ) -> None:
        kind = torch.from_numpy(np.zeros(0, dtype)).dtype
        try:
            self._frames = torch.zeros((n_frames, *shape), dtype=kind, device=device)
        except torch.OutOfMemoryError as error:
            raise MemoryError(str(error)) from None
        self.nbytes = self._frames.nbytes

    def __len__(self) -> int:
        return len(self._frames)

    def write(self, place: int, frame: NDArray[Any]) -> None:
        self._frames[place] = torch.from_numpy(frame)

    def allocate(self, shape: tuple[int, ...]) -> Tensor:
        return self._frames.new_empty((*shape, *self._frames.shape[1:]))

    def read(self, places: Indices, out: Tensor) -> None:
        wanted = torch.from_numpy(places.ravel()).to(self._frames.device)
        torch.index_select(self._frames, 0, wanted, out=out.view(-1, *self._frames.shape[1:]))

    def first(self, n: int) -> NDArray[Any]:
        frames: NDArray[Any] = self._frames[:n].to("cpu", copy=True).numpy()
        return frames

    def load(self, frames: NDArray[Any]) -> None:
        self._frames[: len(frames)] = torch.from_numpy(frames)
