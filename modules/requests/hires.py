"""Sizes of hires fix's second pass, by arithmetic alone."""

from __future__ import annotations

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


def _plain(width: int, height: int) -> HiresSize:
    width, height = _grid(width), _grid(height)
    return HiresSize(width, height, width, height)


def _grid(side: int) -> int:
    """Rounded down to the latent grid, never below one cell."""
    return max(8, side // 8 * 8)
