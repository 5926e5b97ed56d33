"""Latents to pictures and back, with what can be done when memory runs out or NaN appears."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TypeVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from modules.engine.checkpoints import NotANumberError
from modules.engine.checkpoints.taesd import METHOD
from modules.engine.generation.ladder import InMemory, Ladder
from modules.engine.generation.memory import free_caches, is_out_of_memory
from modules.engine.generation.vae_parts import TILES, WHOLE, VaeParts

Warn = Callable[[str], None]
Result = TypeVar("Result")
Tiny = TypeVar("Tiny")


class MemoryExhausted(RuntimeError):  # noqa: N818 - says what happened
    """Every rung of the ladder was tried; the message is for people."""


def to_bytes(pixels: Tensor) -> np.ndarray:
    """Pixels [3, height, width] in [-1, 1] as 8-bit RGB [height, width, 3]."""
    scaled = pixels.detach().float().add(1).mul(127.5).round().clamp(0, 255)
    return np.ascontiguousarray(scaled.to(torch.uint8).permute(1, 2, 0).cpu().numpy())


def to_image(pixels: Tensor) -> Image.Image:
    """Pixels [3, height, width] in [-1, 1] as an RGB picture."""
    return Image.fromarray(to_bytes(pixels))


def to_pixels(image: Image.Image) -> Tensor:
    """An RGB picture as pixels [1, 3, height, width] in [-1, 1], float32 on the CPU."""
    values = torch.from_numpy(np.asarray(image.convert("RGB")).astype(np.float32))
    return values.permute(2, 0, 1)[None].div(127.5).sub(1).contiguous()


class Codec:
    """Decodes and encodes the pictures of one job; remembers what had to be changed for it."""

    def __init__(
        self,
        models: InMemory,
        warn: Warn,
        *,
        upcast_on_nan: bool = True,
        parts: str = WHOLE,
        tiny: Collection[str] = (),
        ladder: Ladder | None = None,
    ) -> None:
        """
        Args:
            models: its current model's VAE does the work.
            warn: told of every rung that was taken, once.
            upcast_on_nan: setting: work again in 32 bits when the VAE gives NaN.
            parts: setting: WHOLE until memory runs out; STRIPS or TILES from the start.
            tiny: "decode", "encode": settings: TAESD does it, where its files are there.
        """
        self._models = models
        self._warn = warn
        self._upcast = upcast_on_nan
        self._tiny = frozenset(tiny)
        self.ladder = ladder or Ladder(models, warn)
        self._parts = VaeParts(models, self.ladder, parts)
        self.facts: dict[str, str] = {"VAE parts": TILES} if parts == TILES else {}
        """Infotext keys of what was changed, beside those of the ladder."""

    def decode(self, latents: Tensor) -> Tensor:
        """One picture's latents [channels, h, w] to pixels [3, 8h, 8w] in [-1, 1].

        Raises:
            NotANumberError: the latents or the picture are NaN.
            MemoryExhausted: it does not fit, even in tiles.
        """
        model = self._models.current
        tiny = self._tiny_network("decode", lambda: model.taesd.decoder())
        if tiny is not None:
            if not torch.isfinite(latents).all():
                raise NotANumberError("denoising network")
            self.facts["VAE Decoder"] = METHOD
            return self._attempt("decod", lambda: tiny.decode(latents[None])[0])
        self._parts.prepare("decod", latents[0].numel() * model.vae_scale**2)
        return self._attempt("decod", lambda: model.decode(latents[None], repair=self._upcast)[0])

    def encode(self, pixels: Tensor) -> Tensor:
        """Pixels [batch, 3, height, width] in [-1, 1] to latents [batch, channels, h/8, w/8].

        The mean of the VAE's distribution: the same picture always gives the same latents.

        Raises:
            NotANumberError: the latents are NaN.
            MemoryExhausted: it does not fit, even in tiles.
        """
        model = self._models.current
        tiny = self._tiny_network("encode", lambda: model.taesd.encoder())
        if tiny is not None:
            self.facts["VAE Encoder"] = METHOD
            return self._attempt("encod", lambda: tiny.encode(pixels)).to(model.device)
        self._parts.prepare("encod", pixels[0, 0].numel())
        return self._attempt("encod", lambda: model.encode(pixels, repair=self._upcast)).to(
            model.device
        )

    def _tiny_network(self, work: str, find: Callable[[], Tiny | None]) -> Tiny | None:
        """TAESD's network for this work, if it is wanted and there."""
        if work not in self._tiny:
            return None
        found = find()
        if found is None:
            self._warn(
                f"TAESD's {work}r is not in models/VAE-approx for this model; the VAE did it."
            )
        return found

    def close(self) -> None:
        """Give the VAE back as it was."""
        self._parts.close()

    def _attempt(self, work_name: str, work: Callable[[], Result]) -> Result:
        rungs = iter(
            (
                self._free,
                self.ladder.slice_attention,
                lambda: self._parts.cut(work_name),
                self.ladder.offload,
                lambda: self._parts.tile(work_name),
            )
        )
        while True:
            try:
                with self.ladder.sparing():
                    result = work()
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
            else:
                for note in self._models.current.take_notes():
                    self._warn(note)
                    self.facts["VAE precision"] = "float32"
                return result
            # Out here the traceback no longer keeps the tensors of the failed try alive.
            free_caches(self._models.current.device)
            if not any(rung() for rung in rungs):
                raise MemoryExhausted(
                    f"Out of memory while {work_name}ing the picture, even in tiles. "
                    "Try a smaller size."
                )

    def _free(self) -> bool:
        self._models.make_room()
        free_caches(self._models.current.device)
        self.ladder.take("caches emptied", "Memory ran out; caches were emptied.")
        return True
