"""What can go wrong with pictures, each with one sentence for the user."""

from __future__ import annotations

from pathlib import Path


class GalleryError(Exception):
    """Base of the gallery's errors; `sentence` is for the user."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


class ImageReadError(GalleryError):
    """A file that is no picture we read, is damaged, or is larger than the limits."""


class ImageSaveError(GalleryError):
    """A picture could not be written; the picture itself is still in the caller's hands.

    Attributes:
        folder: where it should have gone, when the folder is at fault.
        reason: what the system said of the folder.
    """

    def __init__(self, sentence: str, folder: Path | None = None, reason: str = "") -> None:
        super().__init__(sentence)
        self.folder = folder
        self.reason = reason


class DiskFullError(ImageSaveError):
    """No space, or no quota, is left for a picture."""
