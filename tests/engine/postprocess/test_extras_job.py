"""The Extras job over real files: several pictures, blending, sizes, order, data sets, warnings."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from modules.catalog.restorers import find_restorer
from modules.engine.device import choose_policy
from modules.engine.generation.control import JobControl
from modules.engine.postprocess import enlarging
from modules.engine.postprocess.run import ExtrasJob
from modules.requests.errors import RequestError
from modules.requests.events import Event, ImageDone, Step, Warning_
from modules.requests.extras import ExtrasRequest
from modules.requests.prepared import PreparedJob
from modules.settings.paths import Paths

QUICK = "R-ESRGAN AnimeVideo"
FACE = Path(__file__).parents[1] / "faces" / "data" / "astronaut.png"


class Bench:
    """Runs jobs and keeps what they say."""

    def __init__(self, tmp_path: Path, paths: Paths, resources: dict[str, Any]) -> None:
        self.folder = tmp_path
        self.paths = paths
        self.resources = resources
        self.events: list[Event] = []
        self.control = JobControl("job")
        self.options: dict[str, Any] = {"ESRGAN_tile": 0}

    def run(self, pictures: dict[str, Image.Image | bytes], **request: Any) -> list[ImageDone]:
        """The results for pictures by file name."""
        inputs = {}
        for name, picture in pictures.items():
            file = self.folder / name
            if isinstance(picture, bytes):
                file.write_bytes(picture)
            else:
                picture.save(file)
            inputs[f"input:{name}"] = str(file)
        asked = ExtrasRequest(images=list(inputs), names=list(pictures), **request)
        count = len(inputs)
        prepared = PreparedJob(
            id="job",
            kind="extras",
            request=asked.model_dump(mode="json"),
            options=self.options,
            all_prompts=[""] * count,
            all_negative_prompts=[""] * count,
            all_seeds=[-1] * count,
            all_subseeds=[-1] * count,
            inputs=inputs,
            resources=self.resources,
        )
        engine = SimpleNamespace(policy=choose_policy({"use_cpu": ["all"]}))
        self.events.clear()
        job = ExtrasJob(prepared, self.control, self._hear, self.paths, engine)
        self.ledger = job.run()
        return self.of(ImageDone)

    def of(self, kind: type[Event]) -> list[Any]:
        """The events of one kind."""
        return [event for event in self.events if isinstance(event, kind)]

    def _hear(self, event: Event) -> None:
        self.events.append(event)
        if isinstance(event, Step) and event.iteration == 1:
            self.on_second_picture()

    def on_second_picture(self) -> None:
        """What happens when the second picture makes a step."""


@pytest.fixture
def bench(tmp_path: Path, paths: Paths, resources: dict[str, Any]) -> Bench:
    """A place for jobs, with nothing remembered from others."""
    enlarging.CACHE.clear()
    return Bench(tmp_path, paths, resources)


def image_of(event: ImageDone) -> Image.Image:
    return Image.frombytes(event.mode, (event.width, event.height), event.data)


def test_the_default_is_to_leave_a_picture_as_it_is(bench: Bench, photo: Image.Image) -> None:
    (result,) = bench.run({"a.png": photo})
    assert image_of(result).tobytes() == photo.tobytes()
    assert result.facts["extra"] == {}


def test_facts_say_what_was_done_in_a1111_s_words(bench: Bench, photo: Image.Image) -> None:
    (result,) = bench.run({"a.png": photo}, upscaler_1=QUICK, upscaling_resize=4)
    assert (result.width, result.height) == (224, 160)
    assert list(result.facts["extra"].items()) == [
        ("Postprocess upscale by", 4),
        ("Postprocess upscaler", QUICK),
    ]
    assert result.facts["name"] == "a.png"
    assert result.facts["input"] == "input:a.png"
    assert bench.ledger.pictures == 1


def test_two_upscalers_are_blended_by_the_second_one_s_visibility(
    bench: Bench, photo: Image.Image
) -> None:
    (result,) = bench.run(
        {"a.png": photo},
        upscaler_1="Nearest",
        upscaler_2="Lanczos",
        extras_upscaler_2_visibility=0.25,
        upscaling_resize=2,
    )
    first = photo.resize((112, 80), Image.Resampling.NEAREST)
    second = photo.resize((112, 80), Image.Resampling.LANCZOS)
    assert image_of(result).tobytes() == Image.blend(first, second, 0.25).tobytes()
    assert result.facts["extra"]["Postprocess upscaler 2"] == "Lanczos"


@pytest.mark.parametrize("crop", [True, False])
def test_resize_to_covers_the_size_and_cuts_it_if_asked(
    crop: bool, bench: Bench, photo: Image.Image
) -> None:
    (result,) = bench.run(
        {"a.png": photo},
        upscaler_1=QUICK,
        resize_mode=1,
        upscaling_resize_w=100,
        upscaling_resize_h=100,
        upscaling_crop=crop,
    )
    assert (result.width, result.height) == ((100, 100) if crop else (140, 100))
    assert result.facts["extra"]["Postprocess upscale to"] == "100x100"
    assert ("Postprocess crop to" in result.facts["extra"]) is crop


def test_the_longest_side_can_be_limited(bench: Bench, photo: Image.Image) -> None:
    (result,) = bench.run(
        {"a.png": photo}, upscaler_1="Lanczos", upscaling_resize=4, max_side_length=112
    )
    assert (result.width, result.height) == (112, 80)
    assert result.facts["extra"]["Max side length"] == 112


def test_unreadable_pictures_are_left_out_and_named(bench: Bench, photo: Image.Image) -> None:
    results = bench.run(
        {"a.png": photo, "b.png": b"no picture", "c.png": photo, "d.png": b"\x89PNG\r\n\x1a\n cut"},
        upscaler_1="Lanczos",
    )
    assert [result.facts["name"] for result in results] == ["a.png", "c.png"]
    assert [result.index for result in results] == [0, 1]
    warnings = [event.message for event in bench.of(Warning_)]
    assert len(warnings) == 2
    assert warnings[0].startswith("b.png was left out: this is no picture")
    assert warnings[1].startswith("d.png was left out: ")


def test_a_job_fails_when_no_picture_can_be_read(bench: Bench) -> None:
    with pytest.raises(RequestError, match="image: this is no picture"):
        bench.run({"b.png": b"no picture"})


def test_a_picture_that_would_get_too_large_does_not_stop_the_others(
    bench: Bench, photo: Image.Image
) -> None:
    long = Image.new("RGB", (1, 4000))
    results = bench.run(
        {"long.png": long, "a.png": photo},
        upscaler_1="Lanczos",
        resize_mode=1,
        upscaling_resize_w=512,
        upscaling_resize_h=512,
    )
    assert [result.facts["name"] for result in results] == ["a.png"]
    assert "long.png was left out" in bench.of(Warning_)[0].message


def test_grey_pictures_become_coloured_and_transparent_ones_stay(
    bench: Bench, photo: Image.Image
) -> None:
    clear = photo.copy()
    clear.putalpha(128)
    grey, transparent = bench.run(
        {"grey.png": photo.convert("L"), "clear.png": clear}, upscaler_1=QUICK
    )
    assert grey.mode == "RGB"
    assert transparent.mode == "RGBA"
    assert image_of(transparent).getchannel("A").getextrema() == (128, 128)


def test_progress_counts_tiles_through_and_ends_at_the_end(
    bench: Bench, photo: Image.Image
) -> None:
    bench.options["ESRGAN_tile"] = 24
    other = photo.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    bench.run(
        {"a.png": photo, "b.png": other},
        upscaler_1=QUICK,
        upscaler_2="R-ESRGAN AnimeVideo",
        extras_upscaler_2_visibility=0.5,
        upscaling_resize=4,
    )
    for iteration in (0, 1):
        steps = [event for event in bench.of(Step) if event.iteration == iteration]
        counted = [event.step for event in steps]
        assert counted == sorted(counted)
        assert counted[0] == 0
        assert len(set(counted)) >= 6
        assert steps[-1].step == steps[-1].steps
        assert {event.n_iter for event in steps} == {2}


def test_an_interrupt_keeps_the_pictures_that_are_done(bench: Bench, photo: Image.Image) -> None:
    bench.options["ESRGAN_tile"] = 24
    bench.on_second_picture = lambda: bench.control.signal("interrupt")
    other = photo.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    results = bench.run({"a.png": photo, "b.png": other, "c.png": photo}, upscaler_1=QUICK)
    assert [result.facts["name"] for result in results] == ["a.png"]
    assert bench.ledger.interrupted


def test_a_skip_leaves_one_picture_out(bench: Bench, photo: Image.Image) -> None:
    bench.options["ESRGAN_tile"] = 24
    bench.on_second_picture = lambda: bench.control.signal("skip")
    other = photo.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    results = bench.run({"a.png": photo, "b.png": other, "c.png": photo}, upscaler_1=QUICK)
    assert [result.facts["name"] for result in results] == ["a.png", "c.png"]
    assert bench.of(Warning_)[0].message == "b.png was skipped."
    assert not bench.ledger.interrupted


def test_a_result_is_kept_for_the_next_job(bench: Bench, photo: Image.Image) -> None:
    (first,) = bench.run({"a.png": photo}, upscaler_1=QUICK)
    (again,) = bench.run({"a.png": photo}, upscaler_1=QUICK)
    assert again.data == first.data
    assert len(enlarging.CACHE) == 1
    bench.options["upscaling_max_images_in_cache"] = 0
    bench.run({"a.png": photo}, upscaler_1=QUICK)
    assert len(enlarging.CACHE) == 0


def test_large_pictures_are_split_and_every_piece_is_a_result(
    bench: Bench, photo: Image.Image
) -> None:
    long = photo.resize((64, 256))
    results = bench.run(
        {"long.png": long},
        dataset={"split_oversized": True, "width": 64, "height": 64, "split_overlap": 0.2},
    )
    assert [result.facts["suffix"] for result in results] == [
        f"-split-{number}" for number in range(1, 6)
    ]
    assert {(result.width, result.height) for result in results} == {(64, 64)}
    assert image_of(results[0]).tobytes() == long.crop((0, 0, 64, 64)).tobytes()
    assert image_of(results[-1]).tobytes() == long.crop((0, 192, 64, 256)).tobytes()


def test_flipped_copies_come_beside_the_pictures(bench: Bench, photo: Image.Image) -> None:
    plain, mirrored = bench.run({"a.png": photo}, dataset={"flipped_copies": True})
    flip = photo.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    assert image_of(plain).tobytes() == photo.tobytes()
    assert image_of(mirrored).tobytes() == flip.tobytes()
    assert mirrored.facts["suffix"] == "-flipped"


def test_auto_sized_crops_keep_within_the_limits(bench: Bench, photo: Image.Image) -> None:
    limits = {"auto_min_side": 64, "auto_max_side": 256, "auto_max_area": 128 * 192}
    (result,) = bench.run({"a.png": photo}, dataset={"auto_sized_crop": True, **limits})
    assert (result.width % 64, result.height % 64) == (0, 0)
    assert result.width * result.height <= 128 * 192
    assert result.width > result.height
    impossible = {"auto_min_side": 64, "auto_max_side": 64}
    (result,) = bench.run(
        {"a.png": photo}, dataset={"auto_sized_crop": True, "auto_threshold": 0, **impossible}
    )
    assert (result.width, result.height) == photo.size
    assert "a.png was not cropped" in bench.of(Warning_)[0].message


def test_a_focal_crop_follows_what_is_in_the_picture(bench: Bench) -> None:
    rng = np.random.default_rng(1)
    pixels = np.full((64, 256, 3), 128, np.uint8)
    pixels[16:48, 192:240] = rng.integers(0, 256, (32, 48, 3))
    (result,) = bench.run(
        {"a.png": Image.fromarray(pixels)},
        dataset={"focal_crop": True, "width": 64, "height": 64, "focal_face_weight": 0},
    )
    assert (result.width, result.height) == (64, 64)
    assert np.asarray(image_of(result)).std() > 30


def test_a_setting_can_change_the_order_of_the_steps(bench: Bench, photo: Image.Image) -> None:
    bench.options["postprocessing_operation_order"] = ["Create flipped copies", "Upscale"]
    plain, mirrored = bench.run(
        {"a.png": photo}, upscaler_1="Nearest", dataset={"flipped_copies": True}
    )
    assert mirrored.facts["extra"]["Postprocess upscaler"] == "Nearest"
    assert (plain.width, mirrored.width) == (112, 112)


@pytest.mark.parametrize(
    ("request_fields", "file"),
    [
        ({"gfpgan_visibility": 1.0}, "GFPGANv1.4.pth"),
        ({"dataset": {"caption": "deepdanbooru"}}, "model-resnet_custom_v3.pt"),
    ],
)
def test_a_missing_model_ends_the_job_with_one_sentence(
    request_fields: dict[str, Any], file: str, bench: Bench
) -> None:
    face = Image.open(FACE).convert("RGB")
    info = replace(find_restorer("GFPGAN", bench.paths), url="http://127.0.0.1:9/GFPGANv1.4.pth")
    bench.resources["restorers"] = {"GFPGAN": info.to_json()}
    with pytest.raises(RequestError, match=file) as caught:
        bench.run({"a.png": face, "b.png": face}, **request_fields)
    assert str(bench.paths.models) in caught.value.sentence
    assert not bench.of(ImageDone)


def test_the_work_needs_no_gradients(bench: Bench, photo: Image.Image) -> None:
    with torch.enable_grad():
        (result,) = bench.run({"a.png": photo}, upscaler_1=QUICK)
    assert result.width == 112
