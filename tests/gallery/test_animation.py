"""Films of pictures."""

from __future__ import annotations

import io

import av
import pytest
from PIL import Image

from modules.gallery.animation import encode_animation
from modules.gallery.errors import GalleryError

FRAMES = [Image.new("RGB", (65, 48), (60 * number, 0, 255 - 60 * number)) for number in range(4)]


@pytest.mark.parametrize("kind", ["webp", "gif"])
def test_pictures_that_browsers_play_for_ever(kind):
    film = Image.open(io.BytesIO(encode_animation(FRAMES, kind, 10)))

    assert (film.n_frames, film.info["loop"], film.size) == (4, 0, (65, 48))
    film.seek(3)
    assert film.convert("RGB").getpixel((20, 20)) == pytest.approx((180, 0, 75), abs=12)
    assert film.info["duration"] == 100


def test_a_video_has_the_frames_at_their_speed():
    with av.open(io.BytesIO(encode_animation(FRAMES, "mp4", 12.5))) as film:
        shown = [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]
        assert film.streams.video[0].average_rate == 12.5

    assert len(shown) == 4
    assert shown[0].shape == (48, 64, 3)
    assert tuple(map(int, shown[3][20, 20])) == pytest.approx((180, 0, 75), abs=8)


@pytest.mark.parametrize(
    ("frames", "kind", "speed"),
    [([], "webp", 10), (FRAMES, "avi", 10), (FRAMES, "mp4", 0), (FRAMES, "gif", 1e9)],
)
def test_what_cannot_be_made_is_refused(frames, kind, speed):
    with pytest.raises(GalleryError):
        encode_animation(frames, kind, speed)
