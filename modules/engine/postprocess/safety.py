"""The safety checker: tells pictures that look like nudity, and hides them.

diffusers' ``StableDiffusionSafetyChecker`` with weights from the user's own folder: a CLIP image
encoder whose result is compared with 17 concepts, each with a threshold of its own. It lets things
through and stops harmless pictures; that is in its nature.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from PIL import Image, ImageFilter

from modules.catalog.errors import ModelFileError
from modules.catalog.safety import CONFIG, WEIGHTS
from modules.engine.checkpoints.errors import ModelLoadError
from modules.engine.interrogate.folders import load_network, plain_part, read_config
from modules.engine.interrogate.pixels import centred
from modules.requests.errors import RequestError

KEY = "Safety checker"
"""Of the infotext."""
GREY = (119, 119, 119)
BLUR_SHARE = 16
"""The longer side is so many times the blur's radius."""
COARSE = 12
"""A blurred picture is brought down to so many pixels first: blur alone can be sharpened again."""


class SafetyGuard:
    """Looks at the pictures of one job before anybody else does."""

    def __init__(self, mode: str, resources: Mapping[str, Any]) -> None:
        """``mode``: the setting, "blur" or "block".

        The processor does the work: a second for a picture, and none of the device's memory.

        Raises:
            RequestError: the job does not say where the checker lies.
            ModelLoadError: its files are not what they should be.
        """
        folder = resources.get("safety_checker")
        if not folder:
            raise RequestError("safety_checker", mode, "the job does not say where its files are.")
        self._mode = mode
        try:
            self._network = _network(*_identity(Path(folder)))
        except ModelFileError as error:
            raise ModelLoadError.of(error, Path(folder)) from error
        self._hidden: set[int] = set()

    @classmethod
    def of_job(cls, options: Mapping[str, Any], resources: Mapping[str, Any]) -> SafetyGuard | None:
        """The guard that the settings want; None when it is off. Raises as the constructor."""
        mode = str(options.get("safety_checker") or "off")
        return None if mode == "off" else cls(mode, resources)

    def passed(self, index: int, picture: Image.Image) -> tuple[Image.Image, str]:
        """The picture as it may be shown, and what was done to it: "", "blurred" or "blocked".

        What belongs to a hidden picture of the job and comes after it is hidden too.
        """
        if index not in self._hidden and not self._fires(picture):
            return picture, ""
        self._hidden.add(index)
        if self._mode == "blur":
            return blurred(picture), "blurred"
        return Image.new("RGB", picture.size, GREY), "blocked"

    @torch.inference_mode()
    def _fires(self, picture: Image.Image) -> bool:
        side = self._network.config.vision_config.image_size
        # The second argument would be blackened in place; the answer is all that is wanted.
        _, found = self._network(centred(picture, side), torch.zeros(1, 1))
        return bool(found[0])


def blurred(picture: Image.Image) -> Image.Image:
    """The picture with nothing left but where it is light and which colours it has."""
    wide, high = picture.size
    scale = COARSE / max(wide, high)
    small = (max(1, round(wide * scale)), max(1, round(high * scale)))
    coarse = picture.convert("RGB").resize(small, Image.Resampling.BOX)
    large = coarse.resize(picture.size, Image.Resampling.BICUBIC)
    return large.filter(ImageFilter.GaussianBlur(max(wide, high) / BLUR_SHARE))


def _identity(folder: Path) -> tuple[Path, int, int]:
    """The folder with size and time of its weights: when they are replaced, they are read again."""
    try:
        status = (folder / WEIGHTS).stat()
    except OSError:
        return folder, 0, 0
    return folder, status.st_size, status.st_mtime_ns


@functools.lru_cache(maxsize=1)
def _network(folder: Path, _size: int, _time: int) -> torch.nn.Module:
    from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
    from transformers.models.clip.configuration_clip import CLIPConfig

    path = folder / CONFIG
    content = read_config(path)
    vision = plain_part(content, "vision_config", path)
    width = content.get("projection_dim")
    projection = {"projection_dim": width} if isinstance(width, int) and 0 < width < 10_000 else {}

    def build() -> torch.nn.Module:
        return StableDiffusionSafetyChecker(CLIPConfig(vision_config=vision, **projection))

    return load_network(build, folder / WEIGHTS, torch.device("cpu"), _renamed)


def _renamed(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The names of this installation's transformers: newer ones nest the encoder once less."""
    nested = "vision_model.vision_model."
    plain = {
        ("vision_model." + name[len(nested) :] if name.startswith(nested) else name): tensor
        for name, tensor in state.items()
    }
    return {**state, **plain}
