"""Crop around what matters in a picture: faces, corners and edges, busy regions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image

Point = tuple[float, float]
FindFaces = Callable[[Image.Image], Sequence[tuple[float, float, float, float]]]
"""Boxes (left, top, right, bottom) of the faces in a picture."""

CORNERS = 100
CORNER_QUALITY = 0.04
GRID = 16
"""The windows that are compared by their entropy move by a 16th of the free way."""


@dataclass(frozen=True)
class FocalWeights:
    """How much each kind of interest counts, 0 to 1."""

    faces: float = 0.9
    entropy: float = 0.15
    edges: float = 0.5


def focal_crop(
    image: Image.Image,
    width: int,
    height: int,
    weights: FocalWeights,
    find_faces: FindFaces,
) -> Image.Image:
    """The picture scaled to cover `width` x `height` and cut around its centre of interest."""
    scale = max(width / image.width, height / image.height)
    size = max(width, round(image.width * scale)), max(height, round(image.height * scale))
    scaled = image.resize(size, Image.Resampling.LANCZOS)
    x, y = _centre(scaled, width, height, weights, find_faces)
    left = min(max(0, round(x - width / 2)), size[0] - width)
    top = min(max(0, round(y - height / 2)), size[1] - height)
    return scaled.crop((left, top, left + width, top + height))


def _centre(
    image: Image.Image, width: int, height: int, weights: FocalWeights, find_faces: FindFaces
) -> Point:
    """The weighted mean of what was found; the middle when nothing was."""
    found: list[tuple[float, Point]] = []
    if weights.faces > 0:
        found += [(weights.faces, point) for point in _faces(image, find_faces)]
    if weights.edges > 0:
        found += [(weights.edges, point) for point in _corners(image)]
    if weights.entropy > 0:
        found.append((weights.entropy, _busiest(image, width, height)))
    total = sum(weight for weight, _ in found)
    if total == 0:
        return image.width / 2, image.height / 2
    return (
        sum(weight * x for weight, (x, _) in found) / total,
        sum(weight * y for weight, (_, y) in found) / total,
    )


def _faces(image: Image.Image, find_faces: FindFaces) -> list[Point]:
    """One point: the middle of all faces, the larger ones counting more."""
    boxes = find_faces(image)
    areas = [max(0.0, r - left) * max(0.0, b - top) for left, top, r, b in boxes]
    total = sum(areas)
    if total <= 0:
        return []
    pairs = list(zip(areas, boxes, strict=True))
    return [
        (
            sum(area * (box[0] + box[2]) / 2 for area, box in pairs) / total,
            sum(area * (box[1] + box[3]) / 2 for area, box in pairs) / total,
        )
    ]


def _corners(image: Image.Image) -> list[Point]:
    """One point: the middle of the strongest corners (Shi and Tomasi, 1994)."""
    grey = np.asarray(image.convert("L"))
    apart = max(1, min(image.size) * 0.06)
    corners = cv2.goodFeaturesToTrack(grey, CORNERS, CORNER_QUALITY, apart)
    if corners is None:
        return []
    x, y = corners.reshape(-1, 2).mean(axis=0)
    return [(float(x), float(y))]


def _busiest(image: Image.Image, width: int, height: int) -> Point:
    """The middle of the window whose grey values have the greatest entropy."""
    grey = np.asarray(image.convert("L"))
    free_x, free_y = image.width - width, image.height - height
    windows = {(free_x * i // GRID, free_y * i // GRID): None for i in range(GRID + 1)}
    left, top = max(
        windows,
        key=lambda place: _entropy(grey[place[1] : place[1] + height, place[0] : place[0] + width]),
    )
    return left + width / 2, top + height / 2


def _entropy(grey: np.ndarray) -> float:
    """Bits per pixel that the histogram allows."""
    share = np.bincount(grey.reshape(-1), minlength=256) / grey.size
    share = share[share > 0]
    return float(-(share * np.log2(share)).sum())
