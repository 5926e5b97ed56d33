"""Which results carry the mark: pictures and sheets, no masks, and Extras of what was marked."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import pytest
from PIL import Image

from modules.gallery.credentials.report import may_have_credentials
from modules.imaging.watermark import embed, find_mark
from modules.jobs.records import JobRecord
from modules.requests import events
from modules.requests.extras import ExtrasRequest
from tests.jobs.conftest import ask

SIDE = 256
PLAIN = Image.new("RGB", (SIDE, SIDE), "#7f9db2")


@pytest.fixture
def jobs(make_service):
    service = make_service()
    service.pause_all()
    service.preparer.options.set_many({"watermark_enabled": True})
    return service


def b64(image: Image.Image) -> str:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def done(record: JobRecord, role: str = "image", index: int = 0, **facts) -> events.ImageDone:
    facts = {"seed": 7, "prompt": "a pear", "steps": 3, **facts}
    data = PLAIN.tobytes()
    return events.ImageDone(record.id, index, SIDE, SIDE, "RGB", data, facts=facts, role=role)


def kept(jobs, record, event) -> Image.Image:
    image = jobs.keeper.keep(record, event).result()
    return Image.open(Path(image.path)).convert("RGB")


def test_pictures_and_earlier_states_are_marked_and_masks_are_not(jobs):
    jobs.preparer.options.set_many({"return_mask": True, "save_images_before_highres_fix": True})
    record = jobs.record(jobs.submit(ask()))
    assert find_mark(kept(jobs, record, done(record))) is not None
    assert find_mark(kept(jobs, record, done(record, "before_highres_fix"))) is not None
    assert find_mark(kept(jobs, record, done(record, "mask"))) is None


def test_another_text_and_method_are_those_of_the_settings(jobs):
    jobs.preparer.options.set_many({"watermark_text": "画室", "watermark_method": "dwtDct"})
    record = jobs.record(jobs.submit(ask()))
    found = find_mark(kept(jobs, record, done(record)), ["画室"])
    assert (found.text, found.method) == ("画室", "dwtDct")


@pytest.mark.parametrize("marked", [True, False])
def test_extras_mark_again_what_was_marked(jobs, marked):
    source = embed(PLAIN) if marked else PLAIN
    asked = ExtrasRequest(images=[b64(source)], upscaler_1="Lanczos")
    record = jobs.record(jobs.submit(asked))
    event = done(record, input=next(iter(record.prepared["inputs"])))
    assert (find_mark(kept(jobs, record, event)) is not None) is marked


def test_the_contact_sheet_is_marked_and_signed(jobs):
    jobs.preparer.options.set_many({"content_credentials": True, "grid_save": True})
    record = jobs.record(jobs.submit(ask(n_iter=2)))
    pictures = [jobs.keeper.keep(record, done(record, index=i)).result() for i in range(2)]
    sheet = jobs.keeper._grid(record, pictures)
    data = Path(sheet.path).read_bytes()
    assert find_mark(Image.open(io.BytesIO(data))) is not None
    assert may_have_credentials(data)


def test_nothing_is_marked_or_signed_unless_asked_for(jobs):
    jobs.preparer.options.set_many({"watermark_enabled": False})
    record = jobs.record(jobs.submit(ask()))
    image = jobs.keeper.keep(record, done(record)).result()
    assert find_mark(Image.open(image.path)) is None
    assert not may_have_credentials(Path(image.path).read_bytes())
    assert not (jobs.keeper.paths.data / "credentials").exists()
