"""Restore the faces in a picture: find, align, restore, blend back."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from PIL import Image

from modules.catalog.download import fetch_model
from modules.catalog.errors import ModelFileError
from modules.catalog.restorers import FACE_PARSER, RestorerInfo
from modules.engine.checkpoints.errors import ModelLoadError
from modules.engine.generation.memory import free_caches, is_out_of_memory
from modules.engine.postprocess.faces.detector import Face, shared_detector
from modules.requests.errors import NotFoundInList, RequestError

logger = logging.getLogger("easel.engine")

METHODS = ("GFPGAN", "CodeFormer")
CONFIDENCE = 0.8
"""Less certain finds are left alone: a face painted where none is spoils a picture."""

Watch = Callable[[int, int], None]
"""Called with (faces done, faces altogether) before each face and at the end; may raise to stop."""
Fetch = Callable[[RestorerInfo], Path]
"""Brings a file that is not there, as `fetch_model` does, which is used when none is given."""


class Restorer(Protocol):
    """A restoring network: pixels ``[1, 3, side, side]`` in [-1, 1], the same out."""

    side: int

    def __call__(self, pixels: torch.Tensor, weight: float) -> torch.Tensor: ...


@dataclass(frozen=True)
class Restoration:
    """A picture with restored faces."""

    image: Image.Image
    faces: tuple[Face, ...]
    """The faces that were restored, the largest first; empty: the picture is as it was."""


def restore_faces(
    image: Image.Image,
    method: str,
    visibility: float,
    codeformer_weight: float,
    resources: Mapping[str, Any],
    device: torch.device,
    *,
    watch: Watch | None = None,
    fetch: Fetch | None = None,
) -> Image.Image:
    """The picture with its faces restored; see :func:`restoration`."""
    return restoration(
        image, method, visibility, codeformer_weight, resources, device, watch=watch, fetch=fetch
    ).image


@torch.inference_mode()
def restoration(
    image: Image.Image,
    method: str,
    visibility: float,
    codeformer_weight: float,
    resources: Mapping[str, Any],
    device: torch.device,
    *,
    watch: Watch | None = None,
    fetch: Fetch | None = None,
) -> Restoration:
    """Restore every face; what lies outside the faces keeps its bytes, transparency too.

    Args:
        image: any mode; the result has the same (palettes become RGB).
        method: "GFPGAN" or "CodeFormer", without regard to case.
        visibility: 0 to 1, the restored faces' share in the result.
        codeformer_weight: 0 (most restoration) to 1 (most of the given face).
        resources: ``{"restorers": {name: RestorerInfo.to_json()}}`` of the job.
        fetch: called when the restorer's file is not there.

    Raises:
        NotFoundInList: the method is not known.
        RequestError: its file is not there and could not be brought.
        ModelLoadError: its file is not what it should be.
    """
    name = _method(method)
    if visibility <= 0:
        return Restoration(image, ())
    found = shared_detector().detect(image, CONFIDENCE)
    if not found:
        return Restoration(image, ())
    path = _file(name, resources, fetch)
    work = _Work(image, name, path, _parser_file(resources), visibility, codeformer_weight, watch)
    try:
        return work.done(found, device)
    except RuntimeError as error:
        if device.type == "cpu" or not is_out_of_memory(error):
            raise
    logger.warning("Restoring faces does not fit into the device's memory; the processor does it.")
    forget_restorers()
    free_caches(device)
    return work.done(found, torch.device("cpu"))


def forget_restorers() -> None:
    """Give the restorers' memory back; the next call reads them again."""
    _restorer.cache_clear()
    _masks.cache_clear()


@dataclass(frozen=True)
class _Work:
    """What is to be done to one picture."""

    image: Image.Image
    method: str
    path: Path
    parser: Path | None
    visibility: float
    weight: float
    watch: Watch | None

    def done(self, found: list[Face], device: torch.device) -> Restoration:
        """Do it on a device."""
        from modules.engine.postprocess.faces.alignment import aligned
        from modules.engine.postprocess.faces.blending import lay_in

        try:
            restorer = _restorer(self.method, *_identity(self.path), device)
        except ModelFileError as error:
            raise ModelLoadError.of(error, self.path) from error
        masks = _masks(*_identity(self.parser), device)
        tell = self.watch or (lambda _done, _total: None)
        picture = np.array(self.image.convert("RGB"))
        # All faces are cut out first: one laid in must not reach into the next one's cut-out.
        cut_outs = list(aligned(picture, found, restorer.side))
        for index, cut_out in enumerate(cut_outs):
            tell(index, len(cut_outs))
            result = restorer(_pixels(cut_out.pixels, device), self.weight)
            if torch.isfinite(result).all():
                mask = masks.of(result)
                lay_in(picture, _bytes(result), cut_out.matrix, mask, min(self.visibility, 1.0))
        tell(len(cut_outs), len(cut_outs))
        faces = tuple(cut_out.face for cut_out in cut_outs)
        return Restoration(_like(self.image, picture) if faces else self.image, faces)


def _like(image: Image.Image, pixels: np.ndarray) -> Image.Image:
    """RGB pixels as a picture of another's mode, with its transparency."""
    finished = Image.fromarray(pixels)
    if image.mode in ("RGBA", "LA"):
        finished.putalpha(image.getchannel("A"))
    return finished.convert(image.mode) if image.mode in ("L", "LA") else finished


def _pixels(picture: np.ndarray, device: torch.device) -> torch.Tensor:
    channels_first = torch.from_numpy(picture.transpose(2, 0, 1).copy())[None]
    return channels_first.to(device).float() / 127.5 - 1


def _bytes(pixels: torch.Tensor) -> np.ndarray:
    scaled = ((pixels[0].float().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
    return scaled.permute(1, 2, 0).cpu().numpy()


def _method(method: str) -> str:
    for name in METHODS:
        if name.lower() == method.strip().lower():
            return name
    raise NotFoundInList("face_restoration_model", method, METHODS)


def _file(name: str, resources: Mapping[str, Any], fetch: Fetch | None) -> Path:
    listed = resources.get("restorers") or {}
    if name not in listed:
        reason = f"the job does not say where {name}'s file is."
        raise RequestError("face_restoration_model", name, reason)
    info = RestorerInfo.from_json(listed[name])
    if info.present:
        return info.path
    return fetch(info) if fetch else fetch_model(info, info.path.parent)


def _parser_file(resources: Mapping[str, Any]) -> Path | None:
    listed = (resources.get("restorers") or {}).get(FACE_PARSER)
    info = RestorerInfo.from_json(listed) if listed else None
    return info.path if info is not None and info.present else None


def _identity(path: Path | None) -> tuple[Path | None, int, int]:
    """A file by name, size and time: when it is replaced, it is read again."""
    if path is None:
        return None, 0, 0
    status = path.stat()
    return path, status.st_size, status.st_mtime_ns


@functools.lru_cache(maxsize=2)
def _restorer(name: str, path: Path, _size: int, _time: int, device: torch.device) -> Restorer:
    if name == "GFPGAN":
        from modules.engine.postprocess.faces.gfpgan_network import GfpganRestorer

        return GfpganRestorer(path, device)
    from modules.engine.postprocess.faces.codeformer_network import CodeFormerRestorer

    return CodeFormerRestorer(path, device)


@functools.lru_cache(maxsize=1)
def _masks(path: Path | None, _size: int, _time: int, device: torch.device) -> Any:
    from modules.engine.postprocess.faces.parsing import FaceMasks

    return FaceMasks(path, device)
