"""Lay a restored face back into its picture; everything else keeps its bytes."""

from __future__ import annotations

import cv2
import numpy as np

INSET = 0.1
"""Of the cut-out's side: how far from its border the feathered mask has faded out."""
FEATHER = 0.04


def feathered(side: int) -> np.ndarray:
    """A mask ``[side, side]``: 1 inside of a cut-out, fading to 0 before its border."""
    inset = max(1, round(side * INSET))
    mask = np.zeros((side, side), np.float32)
    mask[inset : side - inset, inset : side - inset] = 1.0
    return _without_border(cv2.GaussianBlur(mask, (0, 0), max(0.5, side * FEATHER)))


def of_classes(classes: np.ndarray, side: int) -> np.ndarray:
    """A mask from ParseNet's classes ``[h, w]``: 1 on the face, 0 on hair, clothes, background."""
    inside = np.isin(classes, _FACE_CLASSES).astype(np.float32)
    scaled = cv2.resize(inside, (side, side), interpolation=cv2.INTER_LINEAR)
    blur = max(0.5, side * FEATHER / 2)
    return _without_border(cv2.GaussianBlur(scaled, (0, 0), blur))


_FACE_CLASSES = (*range(1, 14), 15)
"""Skin, nose, glasses, eyes, brows, ears, mouth, lips, earrings and neck."""


def _without_border(mask: np.ndarray) -> np.ndarray:
    """Zero where the restored cut-out ends, so that its border is never seen."""
    edge = max(1, round(mask.shape[0] * 0.02))
    mask[:edge], mask[-edge:], mask[:, :edge], mask[:, -edge:] = 0, 0, 0, 0
    return mask


def lay_in(
    picture: np.ndarray,
    restored: np.ndarray,
    matrix: np.ndarray,
    mask: np.ndarray,
    visibility: float = 1.0,
) -> None:
    """Blend ``restored`` into ``picture`` in place.

    Args:
        picture: RGB bytes ``[height, width, 3]``.
        restored: RGB bytes ``[side, side, 3]``, the cut-out after restoration.
        matrix: ``[2, 3]``, from the picture's coordinates to the cut-out's.
        mask: ``[side, side]`` in [0, 1]; where it is 0 the picture keeps its bytes.
        visibility: 0 to 1, the restored face's share.
    """
    inverse = cv2.invertAffineTransform(matrix)
    left, top, right, bottom = _reach(inverse, restored.shape[0], picture.shape)
    if right <= left or bottom <= top:
        return
    restored, mask, inverse = _shrunk(restored, mask, inverse)
    inverse = inverse - np.array([[0, 0, left], [0, 0, top]])
    size = (right - left, bottom - top)
    face = cv2.warpAffine(restored, inverse, size, borderMode=cv2.BORDER_REPLICATE)
    weight = cv2.warpAffine(mask, inverse, size)[..., None] * visibility
    part = picture[top:bottom, left:right]
    mixed = part + (face.astype(np.float32) - part) * weight
    changed = np.rint(mixed).clip(0, 255).astype(np.uint8)
    picture[top:bottom, left:right] = np.where(weight > 0, changed, part)


def _reach(inverse: np.ndarray, side: int, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """The part of a picture that the cut-out covers: left, top, right, bottom."""
    corners = np.array([[0, 0, 1], [side, 0, 1], [0, side, 1], [side, side, 1]], np.float64)
    points = corners @ inverse.T
    left, top = np.floor(points.min(axis=0)).astype(int)
    right, bottom = np.ceil(points.max(axis=0)).astype(int) + 1
    return max(0, left), max(0, top), min(shape[1], right), min(shape[0], bottom)


def _shrunk(
    restored: np.ndarray, mask: np.ndarray, inverse: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cut-out, mask and matrix for a face much smaller than its cut-out, averaged to twice it.

    Warping alone would take single pixels out of the large cut-out, which gives jagged lines.
    """
    side = restored.shape[0]
    small = round(2 * side * float(np.sqrt(abs(np.linalg.det(inverse[:, :2])))))
    if not 0 < small < side:
        return restored, mask, inverse
    restored = cv2.resize(restored, (small, small), interpolation=cv2.INTER_AREA)
    mask = cv2.resize(mask, (small, small), interpolation=cv2.INTER_AREA)
    grow = side / small
    # A pixel's centre lies half a pixel inside of it, at both sizes.
    enlarge = np.array([[grow, 0, (grow - 1) / 2], [0, grow, (grow - 1) / 2], [0, 0, 1]])
    return restored, mask, inverse @ enlarge
