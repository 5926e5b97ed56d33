"""Turn found faces upright and to the size that the restoring networks were trained on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from modules.engine.compat.torchvision_ops import make_torchvision_importable
from modules.engine.postprocess.faces.detector import Face

make_torchvision_importable()

from facexlib.utils.face_restoration_helper import FaceRestoreHelper  # noqa: E402 - see above

TEMPLATE_SIDE = 512
FFHQ_TEMPLATE = np.array(
    [
        [192.98138, 239.94708],
        [318.90277, 240.1936],
        [256.63416, 314.01935],
        [201.26117, 371.41043],
        [313.08905, 371.15118],
    ]
)
"""Where the five landmarks lie in the pictures of FFHQ at 512x512, which the networks learned."""
SMALLEST_EYE_DISTANCE = 5.0
"""In pixels. Nothing can be made of smaller faces, nor of most profiles; as in gfpgan."""


@dataclass(frozen=True)
class AlignedFace:
    """A face cut out upright: RGB bytes ``[side, side, 3]``."""

    face: Face
    pixels: np.ndarray
    matrix: np.ndarray
    """``[2, 3]``: from the picture's coordinates to the cut-out's."""


def aligned(pixels: np.ndarray, faces: Sequence[Face], side: int) -> Iterator[AlignedFace]:
    """Cut the faces out of RGB bytes ``[height, width, 3]`` with facexlib's alignment.

    Faces whose eyes are too close together or whose landmarks fit no upright face are left out.
    """
    for face in faces:
        if face.eye_distance < SMALLEST_EYE_DISTANCE:
            continue
        helper = _LandmarkHelper(side)
        helper.input_img = np.ascontiguousarray(pixels[:, :, ::-1])
        helper.all_landmarks_5 = [np.array(face.landmarks)]
        try:
            helper.align_warp_face()
        except _no_fit():
            continue
        matrix = helper.affine_matrices[0]
        if matrix is not None and np.isfinite(matrix).all() and np.linalg.det(matrix[:, :2]) > 0:
            yield AlignedFace(face, helper.cropped_faces[0][:, :, ::-1], matrix)


class _LandmarkHelper(FaceRestoreHelper):
    """facexlib's helper without its detector and parser: those would be downloaded."""

    def __init__(self, side: int) -> None:
        self.face_size = (side, side)
        self.face_template = FFHQ_TEMPLATE * (side / TEMPLATE_SIDE)
        self.pad_blur = False
        self.clean_all()


def _no_fit() -> type[Exception]:
    """What OpenCV raises for a matrix that could not be found."""
    import cv2

    return cv2.error
