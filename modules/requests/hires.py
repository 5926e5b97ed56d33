"""Sizes of hires fix's second pass, by arithmetic alone."""

from __future__ import annotations

import math
from dataclasses import dataclass

from modules.requests.generation import GenerationRequest


@dataclass(frozen=True)
class HiresSize:
    """What the first pass is enlarged to, and what remains of that.

    ``upscale_width`` x ``upscale_height`` covers ``width`` x ``height``; what is over is cut off
    evenly on both sides ("truncate"). All are multiples of 8.
    """

    upscale_width: int
    upscale_height: int
    width: int
    height: int


def hires_size(request: GenerationRequest) -> HiresSize:
    """The second pass's size as A1111 works it out.

    Both ``hr_resize`` sides 0: ``hr_scale`` counts. One of them 0: the first pass's proportions are
    kept. Both given: enlarged until it covers them, then cut to exactly that.
    """
    width, height = request.width // 8 * 8, request.height // 8 * 8
    wanted_x, wanted_y = request.hr_resize_x, request.hr_resize_y
    if not wanted_x and not wanted_y:
        return _plain(int(width * request.hr_scale), int(height * request.hr_scale))
    if not wanted_y:
        return _plain(wanted_x, wanted_x * height // width)
    if not wanted_x:
        return _plain(wanted_y * width // height, wanted_y)
    # The side that needs more enlargement decides; integers only, so no rounding surprises.
    if wanted_x * height >= wanted_y * width:
        cover = (wanted_x, wanted_x * height // width)
    else:
        cover = (wanted_y * width // height, wanted_y)
    upscaled = _grid(max(cover[0], wanted_x)), _grid(max(cover[1], wanted_y))
    return HiresSize(*upscaled, _grid(wanted_x), _grid(wanted_y))


def with_first_pass_size(request: GenerationRequest) -> GenerationRequest:
    """Old clients' fields in today's: with a first pass of its own, width and height are the goal.

    A side of the first pass that is left out is chosen so that the area is about 512 x 512.
    """
    if not request.enable_hr or not (request.firstphase_width or request.firstphase_height):
        return request
    width, height = request.firstphase_width, request.firstphase_height
    if not width or not height:
        scale = (512 * 512 / (request.width * request.height)) ** 0.5
        width = width or math.ceil(scale * request.width / 64) * 64
        height = height or math.ceil(scale * request.height / 64) * 64
    return request.model_copy(
        update={
            "hr_resize_x": request.width,
            "hr_resize_y": request.height,
            "width": width,
            "height": height,
            "firstphase_width": 0,
            "firstphase_height": 0,
        }
    )


def _plain(width: int, height: int) -> HiresSize:
    width, height = _grid(width), _grid(height)
    return HiresSize(width, height, width, height)


def _grid(side: int) -> int:
    """Rounded down to the latent grid, never below one cell."""
    return max(8, side // 8 * 8)
