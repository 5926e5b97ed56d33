"""The process that decodes strangers' pictures: a request with a file in, a picture or a word out.

    python -I -S decoding.py FOLDER_OF_PILLOW

Before the first picture it gives up files, connections and other processes (`modules.sandbox`), and
for each picture it allows itself the memory and the time that a picture of this size needs. When
the system ends it for more than that, or a decoder crashes, the picture is at fault.

A message, in both directions: two big-endian numbers (4 and 8 bytes), which are the lengths of a
JSON object and of the bytes that follow it.
"""

from __future__ import annotations

import base64
import io
import json
import struct
import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if __name__ == "__main__":  # run by its path, so that nothing else of ours is imported
    sys.path[:0] = [str(Path(__file__).resolve().parents[2]), sys.argv[1]]

from PIL import (
    AvifImagePlugin,
    GifImagePlugin,
    Image,
    ImageChops,
    JpegImagePlugin,
    MpoImagePlugin,  # noqa: F401 - Pillow imports it for some JPEG files, which then cannot be done
    PngImagePlugin,
    TiffImagePlugin,  # noqa: F401 - and this one for EXIF
    WebPImagePlugin,
)

from modules.imaging.sizes import format_of
from modules.sandbox import limits, syscalls

if TYPE_CHECKING:
    from collections.abc import Callable

HEAD = struct.Struct(">IQ")
MAX_TEXTS = 4 * 1024 * 1024
"""Characters of all texts of a file together; PNG's are read by a reader of ours."""
SECONDS = 4
SECONDS_A_MEGAPIXEL = 0.5
"""Of processor time; a usual picture takes a fiftieth of that."""
ROOM = 160 * 1024 * 1024
BYTES_A_PIXEL = 24
"""Of memory: the decoder's own, the picture, its normal form and its bytes, four each at most."""

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF orientation → what brings the picture upright."""
_ORIENTATION = 0x0112
_OPENERS: dict[str, Callable[[IO[bytes]], Any]] = {
    "PNG": PngImagePlugin.PngImageFile,
    "JPEG": JpegImagePlugin.jpeg_factory,
    "GIF": GifImagePlugin.GifImageFile,
    "WEBP": WebPImagePlugin.WebPImageFile,
    "AVIF": AvifImagePlugin.AvifImageFile,
}


def answered(asked: dict[str, Any], data: bytes, space: int = 0) -> tuple[dict[str, Any], bytes]:
    """What is asked of a picture file, as a JSON object and the bytes behind it.

    ``asked["want"]`` is ``texts`` (what the file says), ``facts`` (decoded, but not sent) or
    ``pixels``; ``upright`` and ``max_pixels`` and ``max_side`` go with it. ``space`` is the address
    space of the process when it was idle, or 0 for no limit.
    """
    try:
        image = _OPENERS[format_of(data)](io.BytesIO(data))
    except Exception:  # decoders raise nearly anything on hostile data
        return {"error": "format"}, b""
    width, height = image.size
    facts = {"format": image.format or "", "width": width, "height": height}
    if asked["want"] == "texts":
        return {**facts, **_texts(image)}, b""
    if width * height > asked["max_pixels"] or max(width, height) > asked["max_side"]:
        return {"error": "size", **facts}, b""
    if space:
        limits.allow_memory(space + ROOM + 3 * len(data) + BYTES_A_PIXEL * width * height)
        limits.allow_seconds(SECONDS + int(SECONDS_A_MEGAPIXEL * width * height / 1e6))
    try:
        facts["frames"] = _frames(image)
        image.load()
        plain = normalise(image)
        turn = _TURNS.get(_orientation(image)) if asked["upright"] else None
        plain = plain.transpose(turn) if turn is not None else plain
        pixels = plain.tobytes() if asked["want"] == "pixels" else b""
    except MemoryError:
        return {"error": "memory", **facts}, b""
    except Exception:  # see above
        return {"error": "damaged", **facts}, b""
    return {**facts, "width": plain.width, "height": plain.height, "mode": plain.mode}, pixels


def normalise(image: Image.Image) -> Image.Image:
    """Any Pillow image as RGB, RGBA (only if something shines through) or L, eight bits each."""
    if image.mode.startswith(("I", "F")):
        plain = _eight_bits(image)
    elif image.mode in ("LA", "La", "PA", "RGBa") or "transparency" in image.info:
        plain = image.convert("RGBA")
    elif image.mode == "1":
        plain = image.convert("L")
    elif image.mode in ("RGB", "RGBA", "L"):
        plain = image.copy()
    else:
        plain = image.convert("RGB")
    if plain.mode == "RGBA" and plain.getchannel("A").getextrema()[0] == 255:
        plain = plain.convert("L" if image.mode in ("LA", "La") else "RGB")
    plain.info = {}
    return plain


def _eight_bits(image: Image.Image) -> Image.Image:
    """Grey values of more than eight bits: 65535 becomes 255."""
    clear = image.info.get("transparency")
    if image.mode == "F":
        return image.convert("L")
    deep = image.mode.startswith("I;16") or (image.getextrema()[1] or 0) > 255
    grey = (image.point(lambda value: value * (1 / 257) + 0.5) if deep else image).convert("L")
    if not isinstance(clear, int) or not image.mode.startswith("I;16"):
        return grey
    raw = image.convert("I;16").tobytes()
    low, high = (Image.frombytes("L", image.size, raw[first::2]) for first in (0, 1))
    same = ImageChops.darker(_equal(low, clear & 255), _equal(high, clear >> 8 & 255))
    return Image.merge("RGBA", (grey, grey, grey, ImageChops.invert(same)))


def _equal(plane: Image.Image, value: int) -> Image.Image:
    """255 where a plane of bytes has a value, else 0."""
    return plane.point([255 if number == value else 0 for number in range(256)])


def _frames(image: Image.Image) -> int:
    if not getattr(image, "is_animated", False):
        return 1
    return 2 if image.format == "GIF" else int(getattr(image, "n_frames", 2))


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # damaged EXIF data says nothing about the pixels
        return 1


def _texts(image: Image.Image) -> dict[str, Any]:
    """The texts of the file but PNG's, its EXIF block in base64, and whether something was cut."""
    texts, left = {}, MAX_TEXTS
    for key, value in image.info.items() if image.format != "PNG" else ():
        if isinstance(value, bytes) and key == "comment":
            value = value.decode("utf-8", "replace")
        if isinstance(key, str) and isinstance(value, str) and len(value) <= left:
            texts[key] = value
            left -= len(value)
    exif = image.info.get("exif")
    kept = exif if isinstance(exif, bytes) and len(exif) <= MAX_TEXTS else b""
    return {"texts": texts, "exif": base64.b64encode(kept).decode("ascii")}


