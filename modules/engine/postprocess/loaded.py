"""Upscalers in memory: the last few that were used stay there."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np
import torch

from modules.catalog.errors import ModelFileError
from modules.engine.checkpoints.errors import ModelLoadError
from modules.engine.postprocess.watch import Watch
from modules.engine.weight_files import read_weights, state_dict_of

Key = tuple[str, int, int, str, str]


class LoadedUpscaler(Protocol):
    """A network that enlarges pictures."""

    scale: int
    architecture: str

    def run(self, pixels: np.ndarray, tile: int, overlap: int, watch: Watch) -> np.ndarray:
        """Enlarge RGB bytes [height, width, 3] by `scale`."""

    def tiles(self, width: int, height: int, tile: int, overlap: int) -> int:
        """How many tiles that takes."""


class UpscalerShelf:
    """Keeps the upscalers that were used last."""

    def __init__(self, places: int = 2) -> None:
        self._places = places
        self._shelf: OrderedDict[Key, LoadedUpscaler] = OrderedDict()
        self.loads = 0
        """How often a file was read."""

    def get(
        self,
        path: Path,
        device: torch.device,
        dtype: torch.dtype,
        loading: Callable[[float], None] | None = None,
    ) -> LoadedUpscaler:
        """The upscaler of a file, loaded when it is not there or the file has changed.

        Raises:
            ModelLoadError: it cannot be loaded.
        """
        key = _key(path, device, dtype)
        found = self._shelf.get(key)
        if found is None:
            tell = loading or (lambda fraction: None)
            tell(0.0)
            found = _load(path, device, dtype)
            self.loads += 1
            tell(1.0)
        self._shelf[key] = found
        self._shelf.move_to_end(key)
        while len(self._shelf) > self._places:
            self._shelf.popitem(last=False)
        return found

    def clear(self) -> None:
        """Free their memory."""
        self._shelf.clear()


def _load(path: Path, device: torch.device, dtype: torch.dtype) -> LoadedUpscaler:
    # Importing the packages takes seconds: only who upscales pays for it.
    from modules.engine.postprocess.architectures import load_spandrel
    from modules.engine.postprocess.realesrgan import load_upsampler

    try:
        content = read_weights(path)
        state = state_dict_of(content, "params_ema", "params")
        return load_upsampler(state, device, dtype) or load_spandrel(content, path, device, dtype)
    except ModelFileError as error:
        raise ModelLoadError.of(error, path) from error
    except (MemoryError, torch.OutOfMemoryError) as error:
        raise ModelLoadError(path.name, "does not fit into memory") from error


def _key(path: Path, device: torch.device, dtype: torch.dtype) -> Key:
    try:
        status = path.stat()
    except OSError as error:
        reason = f"cannot be read ({error.strerror or error})"
        raise ModelLoadError(path.name, reason) from error
    return str(path), status.st_size, status.st_mtime_ns, str(device), str(dtype)
