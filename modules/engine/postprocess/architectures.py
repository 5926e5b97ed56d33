"""Upscalers of every other architecture, recognised and built by spandrel."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from modules.catalog.errors import UnsupportedModelError
from modules.engine.compat.torchvision_ops import make_torchvision_importable
from modules.engine.postprocess.tiled import enlarge, spans
from modules.engine.postprocess.watch import Watch

make_torchvision_importable()

import spandrel  # noqa: E402 - see the line above
from spandrel import canonicalize_state_dict  # noqa: E402

if TYPE_CHECKING:
    from spandrel import ImageModelDescriptor

PURPOSES = ("SR", "Restoration")


class SpandrelUpscaler:
    """A network that spandrel built."""

    def __init__(
        self, model: ImageModelDescriptor[Any], device: torch.device, dtype: torch.dtype
    ) -> None:
        self._model = model
        self._device = device
        self._dtype = dtype
        self.scale = model.scale
        self.architecture = model.architecture.name

    def run(self, pixels: np.ndarray, tile: int, overlap: int, watch: Watch) -> np.ndarray:
        """Enlarge RGB bytes [height, width, 3] by `scale`, in tiles of `tile` pixels (0: whole).

        Raises:
            RuntimeError: the network failed, most likely for want of memory.
            StopSampling: the job was interrupted.
        """

        def network(planes: Tensor) -> Tensor:
            watch.before()
            result = self._colours(planes.to(self._device, self._dtype))
            watch.after()
            return result

        return enlarge(pixels, network, self.scale, tile, overlap)

    def tiles(self, width: int, height: int, tile: int, overlap: int) -> int:
        """How often the network is evaluated for a picture."""
        return len(spans(width, tile, overlap)) * len(spans(height, tile, overlap))

    def _colours(self, planes: Tensor) -> Tensor:
        if self._model.input_channels == 1:
            grey = self._model(planes.transpose(0, 1))  # the three colours as a batch
            return grey.transpose(0, 1)
        return self._model(planes)


def load_spandrel(
    content: Mapping[str, Any], path: Path, device: torch.device, dtype: torch.dtype
) -> SpandrelUpscaler:
    """An upscaler around the tensors of a weights file.

    Raises:
        UnsupportedModelError: it is no network, or one that does not enlarge pictures.
    """
    state = canonicalize_state_dict(dict(content))
    try:
        model = spandrel.ModelLoader(device).load_from_state_dict(state)
    except spandrel.UnsupportedModelError as error:
        reason = "is of no architecture that is known here"
        raise UnsupportedModelError(path, reason) from error
    except (KeyError, ValueError, RuntimeError, AttributeError, IndexError) as error:
        raise UnsupportedModelError(path, "holds a network with parts missing") from error
    if not isinstance(model, spandrel.ImageModelDescriptor) or model.purpose not in PURPOSES:
        reason = f"is a {model.architecture.name} network, which does not enlarge pictures"
        raise UnsupportedModelError(path, reason)
    if model.input_channels not in (1, 3) or model.input_channels != model.output_channels:
        raise UnsupportedModelError(path, "does not work on pictures with three colours")
    if dtype == torch.float16 and not model.supports_half:
        dtype = torch.bfloat16 if model.supports_bfloat16 else torch.float32
    model.model.eval().requires_grad_(False).to(device=device, dtype=dtype)
    return SpandrelUpscaler(model, device, dtype)