def serve(requests: IO[bytes], answers: IO[bytes]) -> None:
    """Answer until the other end closes."""
    limits.write_nothing()
    _warm_up()
    space = limits.address_space()
    syscalls.only_compute()
    while len(head := requests.read(HEAD.size)) == HEAD.size:
        length, size = HEAD.unpack(head)
        limits.allow_memory(space + ROOM + 3 * size)
        limits.allow_seconds(SECONDS)
        asked = json.loads(requests.read(length))
        try:
            answer, pixels = answered(asked, requests.read(size), space)
        except MemoryError:
            answer, pixels = {"error": "memory"}, b""
        told = json.dumps(answer).encode("ascii")
        answers.write(HEAD.pack(len(told), len(pixels)) + told)
        answers.write(pixels)
        answers.flush()


def _warm_up() -> None:
    """Import what decoders import late: afterwards no file can be opened."""
    Image.MAX_IMAGE_PIXELS = None  # the limits are the caller's
    AvifImagePlugin.DEFAULT_MAX_THREADS = 1
    picture = Image.new("RGB", (2, 2))
    for kind in ("PNG", "JPEG", "GIF", "WEBP"):
        stream = io.BytesIO()
        try:
            picture.save(stream, kind, exif=Image.Exif().tobytes())
            answered({"want": "texts"}, stream.getvalue())
            answered(
                {"want": "pixels", "upright": True, "max_pixels": 9, "max_side": 9},
                stream.getvalue(),
            )
        except Exception:  # an installation of Pillow without that format
            continue
    normalise(Image.new("I;16", (1, 1)))


if __name__ == "__main__":
    serve(sys.stdin.buffer, sys.stdout.buffer)
