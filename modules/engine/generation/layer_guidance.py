"""Skip layer guidance of SD 3.5: away from what the network says without some of its layers.

As in Stability AI's reference code for SD 3.5 medium: in early steps the prompt is run once more
with some layers left out, and what these had to say is added, scaled. Akin to perturbed-attention
guidance (Ahn et al. 2024, arXiv 2403.17377).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from modules.catalog.families import sd3


@dataclass(frozen=True)
class LayerGuidance:
    """When layers are left out, which, and how much that counts."""

    scale: float
    layers: tuple[int, ...]
    """Numbers from 0; those that a network does not have count for nothing."""
    start: float
    end: float
    """Between these shares of the model calls."""

    @classmethod
    def from_options(cls, options: Mapping[str, Any], family: str) -> LayerGuidance | None:
        """As the settings say; None when it is off, or for other families than SD 3."""
        scale = float(options.get("sd3_slg_scale") or 0.0)
        layers = re.findall(r"\d+", str(options.get("sd3_slg_layers", "")))[:64]
        if scale <= 0 or not layers or family != sd3.KEY:
            return None
        start, end = (float(options.get(f"sd3_slg_{name}", 0)) for name in ("start", "end"))
        return cls(scale, tuple(int(layer) for layer in layers), start, end)

    def due(self, call: int, total: int) -> bool:
        """Whether the model call number ``call`` (from 0) of ``total`` is one of those."""
        return self.start * total < call < self.end * total

    @contextmanager
    def skipping(self, network: torch.nn.Module) -> Iterator[None]:
        """Within, the layers of SD3's transformer hand on what they get."""
        blocks = network.transformer_blocks
        found = [blocks[layer] for layer in set(self.layers) if layer < len(blocks) - 1]
        hooks = [block.register_forward_hook(_pass_on, with_kwargs=True) for block in found]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    @property
    def infotext(self) -> dict[str, Any]:
        """Its keys: the settings, all of which count."""
        return {
            "SLG scale": self.scale,
            "SLG layers": " ".join(map(str, self.layers)),
            "SLG start": self.start,
            "SLG end": self.end,
        }


def _pass_on(
    block: torch.nn.Module, given: tuple[Any, ...], named: dict[str, Any], output: Any
) -> tuple[torch.Tensor, torch.Tensor]:
    """What went in, as a joint block gives it out: the text's states, then the picture's."""
    names = ("hidden_states", "encoder_hidden_states")
    picture, text = (*given, *(named[name] for name in names[len(given) :]))[:2]
    return text, picture
