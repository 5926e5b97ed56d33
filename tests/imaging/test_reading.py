"""Reading strangers' pictures: right, or refused with one sentence."""

from __future__ import annotations

import io
import os

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from modules.imaging.decoding import normalise
from modules.imaging.reading import check_picture, open_picture
from modules.requests.errors import RequestError
from tests.imaging.pictures import encoded, noisy, png_claiming, smooth


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "WEBP", "AVIF", "GIF"])
def test_the_five_formats_are_read(file_format):
    facts = check_picture(encoded(smooth(20, 10), file_format), "init_images")
    assert (facts.format, facts.width, facts.height) == (file_format, 20, 10)
    assert (facts.mode, facts.has_alpha, facts.frames) == ("RGB", False, 1)


@pytest.mark.parametrize(
    ("data", "part"),
    [
        (b"", "empty"),
        (b"MZ this is a program", "no picture"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "no picture"),
        (encoded(smooth(8, 8), "BMP"), "no picture"),
        (encoded(smooth(8, 8), "TIFF"), "no picture"),
        (b"\x89PNG\r\n\x1a\n", "no picture"),
        (png_claiming(100_000, 1), "100000x1"),
        (png_claiming(1, 100_000), "1x100000"),
        (png_claiming(16_000, 16_000), "pixels"),
        (png_claiming(12_000, 10_000), "120.0 megapixels; allowed: 64"),
        (png_claiming(2_000_000_000, 2_000_000_000), "pixels"),
        (png_claiming(500, 500), "damaged"),
        (encoded(noisy(64, 64))[:3000], "damaged"),
        (encoded(noisy(64, 64), "JPEG")[:2000], "damaged"),
        (encoded(noisy(64, 64), "WEBP", lossless=True)[:5000], "picture"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_sound_picture_is_refused_with_one_sentence(data, part):
    for read in (check_picture, open_picture):
        with pytest.raises(RequestError) as caught:
            read(data, "mask")
        assert caught.value.field == "mask"
        assert part in caught.value.sentence
        assert caught.value.sentence.startswith("mask: ")
        assert "\n" not in caught.value.sentence


def test_the_callers_limit_counts():
    data = encoded(Image.new("L", (1000, 1100)))
    assert check_picture(data, "image").width == 1000
    with pytest.raises(RequestError, match=r"1\.1 megapixels; allowed: 1"):
        check_picture(data, "image", max_megapixels=1.0)


def test_a_single_pixel_is_a_picture():
    assert open_picture(encoded(Image.new("RGB", (1, 1), (9, 8, 7))), "image").getpixel((0, 0)) == (
        9,
        8,
        7,
    )


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["PNG", "JPEG", "WEBP", "GIF"]),
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=12),
    st.floats(0, 1),
)
def test_damaged_files_end_in_a_picture_or_a_sentence(file_format, bites, cut):
    data = bytearray(encoded(noisy(24, 24), file_format))
    for place, value in bites:
        data[int(place * (len(data) - 1))] = value
    data = bytes(data[: int(len(data) * (1 - cut / 4))])
    try:
        picture = open_picture(data, "image")
    except RequestError as error:
        assert error.sentence.endswith(".")
    else:
        assert picture.mode in ("RGB", "RGBA", "L")


@pytest.mark.parametrize(
    ("orientation", "corner"),
    list(enumerate([(0, 0), (1, 0), (1, 1), (0, 1), (0, 0), (1, 0), (1, 1), (0, 1)], 1)),
)
def test_exif_orientation_is_applied(orientation, corner):
    # The stored top left pixel is white; `corner` says where a viewer sees it.
    stored = Image.new("RGB", (30, 20))
    stored.putpixel((0, 0), (255, 255, 255))
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = open_picture(encoded(stored, exif=exif), "image")
    assert picture.size == ((20, 30) if orientation >= 5 else (30, 20))
    width, height = picture.size
    place = (corner[0] * (width - 1), corner[1] * (height - 1))
    assert picture.getpixel(place) == (255, 255, 255)
    assert check_picture(encoded(stored, exif=exif), "image").width == width


