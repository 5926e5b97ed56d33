"""What can go wrong with pictures, each with one sentence for the user."""

from __future__ import annotations


class GalleryError(Exception):
    """Base of the gallery's errors; `sentence` is for the user."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


class ImageReadError(GalleryError):
    """A file that is no picture we read, is damaged, or is larger than the limits."""


class ImageSaveError(GalleryError):
    """A picture could not be written; the picture itself is still in the caller's hands."""


class DiskFullError(ImageSaveError):
    """No space, or no quota, is left for a picture."""
