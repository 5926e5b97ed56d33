"""Jobs that go through other rooms: outpainting, details, extras, captions."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from PIL import Image

from modules.engine.generation.control import JobControl
from modules.requests.errors import RequestError
from modules.requests.events import Done, Event, Step
from modules.requests.extras import ExtrasRequest
from tests.engine.generation.conftest import Result, Studio, difference


def test_outpainting_grows_the_picture_and_keeps_its_bytes(
    studio: Studio, photo: Image.Image
) -> None:
    job = {"kind": "img2img", "init_images": [photo], "denoising_strength": 0.8, "steps": 3}
    result = studio.make(**job, outpaint={"right": 24, "up": 16})
    grown = result.pictures[0]
    assert grown.shape == (80, 88, 3)
    assert np.array_equal(grown[16:, :64], np.asarray(photo))
    assert result.extra["Outpaint right"] == 24
    assert result.extra["Pixels changed outside the mask"] == 0
    numbers = [step.step for step in result.steps]
    assert numbers == list(range(1, len(numbers) + 1))
    assert {step.steps for step in result.steps} == {len(numbers)}
    second = studio.make(**job, outpaint={"right": 24, "up": 16}, batch_size=2).pictures
    assert difference(second[0], grown) == 0
    nothing = studio.make(**job, outpaint={"uncrop": False}).failed
    assert nothing.message.startswith("outpaint: ")


def test_an_interrupt_ends_outpainting_at_once(studio: Studio, photo: Image.Image) -> None:
    def stop(event: Event, control: JobControl) -> None:
        if isinstance(event, Step):
            control.signal("interrupt")

    result = studio.make(
        kind="img2img", init_images=[photo], outpaint={"left": 32}, n_iter=3, listen=stop
    )
    assert result.done.interrupted
    assert len(result.steps) <= 2


def test_the_detailer_says_when_there_is_no_face(studio: Studio) -> None:
    result = studio.make(detailer={"strength": 0.3}, batch_size=2)
    assert result.done
    assert "found no face" in " ".join(result.warnings)
    plain = studio.make(batch_size=2)
    for one, other in zip(result.pictures, plain.pictures, strict=True):
        assert difference(one, other) == 0


def test_faces_that_cannot_be_restored_cost_a_warning_and_no_picture(studio: Studio) -> None:
    result = studio.make(restore_faces=True, options={"face_restoration_model": "Make-up"})
    assert result.done
    assert any(warning.startswith("Faces were not restored: ") for warning in result.warnings)
    assert "Face restoration" not in result.extra
    assert difference(result.pictures[0], studio.picture()) == 0


def test_extras_need_no_checkpoint(studio: Studio, photo: Image.Image) -> None:
    reference = studio.stored(photo)
    request = ExtrasRequest(images=[reference], upscaler_1="Nearest", upscaling_resize=2)
    prepared = dataclasses.replace(
        studio.prepare(),
        kind="extras",
        request=request.model_dump(),
        all_prompts=[""],
        all_negative_prompts=[""],
        all_seeds=[-1],
        all_subseeds=[-1],
        checkpoint=None,
    )
    result = Result()
    studio._listen = result.events.append
    studio.engine.run(prepared, JobControl(prepared.id))
    assert isinstance(result.events[-1], Done), result.events[-1]
    assert result.pictures[0].shape == (128, 128, 3)
    assert result.done.facts["pictures"] == 1


def test_captions_are_asked_for_by_command(studio: Studio, photo: Image.Image) -> None:
    path = studio.prepare(kind="img2img", init_images=[photo])
    image = path.inputs[path.request["init_images"][0]]
    with pytest.raises(RequestError):
        studio.engine.carry_out({"cmd": "interrogate", "image": image, "model": "crystal ball"})
    with pytest.raises(RequestError):
        studio.engine.carry_out({"cmd": "interrogate", "image": "/nowhere.png"})


def test_unknown_kinds_are_refused(studio: Studio) -> None:
    prepared = dataclasses.replace(studio.prepare(), kind="video")
    result = Result()
    studio._listen = result.events.append
    studio.engine.run(prepared, JobControl(prepared.id))
    assert "'video' is not known. Allowed: txt2img, img2img, extras, " in result.failed.message
