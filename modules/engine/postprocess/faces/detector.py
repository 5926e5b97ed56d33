"""Find faces and their landmarks: MTCNN's cascade of three networks over a pyramid of scales."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn import functional

from modules.catalog.errors import UnreadableModelError
from modules.catalog.restorers import FACE_DETECTOR
from modules.engine.postprocess.faces.boxes import shifted, squared, suppress
from modules.engine.postprocess.faces.networks import (
    OutputNetwork,
    ProposalNetwork,
    RefinementNetwork,
)
from modules.engine.weight_files import read_weights

WINDOW = 12
"""Side of P-Net's window in pixels."""
STRIDE = 2
SHRINK = 0.709
"""From one scale to the next: half the area."""
PROPOSAL_LIMIT = 0.6
REFINEMENT_LIMIT = 0.7
SMALLEST_FACE = 20
SMALLEST_SHARE = 1 / 64
"""Of the longer side: a large picture is not searched for faces as small as SMALLEST_FACE."""
LONGEST_SIDE = 2048
LARGE = 1024 * 1024
"""Pixels above which scaling down in two steps pays."""
BATCH = 512


@dataclass(frozen=True)
class Face:
    """One found face, in pixels of the picture."""

    box: tuple[float, float, float, float]
    """Left, top, right, bottom; may reach over the picture's border."""
    confidence: float
    landmarks: tuple[tuple[float, float], ...]
    """As seen: left eye, right eye, nose, left and right corner of the mouth."""

    @property
    def area(self) -> float:
        """In square pixels."""
        return (self.box[2] - self.box[0]) * (self.box[3] - self.box[1])

    @property
    def eye_distance(self) -> float:
        """Between the eyes, in pixels."""
        (left, top), (right, bottom) = self.landmarks[:2]
        return float(np.hypot(right - left, bottom - top))


class FaceDetector:
    """The three networks with their weights. They are small, 2 MB, and stay on the CPU: so the
    same picture has the same faces on every machine."""

    def __init__(self, path: Path) -> None:
        """
        Raises:
            UnreadableModelError: the file is missing, damaged or of another network.
        """
        weights = read_weights(path)
        self._propose = _loaded(ProposalNetwork(), weights, "pnet.", path)
        self._refine = _loaded(RefinementNetwork(), weights, "rnet.", path)
        self._settle = _loaded(OutputNetwork(), weights, "onet.", path)

    @torch.inference_mode()
    def detect(
        self, image: Image.Image, confidence: float = 0.7, smallest: int | None = None
    ) -> list[Face]:
        """Faces with at least ``confidence`` (0 to 1), the largest first.

        ``smallest`` is the side in pixels of the smallest face that is looked for; by default 20,
        and a 64th of the longer side in pictures above 1280 pixels. Pictures above 2048 pixels are
        searched in a smaller copy, of whose pixels ``smallest`` then speaks.
        """
        factor = -(-max(image.size) // LONGEST_SIDE)
        if factor > 1:
            found = self.detect(image.convert("RGB").reduce(factor), confidence, smallest)
            return [_enlarged(face, factor) for face in found]
        pixels = torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)[None].float()
        side = smallest or max(SMALLEST_FACE, round(max(image.size) * SMALLEST_SHARE))
        boxes = self._proposals(pixels, side)
        if len(boxes):
            boxes = self._refined(pixels, boxes)
        found = self._settled(pixels, boxes, confidence) if len(boxes) else []
        return sorted(found, key=lambda face: -face.area)

    def _proposals(self, pixels: torch.Tensor, smallest: int) -> np.ndarray:
        """Square windows that may hold a face."""
        boxes, scores, offsets = [], [], []
        for scale, scaled in _pyramid(pixels, smallest):
            moves, chances = self._propose(_normalised(scaled))
            rows, columns = (chances[0] >= PROPOSAL_LIMIT).nonzero(as_tuple=True)
            corner = torch.stack([columns, rows], dim=1).float() * STRIDE + 1
            window = torch.cat([corner, corner + WINDOW - 1], dim=1).div(scale).floor().numpy()
            score = chances[0, rows, columns].numpy()
            kept = suppress(window, score, 0.5)
            boxes.append(window[kept])
            scores.append(score[kept])
            offsets.append(moves[0, :, rows, columns].T.numpy()[kept])
        if not boxes:
            return np.zeros((0, 4), np.float32)
        all_boxes, all_scores = np.concatenate(boxes), np.concatenate(scores)
        kept = suppress(all_boxes, all_scores, 0.7)
        return squared(shifted(all_boxes[kept], np.concatenate(offsets)[kept], edge=0))

    def _refined(self, pixels: torch.Tensor, boxes: np.ndarray) -> np.ndarray:
        """R-Net's choice among the windows, as squares."""
        boxes, crops = _crops(pixels, boxes, 24)
        offsets, scores = _in_batches(self._refine, crops)
        passed = scores > REFINEMENT_LIMIT
        boxes, offsets, scores = boxes[passed], offsets[passed], scores[passed]
        kept = suppress(boxes, scores, 0.7)
        return squared(shifted(boxes[kept], offsets[kept]))

    def _settled(
        self, pixels: torch.Tensor, boxes: np.ndarray, confidence: float
    ) -> Iterator[Face] | list[Face]:
        """O-Net's choice, with landmarks."""
        boxes, crops = _crops(pixels, boxes, 48)
        offsets, marks, scores = _in_batches(self._settle, crops)
        passed = scores > confidence
        boxes, offsets, marks = boxes[passed], offsets[passed], marks[passed]
        scores = scores[passed]
        sides = (boxes[:, 2:] - boxes[:, :2] + 1)[:, None, :]
        points = marks.reshape(-1, 2, 5).transpose(0, 2, 1) * sides + boxes[:, None, :2] - 1
        boxes = shifted(boxes, offsets)
        kept = suppress(boxes, scores, 0.7, of_smaller=True, edge=1)
        return [_face(boxes[index], scores[index], points[index]) for index in kept]


