"""The step "Upscale" of Extras: the sizes, two upscalers blended, and results kept for reuse."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from PIL import Image

from modules.engine.postprocess.upscale import Upscaling, scaled_size
from modules.requests.extras import ExtrasRequest

Key = tuple[Any, ...]

KEPT_BYTES = 512 * 1024 * 1024


class ResultCache:
    """The pictures that were upscaled last: another face restorer needs no second upscaling."""

    def __init__(self) -> None:
        self._pictures: OrderedDict[Key, Image.Image] = OrderedDict()

    def get(self, key: Key) -> Image.Image | None:
        """A copy of a picture that is there."""
        found = self._pictures.get(key)
        if found is None:
            return None
        self._pictures.move_to_end(key)
        return found.copy()

    def put(self, key: Key, image: Image.Image, places: int) -> None:
        """Keep a picture; at most `places` stay, and half a gigabyte."""
        self._pictures[key] = image.copy()
        self._pictures.move_to_end(key)
        while len(self._pictures) > max(0, places) or (
            self._pictures and sum(map(_bytes, self._pictures.values())) > KEPT_BYTES
        ):
            self._pictures.popitem(last=False)

    def clear(self) -> None:
        """Free the memory."""
        self._pictures.clear()

    def __len__(self) -> int:
        return len(self._pictures)


CACHE = ResultCache()


@dataclass(frozen=True)
class Target:
    """The size a picture is enlarged to, and what the infotext says about it."""

    width: int
    height: int
    crop: tuple[int, int] | None
    info: dict[str, Any]

    @classmethod
    def of(cls, request: ExtrasRequest, size: tuple[int, int]) -> Target:
        """What the request asks for a picture of this size."""
        if request.resize_mode == 1:
            return cls._to(request, size)
        factor = request.upscaling_resize
        info: dict[str, Any] = {"Postprocess upscale by": _plain(factor)}
        limit = request.max_side_length
        if limit and max(size) * factor > limit:
            factor = limit / max(size)
            info["Max side length"] = limit
        return cls(*scaled_size(size, factor), None, info)

    @classmethod
    def _to(cls, request: ExtrasRequest, size: tuple[int, int]) -> Target:
        wanted = request.upscaling_resize_w, request.upscaling_resize_h
        factor = max(wanted[0] / size[0], wanted[1] / size[1])
        info: dict[str, Any] = {"Postprocess upscale to": f"{wanted[0]}x{wanted[1]}"}
        width = max(wanted[0], round(size[0] * factor))
        height = max(wanted[1], round(size[1] * factor))
        if not request.upscaling_crop:
            return cls(width, height, None, info)
        info["Postprocess crop to"] = f"{wanted[0]}x{wanted[1]}"
        return cls(width, height, wanted, info)


def enlarge(
    image: Image.Image,
    request: ExtrasRequest,
    upscaling: Upscaling,
    begin: Callable[[str], None],
    *,
    cache: ResultCache = CACHE,
    places: int = 5,
) -> tuple[Image.Image, dict[str, Any]]:
    """The enlarged picture and its infotext keys; upscaler "None" leaves the picture alone.

    Args:
        begin: called with an upscaler's name before it starts.
        places: how many results are kept.

    Raises: as `Upscaling.upscale_to`.
    """
    if request.upscaler_1 == "None":
        return image, {}
    target = Target.of(request, image.size)
    forced = target.width == image.width and target.height == image.height
    pixels = _fingerprint(image)

    def with_one(name: str) -> Image.Image:
        key = (*pixels, name, target.width, target.height, upscaling.key(name))
        begin(name)
        found = cache.get(key) if places > 0 else None
        if found is None:
            found = upscaling.upscale_to(image, name, target.width, target.height, force=forced)
            cache.put(key, found, places)
        return found

    result = with_one(request.upscaler_1)
    info = {**target.info, "Postprocess upscaler": request.upscaler_1}
    visibility = request.extras_upscaler_2_visibility
    if request.upscaler_2 != "None" and visibility > 0:
        second = with_one(request.upscaler_2)
        result = Image.blend(result, second.convert(result.mode), visibility)
        info["Postprocess upscaler 2"] = request.upscaler_2
    if target.crop is not None:
        result = _centre(result, *target.crop)
    return result, info


def _centre(image: Image.Image, width: int, height: int) -> Image.Image:
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return image.crop((left, top, left + width, top + height))


def _fingerprint(image: Image.Image) -> Key:
    return hashlib.sha256(image.tobytes()).hexdigest(), image.size, image.mode


def _plain(number: float) -> int | float:
    return int(number) if number == int(number) else number


def _bytes(image: Image.Image) -> int:
    return image.width * image.height * len(image.getbands())
