"""CodeFormer's network through spandrel's extra architectures.

CodeFormer (S. Zhou et al., NeurIPS 2022) is published under the S-Lab License 1.0, which allows no
commercial use. Its code is therefore not part of spandrel but of the package spandrel_extra_arches,
and of nothing that Easel contains.
"""

from __future__ import annotations

from pathlib import Path

import torch

from modules.catalog.errors import UnreadableModelError
from modules.engine.compat.torchvision_ops import make_torchvision_importable
from modules.engine.weight_files import read_weights, state_dict_of
from modules.requests.errors import RequestError


class CodeFormerRestorer:
    """Restores faces cut out at 512 x 512 pixels."""

    side = 512

    def __init__(self, path: Path, device: torch.device) -> None:
        """
        Raises:
            UnreadableModelError: the file is damaged or holds something else.
            RequestError: the package with the network is not installed.
        """
        make_torchvision_importable()
        try:
            from spandrel_extra_arches.architectures.CodeFormer import CodeFormerArch
        except ImportError as error:
            raise RequestError(
                "face_restoration_model",
                "CodeFormer",
                "CodeFormer needs the package spandrel_extra_arches (some of it is not for "
                "commercial use); install it with: pip install spandrel_extra_arches==0.2.0",
            ) from error
        state = state_dict_of(read_weights(path), "params_ema", "params")
        architecture = CodeFormerArch()
        if not architecture.detect(state):
            raise UnreadableModelError(path, "is not a CodeFormer network")
        try:
            model = architecture.load(state).model
        except (RuntimeError, KeyError, IndexError, ValueError) as error:
            raise UnreadableModelError(path, "is not a complete CodeFormer network") from error
        self._network = model.float().eval().requires_grad_(False).to(device)

    def __call__(self, pixels: torch.Tensor, weight: float) -> torch.Tensor:
        """Restored pixels ``[1, 3, 512, 512]`` in [-1, 1].

        ``weight``: 0 trusts the network most, 1 the given picture.
        """
        return self._network(pixels, weight=weight)[0]
