"""What depth models (SD 2.x with 5 channels) are shown: how near every part of the picture is.

The map comes with the request, or from a depth estimator: the one inside of the checkpoint's file,
or one that lies in the model's folder or near it. All are relative and nearer is brighter, as MiDaS
and DPT say it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from modules.catalog.errors import ModelFileError
from modules.catalog.folders import read_json
from modules.catalog.parts import depth_estimator
from modules.catalog.weights import weights_header
from modules.engine.checkpoints import LoadedModel
from modules.engine.checkpoints.components import build_empty, fill, materialise
from modules.engine.checkpoints.errors import ModelLoadError
from modules.engine.checkpoints.families.single_file import planned
from modules.engine.checkpoints.layouts.midas import read_midas
from modules.engine.checkpoints.layouts.names import Names
from modules.engine.compat.torchvision_ops import make_torchvision_importable
from modules.engine.generation.canvas import Canvas
from modules.imaging.resizing import FILL, STRETCH, resize_to
from modules.requests.errors import RequestError

FIELD = "depth_map"
INSIDE = "depth_model.model."
"""Before the names of an estimator inside a single file."""
LARGEST_SIDE = 1024
"""Of what an estimator looks at; the known ones use 384."""
_PREPROCESSOR = "preprocessor_config.json"


def as_depth(image: Image.Image) -> Tensor:
    """A picture's brightness as depth [1, 1, height, width], 0 to 1."""
    grey = np.asarray(image.convert("L")).astype(np.float32) / 255
    return torch.from_numpy(grey)[None, None]


def depth_of_canvas(image: Image.Image, canvas: Canvas, resize_mode: int) -> Tensor:
    """The part of a request's map that belongs to a canvas, resized and cut like its picture."""
    if canvas.box is not None and canvas.original is not None:
        whole = resize_to(image.convert("L"), STRETCH, *canvas.original.size)
        return as_depth(resize_to(whole.crop(canvas.box), FILL, *canvas.source.size))
    mode = resize_mode if resize_mode <= FILL else STRETCH
    return as_depth(resize_to(image.convert("L"), mode, *canvas.source.size))


def shown_depth(depth: Tensor, size: tuple[int, int]) -> Tensor:
    """Maps [batch, 1, height, width] at latent ``size``, each from -1 (far) to 1 (near)."""
    small = torch.nn.functional.interpolate(
        depth.float(), size=size, mode="bicubic", align_corners=False
    )
    low, high = (edge(small, dim=(1, 2, 3), keepdim=True) for edge in (torch.amin, torch.amax))
    # A flat map has no near and far.
    span = torch.where(high > low, high - low, torch.ones_like(high))
    return 2 * (small - low) / span - 1


def estimated_depth(model: LoadedModel, pixels: Tensor | None) -> Tensor:
    """The depth [batch, 1, height, width] of pictures [batch, 3, height, width] in [-1, 1].

    Raises:
        RequestError: there is no picture, or no estimator to look at it.
        ModelLoadError: the estimator cannot be used.
    """
    if pixels is None:
        raise RequestError(
            FIELD,
            None,
            f"{model.name} is a depth model: it needs a picture (img2img) or a depth map.",
        )
    network, told = _inside(model.path, model.device), {}
    if network is None:
        folder = depth_estimator(model.path)
        if folder is None:
            raise RequestError(
                FIELD,
                None,
                f"{model.name} is a depth model and no depth estimator was found: send a depth "
                "map, or put Intel/dpt-hybrid-midas (config.json and model.safetensors) into "
                "models/depth_estimator.",
            )
        network, told = _load(folder, model.device), _told(folder)
    else:
        told = {"size": network.config.image_size}
    with torch.inference_mode():
        return network(_look(told, pixels).to(model.device)).predicted_depth[:, None].float()


def _inside(path: Path, device: torch.device) -> torch.nn.Module | None:
    """The estimator inside a single file, in 32 bits; None when there is none.

    Raises:
        ModelLoadError: it is there and cannot be used.
    """
    if not path.is_file():
        return None
    try:
        header = weights_header(path)
        if not header.has_prefix(INSIDE):
            return None
        names = Names.below(header, INSIDE)
        plan = planned(path, "midas", "depth estimator", lambda: read_midas(names), {})
        network = materialise(build_empty(plan), torch.float32, device)
        fill(network, plan)
    except ModelFileError as error:
        raise ModelLoadError.of(error, path) from error
    return network


def _load(folder: Path, device: torch.device) -> torch.nn.Module:
    """transformers' DPT in 32 bits, as its normalisation wants it."""
    make_torchvision_importable()
    from transformers.models.dpt.modeling_dpt import DPTForDepthEstimation

    try:
        config = read_json(folder / "config.json", folder)
        if config.get("model_type") != "dpt" or "auto_map" in config or config.get("backbone"):
            raise ModelLoadError(folder.name, "is not a DPT depth estimator with its own backbone")
        network = DPTForDepthEstimation.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, dtype=torch.float32
        )
    except ModelFileError as error:
        raise ModelLoadError.of(error, folder) from error
    except (OSError, ValueError, RuntimeError, KeyError, TypeError) as error:
        reason = f"is not a depth estimator that can be used ({error})"
        raise ModelLoadError(folder.name, reason) from error
    return network.to(device).eval()


def _look(told: Mapping[str, Any], pixels: Tensor) -> Tensor:
    """The pictures as the estimator wants to see them: size, mean and deviation."""
    size = told.get("size", 384)
    if isinstance(size, dict):
        size = size.get("height", 384)
    side = max(32, min(int(size), LARGEST_SIDE))
    mean, deviation = (
        torch.tensor([float(one) for one in told.get(key, default)]).view(1, 3, 1, 1)
        for key, default in (("image_mean", [0.5] * 3), ("image_std", [0.5] * 3))
    )
    resample = Image.Resampling(int(told.get("resample", Image.Resampling.BICUBIC)))
    rows = []
    for one in pixels:
        eight_bits = ((one.clamp(-1, 1) + 1) * 127.5).round().byte().permute(1, 2, 0)
        picture = Image.fromarray(eight_bits.cpu().numpy()).resize((side, side), resample)
        rows.append(torch.from_numpy(np.asarray(picture).astype(np.float32) / 255).permute(2, 0, 1))
    return (torch.stack(rows) - mean) / deviation


def _told(folder: Path) -> dict[str, Any]:
    for place in (folder, folder.parent / "feature_extractor"):
        if (place / _PREPROCESSOR).is_file():
            return read_json(place / _PREPROCESSOR, place)
    return {}