@functools.lru_cache(maxsize=2)
def shared_detector(path: Path = FACE_DETECTOR) -> FaceDetector:
    """The detector with the weights that ship with the program, or others; read once."""
    return FaceDetector(path)


def _loaded(network: nn.Module, weights: dict, prefix: str, path: Path) -> nn.Module:
    own = {name.removeprefix(prefix): w for name, w in weights.items() if name.startswith(prefix)}
    try:
        network.load_state_dict(own)
    except RuntimeError as error:
        raise UnreadableModelError(path, "is not MTCNN's weights") from error
    return network.eval().requires_grad_(False)


def _scales(shorter_side: int, smallest: int) -> Iterator[float]:
    """Scales at which faces from ``smallest`` up to the whole picture fill P-Net's window."""
    scale = WINDOW / smallest
    while shorter_side * scale >= WINDOW:
        yield scale
        scale *= SHRINK


def _pyramid(pixels: torch.Tensor, smallest: int) -> Iterator[tuple[float, torch.Tensor]]:
    """The picture at every scale; small ones of a large picture come from a halved copy."""
    height, width = pixels.shape[2:]
    source = pixels
    for scale in _scales(min(height, width), smallest):
        size = (int(height * scale + 1), int(width * scale + 1))
        while source[0, 0].numel() > LARGE and min(source.shape[2:]) >= 2 * min(size):
            source = functional.avg_pool2d(source, 2)
        yield scale, functional.interpolate(source, size=size, mode="area")


def _normalised(pixels: torch.Tensor) -> torch.Tensor:
    return (pixels - 127.5) / 128


def _crops(pixels: torch.Tensor, boxes: np.ndarray, side: int) -> tuple[np.ndarray, torch.Tensor]:
    """Boxes that lie in the picture at least partly, and what they hold, ``side`` pixels square."""
    height, width = pixels.shape[2:]
    begin = np.maximum(np.trunc(boxes[:, :2]).astype(int), 1) - 1
    end = np.minimum(np.trunc(boxes[:, 2:]).astype(int), (width, height))
    inside = (end > begin).all(axis=1)
    crops = [
        functional.interpolate(pixels[:, :, top:bottom, left:right], size=side, mode="area")
        for (left, top), (right, bottom) in zip(begin[inside], end[inside], strict=True)
    ]
    empty = torch.zeros(0, 3, side, side)
    return boxes[inside], _normalised(torch.cat(crops) if crops else empty)


def _in_batches(network: Callable, crops: torch.Tensor) -> list[np.ndarray]:
    parts = [network(crops[start : start + BATCH]) for start in range(0, len(crops), BATCH)]
    parts = parts or [network(crops)]
    return [torch.cat(results).numpy() for results in zip(*parts, strict=True)]


def _face(box: np.ndarray, score: np.floating, points: np.ndarray) -> Face:
    left, top, right, bottom = (float(value) for value in box)
    landmarks = tuple((float(x), float(y)) for x, y in points)
    return Face((left, top, right, bottom), float(score), landmarks)


def _enlarged(face: Face, factor: int) -> Face:
    """A face found in a copy ``factor`` times smaller."""
    left, top, right, bottom = (value * factor for value in face.box)
    landmarks = tuple((x * factor, y * factor) for x, y in face.landmarks)
    return Face((left, top, right, bottom), face.confidence, landmarks)
