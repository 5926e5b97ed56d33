"""A job's VAE in strips or tiles: because the settings want it, or because memory is short."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch

from modules.engine.checkpoints.machine_memory import Memory, machine_memory
from modules.engine.generation.ladder import InMemory, Ladder
from modules.engine.memory.heap import trim_heap
from modules.engine.memory.strips import StripVae

WHOLE, STRIPS, TILES = "When memory runs out", "Strips", "Tiles"
"""Values of the setting "vae_parts"."""
NEED_WHOLE = 10.0
NEED_STRIPS = 4.0
"""Memory for the work, in inner pictures of full size with the VAE's second width. For Stable
Diffusion 1.5 the tensors alone take 3.6 and 2.1 of them; the process grew by up to 10 and by 4."""
SHORT = "Too little memory is free"
FULL = "Memory ran out"


class VaeParts:
    """Puts the current model's VAE to work in parts, and gives it back as it was."""

    def __init__(
        self,
        models: InMemory,
        ladder: Ladder,
        setting: str = WHOLE,
        memory: Callable[[], Memory] = machine_memory,
    ) -> None:
        """
        Args:
            setting: WHOLE until memory runs out; STRIPS or TILES from the start.
            memory: tells how much memory there is.
        """
        self._models = models
        self._ladder = ladder
        self._setting = setting
        self._memory = memory
        self._tiled: list[torch.nn.Module] = []
        self._strips: dict[torch.nn.Module, StripVae] = {}

    def prepare(self, work: str, pixels: int) -> None:
        """What the settings want from the start, and what can be foreseen.

        Without a graphics card nothing fails where memory runs out: the system ends the program.
        So the work is done in parts in time.

        Args:
            work: "decod" or "encod".
            pixels: of the picture.
        """
        network = self._network
        if self._setting == STRIPS and network not in self._strips and StripVae.fits(network):
            self._strips[network] = StripVae(network)
        elif self._setting == TILES and network not in self._tiled:
            self._enable_tiles(network)
        if self._models.current.device.type != "cpu":
            return
        one = _inner_picture(self._models.current.plan.components["vae"].config, pixels)
        if not self._in_parts and self._is_short(NEED_WHOLE * one):
            self.cut(work, SHORT)
        if network not in self._tiled and self._is_short(NEED_STRIPS * one):
            self.tile(work, SHORT)

    def cut(self, work: str, why: str = FULL) -> bool:
        """Work in strips from now on: the same picture; False when that is so already."""
        network = self._network
        if self._in_parts or not StripVae.fits(network):
            return False
        self._strips[network] = StripVae(network)
        self._ladder.take("VAE in strips", f"{why}: the picture is {work}ed in strips.")
        return True

    def tile(self, work: str, why: str = FULL) -> bool:
        """Work in overlapping tiles from now on; False when that is so already or impossible."""
        network = self._network
        if network in self._tiled or not self._enable_tiles(network):
            return False
        self._ladder.take("VAE in tiles", f"{why}: the picture is {work}ed in tiles.")
        return True

    def close(self) -> None:
        """Give the VAE back as it was."""
        for network in self._tiled:
            network.disable_tiling()
        self._tiled.clear()
        for strips in self._strips.values():
            strips.remove()
        self._strips.clear()

    @property
    def _network(self) -> torch.nn.Module:
        return self._models.current.codec.network

    @property
    def _in_parts(self) -> bool:
        return self._network in self._strips or self._network in self._tiled

    def _is_short(self, needed: float) -> bool:
        """Whether less than this is free, also after the heap has been given back."""
        if self._memory().available >= needed:
            return False
        trim_heap()
        return self._memory().available < needed

    def _enable_tiles(self, network: torch.nn.Module) -> bool:
        if not hasattr(network, "enable_tiling"):
            return False
        network.enable_tiling()
        self._tiled.append(network)
        return True


def _inner_picture(config: Mapping[str, Any], pixels: int) -> int:
    """Bytes of an inner picture of full size, in 32 bits."""
    widths = config.get("block_out_channels") or (128, 256)
    return 4 * pixels * int(widths[min(1, len(widths) - 1)])
