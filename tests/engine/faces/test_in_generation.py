"""Faces inside of a job: the detailer and face restoration on what the shipped model made."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from modules.engine.generation.control import JobControl
from modules.engine.generation.detailer import detail_faces, face_mask
from modules.engine.postprocess.faces import shared_detector
from modules.requests.events import ImageDone, Step
from modules.requests.generation import Detailer, GenerationRequest
from tests.engine.generation.conftest import Studio


@pytest.fixture(scope="module")
def studio(tmp_path_factory, starter_model) -> Studio:
    return Studio(tmp_path_factory.mktemp("faces"), starter_model)


@pytest.fixture(scope="module")
def job(photo):
    """An img2img job that gives its picture back almost as it was: two faces in it."""
    face = photo.crop((90, 30, 230, 200))
    picture = Image.new("RGB", (320, 192), "gray")
    picture.paste(face, (10, 10))
    picture.paste(face.transpose(Image.Transpose.FLIP_LEFT_RIGHT).resize((110, 134)), (180, 30))
    made = {"width": 320, "height": 192, "steps": 2, "denoising_strength": 0.0}
    return {"kind": "img2img", "init_images": [picture], **made}


@pytest.fixture(scope="module")
def plain(studio, job) -> np.ndarray:
    picture = studio.picture(**job)
    assert len(shared_detector().detect(Image.fromarray(picture))) == 2
    return picture


def boxes(picture):
    return [face.box for face in shared_detector().detect(Image.fromarray(picture))]


def changed_outside(before, after, around):
    """Pixels that differ outside of boxes grown by ``around`` of their size."""
    moved = (before != after).any(axis=2)
    assert moved.any()
    for left, top, right, bottom in boxes(before):
        wide, high = (right - left) * around, (bottom - top) * around
        rows = slice(max(0, int(top - high)), int(bottom + high))
        moved[rows, max(0, int(left - wide)) : int(right + wide)] = False
    return int(moved.sum())


def test_every_face_is_repainted_and_nothing_else(studio, job, plain):
    result = studio.make(**job, detailer={"prompt": "a red face", "strength": 0.6, "padding": 16})
    (picture,) = result.pictures
    assert changed_outside(plain, picture, 0.35) == 0
    for left, top, right, bottom in boxes(plain):
        middle = np.s_[int(top) + 8 : int(bottom) - 8, int(left) + 6 : int(right) - 6]
        assert (picture[middle] != plain[middle]).any(axis=2).mean() > 0.95
    facts = result.facts["extra"]
    assert facts["Detailer faces"] == 2 and facts["Detailer strength"] == 0.6
    assert facts["Detailer prompt"] == "a red face" and facts["Detailer padding"] == 16
    assert "Detailer confidence" not in facts, "defaults are not written"
    last = result.steps[-1]
    assert last.step == last.steps == 1 + 2 * 2, "one step of the job, two for each face"


def test_an_interrupt_keeps_the_picture_without_details(studio, job, plain):
    def stop(event, control: JobControl):
        if isinstance(event, Step) and event.step == 2:
            control.signal("interrupt")

    result = studio.make(listen=stop, **job, detailer={"strength": 0.6})
    assert result.done.interrupted and (result.pictures[0] == plain).all()


def test_faces_are_restored_in_generation(studio, job, plain, resources):
    result = studio.make(
        **job,
        restore_faces=True,
        resources=resources,
        options={"face_restoration_model": "GFPGAN", "save_images_before_face_restoration": True},
    )
    before, after = (event for event in result.of(ImageDone))
    assert before.role == "before_face_restoration" and before.data == plain.tobytes()
    picture = np.frombuffer(after.data, np.uint8).reshape(plain.shape)
    assert changed_outside(plain, picture, 0.75) == 0
    assert after.facts["extra"]["Face restoration"] == "GFPGAN"


class _Painter:
    """Fills the mask with one grey and remembers how it was asked."""

    def __init__(self, own_side):
        self.own_side = own_side
        self.calls, self.expected = [], None

    def expect(self, passes, strength):
        self.expected = (passes, strength)

    def repaint(self, image, mask, **how):
        self.calls.append(how)
        painted = image.copy()
        painted.paste((128, 128, 128), mask=mask)
        return painted


def detailed(picture, spec, own_side=256, **more):
    painter, warnings = _Painter(own_side), []
    request = GenerationRequest(prompt="two people", negative_prompt="ugly")
    result, facts = detail_faces(
        picture, spec, painter, shared_detector(), request, 40, warnings.append, **more
    )
    return result, facts, painter, warnings


def test_each_face_may_have_its_own_prompt_from_left_to_right(two_faces):
    spec = Detailer(prompt="[PROMPT], a man [SEP] a woman")
    _, _, painter, warnings = detailed(two_faces, spec)
    assert [call["prompt"] for call in painter.calls] == ["two people, a man", "a woman"]
    assert [call["negative_prompt"] for call in painter.calls] == ["ugly", "ugly"]
    assert [call["seed"] for call in painter.calls] == [40, 41]
    assert painter.expected == (2, spec.strength) and not warnings
    assert all(call["full_res"] and call["width"] == 256 for call in painter.calls)
    _, _, painter, _ = detailed(two_faces, Detailer(size=320), prompt="as expanded")
    assert {call["prompt"] for call in painter.calls} == {"as expanded"}
    assert {call["height"] for call in painter.calls} == {320}


def test_a_face_that_is_large_already_is_rendered_larger_than_the_models_own_size(two_faces):
    def sides(own):
        _, _, painter, _ = detailed(two_faces, Detailer(padding=16), own)
        return [call["width"] for call in painter.calls]

    assert sides(256) == [256, 256]
    assert sides(128) == [176, 136], "139 and 100 pixels high with 16 around, on the latent grid"
    assert sides(64) == [96, 96], "one and a half times as large at most"


def test_the_largest_faces_come_first_when_there_are_too_many(two_faces):
    result, facts, painter, warnings = detailed(two_faces, Detailer(max_faces=1))
    assert len(painter.calls) == 1 and facts["Detailer faces"] == 1
    changed = (np.asarray(result) != np.asarray(two_faces)).any(axis=(0, 2))
    assert changed[:320].any() and not changed[320:].any()
    assert warnings == ["The detailer found 2 faces and repaints the 1 largest."]


def test_without_a_face_the_picture_stays_and_the_user_is_told():
    blank = Image.new("RGB", (64, 64), "navy")
    result, facts, painter, warnings = detailed(blank, Detailer())
    assert result is blank and facts["Detailer faces"] == 0 and not painter.calls
    assert warnings == ["The detailer found no face."]


def test_the_mask_is_rounded():
    mask = np.asarray(face_mask((100, 80), (20, 10, 60, 70)))
    assert mask[40, 20] == mask[10, 40] == mask[69, 40] == mask[40, 59] == 255
    assert mask[11, 21] == 0 and mask[40, 60] == 0 and mask[40, 19] == 0