def test_broken_exif_is_no_reason_to_refuse():
    data = encoded(smooth(10, 10), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff broken")
    assert open_picture(data, "image").size == (10, 10)


def test_sixteen_bits_become_eight_by_scale():
    values = np.array([[0, 257, 32896, 65535]], np.uint16)
    picture = open_picture(encoded(Image.fromarray(values)), "image")
    assert (picture.mode, list(picture.get_flattened_data())) == ("L", [0, 1, 128, 255])


def test_cmyk_becomes_rgb():
    cmyk = Image.new("CMYK", (4, 4), (0, 255, 255, 0))
    red, green, blue = open_picture(encoded(cmyk, "JPEG"), "image").getpixel((1, 1))
    assert (red > 240, green < 15, blue < 15) == (True, True, True)


def test_a_palette_with_transparency_becomes_rgba():
    palette = Image.new("P", (2, 1))
    palette.putpalette([255, 0, 0, 0, 255, 0])
    palette.putpixel((1, 0), 1)
    data = encoded(palette, transparency=0)
    picture = open_picture(data, "image")
    assert picture.mode == "RGBA"
    assert [pixel[3] for pixel in picture.get_flattened_data()] == [0, 255]
    assert check_picture(data, "image").has_alpha


def test_an_opaque_alpha_channel_is_dropped():
    assert open_picture(encoded(noisy(5, 5).convert("RGBA")), "image").mode == "RGB"
    assert open_picture(encoded(noisy(5, 5).convert("LA")), "image").mode == "L"
    assert not check_picture(encoded(noisy(5, 5).convert("RGBA")), "image").has_alpha


def test_a_picture_of_plain_colours_keeps_its_bytes():
    picture = noisy(33, 17)
    assert open_picture(encoded(picture), "image").tobytes() == picture.tobytes()


@pytest.mark.parametrize(("file_format", "frames"), [("GIF", 2), ("PNG", 3), ("WEBP", 3)])
def test_the_first_frame_of_an_animation_counts(file_format, frames):
    reel = [Image.new("RGB", (16, 16), colour) for colour in ("#ff0000", "#00ff00", "#0000ff")]
    data = encoded(reel[0], file_format, save_all=True, append_images=reel[1:])
    red, green, blue = open_picture(data, "image").getpixel((8, 8))
    assert (red > 240, green < 15, blue < 15) == (True, True, True)
    assert check_picture(data, "image").frames == frames


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "HSV"])
def test_every_mode_becomes_one_of_three(mode):
    assert normalise(noisy(6, 6).convert("RGB").convert(mode)).mode in ("RGB", "RGBA", "L")
    assert normalise(Image.new("F", (3, 3), 300.0)).getpixel((0, 0)) == 255
    assert normalise(Image.new("I", (3, 3), 65535)).getpixel((0, 0)) == 255


def test_files_are_read_and_what_is_no_file_is_refused(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(encoded(smooth(7, 5)))
    assert open_picture(path, "image").size == (7, 5)
    assert open_picture(str(path), "image").size == (7, 5)
    pipe = tmp_path / "pipe"
    if hasattr(os, "mkfifo"):
        os.mkfifo(pipe)
    for wrong in (tmp_path, tmp_path / "missing.png", pipe, "a\0b"):
        with pytest.raises(RequestError, match="image: "):
            open_picture(wrong, "image")


def test_the_facts_are_what_opening_gives():
    data = encoded(noisy(12, 9, channels=4))
    facts, picture = check_picture(data, "image"), open_picture(io.BytesIO(data).getvalue(), "x")
    assert (facts.width, facts.height, facts.mode) == (*picture.size, picture.mode)


@pytest.mark.parametrize(("channels", "mode"), [(3, "RGB"), (4, "RGBA")])
def test_sixteen_bits_a_channel_become_eight(channels, mode):
    values = np.zeros((2, 2, channels), np.uint16)
    values[..., 0], values[..., 1] = 65535, 32896
    _, file = cv2.imencode(".png", values)
    picture = open_picture(file.tobytes(), "image")
    assert picture.mode == mode
    assert picture.getpixel((0, 0))[:3] == (0, 128, 255)  # OpenCV writes blue first
