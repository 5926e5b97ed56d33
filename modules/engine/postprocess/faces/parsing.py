"""ParseNet: which pixels of a cut-out are the face itself. Optional; its file is not shipped."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import torch

from modules.catalog.errors import ModelFileError, UnreadableModelError
from modules.engine.compat.torchvision_ops import make_torchvision_importable
from modules.engine.postprocess.faces.blending import feathered, of_classes
from modules.engine.weight_files import read_weights, state_dict_of

logger = logging.getLogger("easel.engine")

SIDE = 512
CLASSES = 19


class FaceMasks:
    """Masks for blending: the face's outline if ParseNet's file is there, else a soft square."""

    def __init__(self, path: Path | None, device: torch.device) -> None:
        self._device = device
        self._network = None
        if path is not None:
            try:
                self._network = _loaded(path, device)
            except ModelFileError as error:
                logger.warning("%s; faces are blended without their outline", error.sentence)

    def of(self, restored: torch.Tensor) -> np.ndarray:
        """A mask ``[side, side]`` in [0, 1] for restored pixels ``[1, 3, side, side]``."""
        side = restored.shape[-1]
        if self._network is None:
            return feathered(side)
        scaled = torch.nn.functional.interpolate(restored, (SIDE, SIDE), mode="bilinear")
        scores = self._network(scaled.to(self._device))[0]
        return of_classes(scores.argmax(dim=1)[0].cpu().numpy(), side)


def _loaded(path: Path, device: torch.device) -> torch.nn.Module:
    make_torchvision_importable()
    from facexlib.parsing.parsenet import ParseNet

    network = ParseNet(in_size=SIDE, out_size=SIDE, parsing_ch=CLASSES)
    try:
        network.load_state_dict(state_dict_of(read_weights(path), "state_dict"), strict=True)
    except RuntimeError as error:
        raise UnreadableModelError(path, "is not ParseNet's weights") from error
    return network.eval().requires_grad_(False).to(device)
