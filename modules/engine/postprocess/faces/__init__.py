"""Faces: find them, and restore them with GFPGAN or CodeFormer."""

from __future__ import annotations

from modules.engine.postprocess.faces.detector import Face, FaceDetector, shared_detector
from modules.engine.postprocess.faces.restore import (
    Restoration,
    forget_restorers,
    restoration,
    restore_faces,
)

__all__ = [
    "Face",
    "FaceDetector",
    "Restoration",
    "forget_restorers",
    "restoration",
    "restore_faces",
    "shared_detector",
]
