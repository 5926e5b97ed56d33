"""Finding faces: the same as facenet-pytorch finds with the same weights."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from modules.catalog.errors import UnreadableModelError
from modules.catalog.restorers import FACE_DETECTOR
from modules.engine.postprocess.faces import FaceDetector, shared_detector
from modules.engine.postprocess.faces.boxes import suppress

REFERENCE = {
    "photo": [
        (
            (115.819, 60.198, 204.244, 172.304),
            0.999994,
            [
                (140.989, 100.867),
                (183.409, 103.392),
                (160.548, 128.93),
                (137.761, 139.282),
                (181.089, 142.359),
            ],
        )
    ],
    "two": [
        (
            (114.906, 92.666, 204.049, 205.059),
            1.0,
            [
                (140.516, 133.135),
                (183.048, 135.134),
                (160.76, 161.259),
                (136.373, 171.603),
                (181.574, 174.185),
            ],
        ),
        (
            (445.52, 113.546, 511.038, 193.795),
            0.999686,
            [
                (462.817, 142.356),
                (494.889, 140.781),
                (479.673, 161.229),
                (464.954, 170.381),
                (496.341, 169.428),
            ],
        ),
    ],
    "half": [
        (
            (58.871, 31.475, 102.497, 88.224),
            0.999932,
            [
                (70.314, 50.676),
                (91.824, 52.038),
                (80.421, 64.58),
                (69.183, 70.95),
                (90.738, 71.786),
            ],
        )
    ],
}
"""Boxes, probabilities and landmarks of facenet_pytorch.MTCNN(keep_all=True), version 2.6.0."""


@pytest.fixture(scope="module")
def detector() -> FaceDetector:
    return shared_detector(FACE_DETECTOR)


@pytest.fixture
def pictures(photo, two_faces):
    return {"photo": photo, "two": two_faces, "half": photo.resize((160, 128), Image.BICUBIC)}


@pytest.mark.parametrize("name", REFERENCE)
def test_boxes_and_landmarks_are_those_of_facenet_pytorch(name, pictures, detector):
    faces = detector.detect(pictures[name])
    assert len(faces) == len(REFERENCE[name])
    for face, (box, probability, landmarks) in zip(faces, REFERENCE[name], strict=True):
        np.testing.assert_allclose(face.box, box, atol=0.02)
        np.testing.assert_allclose(face.landmarks, landmarks, atol=0.02)
        assert face.confidence == pytest.approx(probability, abs=1e-4)


@pytest.mark.parametrize("times", [5, 9])
def test_a_large_picture_gives_the_same_face_at_its_size(photo, detector, times):
    (small,) = detector.detect(photo)
    large_photo = photo.resize((320 * times, 256 * times), Image.Resampling.LANCZOS)
    (large,) = detector.detect(large_photo)
    np.testing.assert_allclose(np.array(large.landmarks) / times, small.landmarks, atol=3)


def test_pictures_without_faces_have_none(detector):
    noise = np.random.default_rng(1).integers(0, 255, (200, 300, 3), np.uint8)
    for picture in (
        Image.fromarray(noise),
        Image.new("RGB", (64, 64), "white"),
        Image.new("RGB", (1, 1)),
        Image.new("L", (3, 900)),
    ):
        assert detector.detect(picture) == []


def test_any_mode_is_searched(photo, detector):
    assert len(detector.detect(photo.convert("L"))) == 1
    assert len(detector.detect(photo.convert("RGBA"))) == 1


def test_the_limit_of_confidence_is_obeyed(two_faces, detector):
    assert len(detector.detect(two_faces, confidence=0.9999)) == 1


def test_a_file_of_another_network_is_refused(tmp_path):
    (tmp_path / "other.safetensors").write_bytes(b"\x02\0\0\0\0\0\0\0{}")
    with pytest.raises(UnreadableModelError, match="is not MTCNN's weights"):
        FaceDetector(tmp_path / "other.safetensors")


def test_of_overlapping_boxes_the_best_remains():
    boxes = np.array([[0, 0, 10, 10], [1, 1, 11, 11], [20, 20, 30, 30], [2, 2, 6, 6]], float)
    scores = np.array([0.8, 0.9, 0.5, 0.7])
    assert suppress(boxes, scores, 0.5).tolist() == [1, 3, 2]
    assert suppress(boxes, scores, 0.5, of_smaller=True).tolist() == [1, 2]
    assert suppress(boxes[:0], scores[:0], 0.5).tolist() == []
