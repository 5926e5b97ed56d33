"""How much one job may ask for; checked with arithmetic alone, before anything is allocated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from modules.requests.errors import RequestError
from modules.requests.generation import GenerationRequest
from modules.requests.hires import hires_size

SIDE_LIMIT = 16384
"""Longest side in pixels, whatever the pixel budget."""


@dataclass(frozen=True)
class Limits:
    """Upper bounds of one job."""

    megapixels: float = 16.8
    """Of one image, and of one batch that is computed at once times 8."""
    images: int = 1000
    input_megapixels: float = 64.0
    """Of one input picture."""
    result_megapixels: float = 100.0
    """Of one picture that is made larger tile by tile: Extras, outpainting."""

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> Limits:
        """The limits that the settings ask for."""
        return cls(
            megapixels=float(options["max_image_megapixels"]),
            images=int(options["max_images_per_job"]),
            input_megapixels=float(options["max_input_megapixels"]),
            result_megapixels=float(options["max_result_megapixels"]),
        )

    def within(self, ceiling: Limits | None) -> Limits:
        """The stricter of both, bound by bound; without a ceiling, these limits."""
        if ceiling is None:
            return self
        return Limits(
            megapixels=min(self.megapixels, ceiling.megapixels),
            images=min(self.images, ceiling.images),
            input_megapixels=min(self.input_megapixels, ceiling.input_megapixels),
            result_megapixels=min(self.result_megapixels, ceiling.result_megapixels),
        )


TEST_LIMITS = Limits(megapixels=4.0, images=64, input_megapixels=16.0, result_megapixels=16.8)
"""What `--test-mode` allows at most, so that an automatic test cannot occupy the machine."""


def check_budget(request: GenerationRequest, limits: Limits) -> None:
    """Refuse a job that is too large, its second pass included.

    Raises:
        RequestError: the first field that exceeds its bound, with the bound.
    """
    for name in ("width", "height"):
        check_side(name, getattr(request, name))
    _check_batch("width", request.width, request.height, request.batch_size, limits)
    if request.enable_hr:
        enlarged = hires_size(request)
        name = "hr_resize_x" if request.hr_resize_x or request.hr_resize_y else "hr_scale"
        for side in (enlarged.upscale_width, enlarged.upscale_height):
            check_side(name, side)
        _check_batch(
            name, enlarged.upscale_width, enlarged.upscale_height, request.batch_size, limits
        )
    images = request.batch_size * request.n_iter
    if images > limits.images:
        raise RequestError(
            "n_iter",
            request.n_iter,
            f"{images} images in one job; allowed: {limits.images} (setting max_images_per_job).",
        )


def check_side(field: str, side: int) -> None:
    """Refuse a side beyond what any part of the program takes.

    Raises:
        RequestError: it is too long.
    """
    if side > SIDE_LIMIT:
        raise RequestError(field, side, f"{side} is too large; allowed: 8 to {SIDE_LIMIT} pixels.")


def check_result(field: str, width: int, height: int, limits: Limits) -> None:
    """Refuse a result of tile by tile work that is too large.

    Raises:
        RequestError: a side or the number of pixels exceeds its bound.
    """
    for side in (width, height):
        check_side(field, side)
    megapixels = width * height / 1e6
    if megapixels > limits.result_megapixels:
        raise RequestError(
            field,
            f"{width}x{height}",
            f"the result would be {width}x{height} = {megapixels:.1f} megapixels; "
            f"allowed: {limits.result_megapixels:g} (setting max_result_megapixels).",
        )


def _check_batch(field: str, width: int, height: int, batch_size: int, limits: Limits) -> None:
    megapixels = width * height / 1e6
    if megapixels > limits.megapixels:
        raise RequestError(
            field,
            width,
            f"{width}x{height} is {megapixels:.1f} megapixels; allowed: {limits.megapixels:g} "
            "(setting max_image_megapixels).",
        )
    if megapixels * batch_size > limits.megapixels * 8:
        raise RequestError(
            "batch_size",
            batch_size,
            f"{batch_size} images of {width}x{height} at once exceed "
            f"{limits.megapixels * 8:g} megapixels.",
        )
