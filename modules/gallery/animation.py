"""Pictures one after another: WebP and GIF by Pillow, MP4 by PyAV."""

from __future__ import annotations

import io
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from PIL import Image

from modules.gallery.errors import GalleryError

FORMATS = ("mp4", "webp", "gif")
CODECS = ("libx264", "libopenh264", "mpeg4")
"""The first that this build of PyAV has."""
QUALITY = "18"
"""x264's rate factor: nothing of a picture is visibly lost."""
SLOWEST, FASTEST = 0.1, 60.0


def encode_animation(frames: Sequence[Image.Image], kind: str, per_second: float) -> bytes:
    """The frames as one file that plays for ever (WebP, GIF) or once (MP4).

    Args:
        frames: all of one size; an MP4 loses the last odd row or column.
        kind: one of `FORMATS`.
        per_second: 0.1 to 60 frames.

    Raises:
        GalleryError: there is no frame, or kind or speed cannot be used.
    """
    if not frames:
        raise GalleryError("An animation needs at least one picture.")
    if not SLOWEST <= per_second <= FASTEST:
        raise GalleryError(f"{per_second:g} frames a second; allowed: {SLOWEST} to {FASTEST:g}.")
    size = frames[0].size
    alike = [frame.convert("RGB").resize(size) for frame in frames]
    if kind == "mp4":
        return _mp4(alike, per_second)
    if kind not in FORMATS:
        raise GalleryError(f"{kind!r} is no format of animations; allowed: {', '.join(FORMATS)}.")
    stream = io.BytesIO()
    options = {"quality": 90, "method": 4} if kind == "webp" else {"optimize": False}
    alike[0].save(
        stream,
        format=kind,
        save_all=True,
        append_images=alike[1:],
        duration=max(1, round(1000 / per_second)),
        loop=0,
        **options,
    )
    return stream.getvalue()


def _mp4(frames: Sequence[Image.Image], per_second: float) -> bytes:
    import av

    stream = io.BytesIO()
    width, height = (max(2, side // 2 * 2) for side in frames[0].size)
    codec = next((name for name in CODECS if name in av.codecs_available), None)
    if codec is None:
        raise GalleryError("This build of PyAV cannot write videos; choose webp or gif.")
    with av.open(stream, "w", format="mp4") as container:
        rate = Fraction(per_second).limit_denominator(1000)
        video = container.add_stream(codec, rate=rate)
        video.width, video.height, video.pix_fmt = width, height, "yuv420p"
        if codec == "libx264":
            video.options = {"crf": QUALITY}
        for frame in frames:
            pixels = np.asarray(frame.crop((0, 0, width, height)))
            for packet in video.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")):
                container.mux(packet)
        for packet in video.encode():
            container.mux(packet)
    return stream.getvalue()
