"""The one master picture of an outpainting: what is known stays, windows add to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from modules.imaging.extend import Canvas, Stretch, Window, extend_edges
from modules.imaging.masks import Box, kernel_size
from modules.imaging.membrane import distance, spread
from modules.imaging.spectrum import shaped_noise
from modules.requests.generation import Outpaint

Render = Callable[[Image.Image, Image.Image], Image.Image]
"""A window (RGB) and its mask (L, 255 = new) to the repainted window of the same size."""

LEAST_OVERLAP = 8
"""Pixels of the known part that are rendered again at least: one cell of the latent grid."""
EDGE = 32
"""How many pixels around a new part are looked at to extend its edge."""
REACH = 6
"""How far a colour shift is bent away at the seam, in units of the feathering."""


@dataclass
class Master:
    """Pixels [height, width, 3] of the finished size, and which of them are settled."""

    canvas: Canvas
    pixels: NDArray[np.uint8]
    known: NDArray[np.bool_]

    @classmethod
    def around(cls, image: Image.Image, canvas: Canvas) -> Master:
        """A master with the original in its place and nothing else."""
        width, height = canvas.size
        master = cls(
            canvas, np.zeros((height, width, 3), np.uint8), np.zeros((height, width), bool)
        )
        master.pixels[_part(canvas.original)] = np.asarray(image.convert("RGB"))
        master.known[_part(canvas.original)] = True
        return master

    def picture(self, box: Box | None = None) -> Image.Image:
        """A part of the master as a picture; all of it without ``box``."""
        return Image.fromarray(self.pixels[_part(box)] if box else self.pixels)

    def begin_noise(self, stretch: Stretch, spec: Outpaint, seed: int) -> None:
        """Noise shaped to the picture beside the stretch, growing out of its extended edge."""
        noise = shaped_noise(
            self.picture(_beside(stretch)),
            stretch.paint.size,
            seed,
            spec.fall_off,
            spec.colour_variation,
        )
        near = stretch.paint.within(self.canvas.size, EDGE)
        away = distance(self.known[_part(near)])
        inner = _part(stretch.paint.moved(-near.left, -near.top))
        share = np.clip(away[inner] / max(1, 2 * spec.mask_blur), 0, 1)[..., None]
        self.begin_edges(stretch.paint)
        part = _part(stretch.paint)
        start = self.pixels[part].astype(np.float32)
        mixed = start + (np.asarray(noise).astype(np.float32) - start) * share
        fresh = ~self.known[part]
        self.pixels[part][fresh] = np.rint(mixed).astype(np.uint8)[fresh]

    def begin_edges(self, box: Box) -> None:
        """Within ``box``, unknown places take the colours of the known ones next to them."""
        part = _part(box.within(self.canvas.size, EDGE))
        self.pixels[part] = extend_edges(self.pixels[part], self.known[part])

    def paint(self, window: Window, feather: int, render: Render) -> bool:
        """Render a window and settle what is unknown in its paint; False if nothing is.

        The renderer also repaints a margin of the known part. That shows by how much its colours
        are off; the difference is bent away over the new part, and the known pixels stay.
        """
        view, known = self.pixels[_part(window.box)], self.known[_part(window.box)]
        wanted = np.zeros_like(known)
        wanted[_part(window.paint.moved(-window.box.left, -window.box.top))] = True
        fresh = wanted & ~known
        if not fresh.any():
            return False
        margin = max(LEAST_OVERLAP, kernel_size(feather) // 2 + 2)
        mask = np.where(distance(fresh) <= margin, 255, 0).astype(np.uint8)
        rendered = render(Image.fromarray(view), Image.fromarray(mask))
        result = np.asarray(rendered.convert("RGB")).astype(np.float32)
        if feather > 0:
            result += np.where(
                fresh[..., None],
                spread(view.astype(np.float32) - result, known, REACH * feather),
                0,
            )
        view[fresh] = np.clip(np.rint(result), 0, 255).astype(np.uint8)[fresh]
        known |= fresh
        return True

    def forget(self, box: Box) -> None:
        """Unsettle a part, so that it can be painted again; the original never is."""
        self.known[_part(box)] = False
        self.known[_part(self.canvas.original)] = True


def _part(box: Box) -> tuple[slice, slice]:
    return np.s_[box.top : box.bottom, box.left : box.right]


def _beside(stretch: Stretch) -> Box:
    """What the noise shall resemble: the picture next to the stretch, at least 64 pixels deep."""
    box = stretch.before
    if stretch.side in ("left", "right"):
        depth = min(box.width, max(64, 2 * stretch.paint.width))
        left = box.left if stretch.side == "left" else box.right - depth
        return Box(left, box.top, left + depth, box.bottom)
    depth = min(box.height, max(64, 2 * stretch.paint.height))
    top = box.top if stretch.side == "up" else box.bottom - depth
    return Box(box.left, top, box.right, top + depth)
