"""In the server: process_images through the queue, and callbacks where pictures are saved."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from PIL import Image

from modules.addons import host as hosts
from modules.addons.host import Host
from modules.addons.server_side import connect
from modules.requests.errors import RequestError
from tests.jobs.conftest import Painter, ask, make_service, paths  # noqa: F401


@pytest.fixture
def jobs(make_service):  # noqa: F811
    from modules.addons.a1111 import script_callbacks

    service = make_service(Painter())
    here = Host("server", paths=service.keeper.paths)
    hosts.set_host(here)
    preparer = service.preparer
    parts = {"catalog": preparer.catalog, "options": preparer.options, "jobs": service}
    connect(here, SimpleNamespace(**parts, styles=preparer.styles))
    yield service
    script_callbacks.clear_callbacks()
    hosts.set_host(Host())


def test_a_button_generates_through_the_queue(jobs):
    from modules.addons.a1111 import processing

    p = processing.StableDiffusionProcessingTxt2Img(
        prompt="a pear", seed=7, steps=3, width=64, height=64, n_iter=2, sampler_name="Euler"
    )
    processed = processing.process_images(p)
    assert [image.size for image in processed.images] == [(64, 64)] * 2
    assert processed.all_seeds == [7, 8]
    assert "Seed: 7" in processed.infotexts[0]
    assert jobs.store.recent(1)[0].client == "extension"


def test_pictures_travel_and_fields_that_cannot_be_used_are_named(jobs):
    from modules.addons.a1111 import processing

    fields = {"prompt": "a pear", "seed": 7, "steps": 3, "width": 64, "height": 64}
    photo = Image.new("RGB", (64, 64), (5, 6, 7))
    p = processing.StableDiffusionProcessingImg2Img(
        init_images=[photo], mask=photo.convert("L"), sampler_name="Euler", **fields
    )
    assert len(processing.process_images(p).images) == 1
    p.sampler_name = "Nothing"
    with pytest.raises(RequestError, match="Nothing"):
        processing.process_images(p)


def test_callbacks_change_what_is_saved_and_hear_where_it_lies(jobs):
    from modules.addons.a1111 import script_callbacks

    heard = []

    def before(params):
        params.pnginfo["parameters"] += ", Guest: yes"
        params.image = params.image.resize((32, 32))
        assert params.p.seed == 7

    script_callbacks.on_before_image_saved(before)
    script_callbacks.on_image_saved(lambda params: heard.append(params.filename))
    record = jobs.wait(jobs.submit(ask(seed=7)))
    (image,) = record.pictures()
    assert heard == [image.path]
    assert image.infotext.endswith("Guest: yes")
    assert (image.width, image.height) == (32, 32)
    with Image.open(image.path) as saved:
        assert saved.size == (32, 32)
        assert saved.info["parameters"].endswith("Guest: yes")


def test_a_callback_that_fails_costs_no_picture(jobs):
    from modules.addons.a1111 import script_callbacks

    script_callbacks.on_before_image_saved(lambda params: 1 / 0)
    record = jobs.wait(jobs.submit(ask(seed=7)))
    assert record.pictures()[0].saved
