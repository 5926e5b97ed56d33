"""From final latents to pixels, with what can be done when memory runs out or NaN appears."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from modules.engine.checkpoints import LoadedModel
from modules.engine.generation.memory import free_caches, is_out_of_memory

Warn = Callable[[str], None]


class MemoryExhausted(RuntimeError):  # noqa: N818 - says what happened
    """Every rung of the ladder was tried; the message is for people."""


def to_bytes(pixels: Tensor) -> np.ndarray:
    """Pixels [3, height, width] in [-1, 1] as 8-bit RGB [height, width, 3]."""
    scaled = pixels.detach().float().add(1).mul(127.5).round().clamp(0, 255)
    return np.ascontiguousarray(scaled.to(torch.uint8).permute(1, 2, 0).cpu().numpy())


class Decoder:
    """Decodes the pictures of one job; remembers what had to be changed for it."""

    def __init__(self, model: LoadedModel, warn: Warn, *, upcast_on_nan: bool = True) -> None:
        """
        Args:
            warn: told of every rung that was taken, once.
            upcast_on_nan: setting: decode again in 32 bits when the VAE gives NaN.
        """
        self._model = model
        self._warn = warn
        self._upcast = upcast_on_nan
        self._tiled = False
        self.facts: dict[str, str] = {}
        """Infotext keys of what was changed."""

    def decode(self, latents: Tensor) -> Tensor:
        """One picture's latents [channels, h, w] to pixels [3, 8h, 8w] in [-1, 1].

        Raises:
            NotANumberError: the latents or the picture are NaN.
            MemoryExhausted: it does not fit, even in tiles.
        """
        try:
            pixels = self._decode(latents)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            pixels = None
        if pixels is None:
            # Outside of the handler: the traceback would keep the tensors of the failed try alive.
            pixels = self._decode_sparingly(latents)
        return pixels

    def close(self) -> None:
        """Give the VAE back as it was."""
        if self._tiled:
            self._network.disable_tiling()
            self._tiled = False

    @property
    def _network(self) -> torch.nn.Module:
        return self._model.codec.network

    def _decode(self, latents: Tensor) -> Tensor:
        pixels = self._model.decode(latents[None], repair=self._upcast)[0]
        for note in self._model.take_notes():
            self._warn(note)
            self.facts["VAE precision"] = "float32"
        return pixels

    def _decode_sparingly(self, latents: Tensor) -> Tensor:
        free_caches(self._model.device)
        for rung in (None, self._tile):
            if rung is not None and not rung():
                continue
            try:
                return self._decode(latents)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
            free_caches(self._model.device)
        raise MemoryExhausted(
            "Out of memory while decoding the picture, even in tiles. Try a smaller size."
        )

    def _tile(self) -> bool:
        """Decode in overlapping tiles from now on; False when that is so already or impossible."""
        if self._tiled or not hasattr(self._network, "enable_tiling"):
            return False
        self._network.enable_tiling()
        self._tiled = True
        self.facts["VAE tiling"] = "True"
        self._warn("Memory ran out while decoding: the picture is decoded in tiles.")
        return True
