"""The input pictures of a job, from its references."""

from __future__ import annotations

from PIL import Image

from modules.imaging.reading import open_picture
from modules.requests.errors import RequestError
from modules.requests.prepared import PreparedJob

STORED_MEGAPIXELS = 400.0
"""The doors check a picture against the settings' limit before it is stored; this is a last net."""


def read_depth_map(prepared: PreparedJob, reference: str | None) -> Image.Image | None:
    """The request's depth map, if it has one; see `read_input`."""
    return read_input(prepared, reference, "depth_map") if reference else None


def read_input(prepared: PreparedJob, reference: str, field: str) -> Image.Image:
    """The picture behind an ``input:<sha256>`` reference, upright, as RGB, RGBA or L.

    Raises:
        RequestError: it is not there any more, or cannot be read.
    """
    path = prepared.inputs.get(reference)
    if path is None:
        raise RequestError(field, reference, "the picture was not handed over with the job.")
    return open_picture(path, field, STORED_MEGAPIXELS)
