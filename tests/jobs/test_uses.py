"""Which models made which pictures, told from what the pictures carry."""

from __future__ import annotations

from dataclasses import replace

import pytest

from modules.jobs.records import DONE, ImageRecord
from modules.jobs.store import JobStore
from modules.jobs.uses import Use, uses_of
from tests.jobs.test_store import picture, prepared

INFOTEXT = (
    "a fox <lora:left out:1> <hypernet:old paint:0.5>\nNegative prompt: dull\n"
    "Steps: 4, Sampler: Euler, CFG scale: 7, Seed: 5, Size: 64x64, Model hash: 0011223344, "
    'Model: apple, VAE hash: aabbccddee, VAE: nice.safetensors, Lora hashes: "ink: 0a1b, b: 2c", '
    'TI hashes: "soft: 9f", Refiner: pear.safetensors [5566778899], Hires upscaler: 4x-Sharp, '
    "Face restoration: GFPGAN"
)


def made(job: str = "one", image_id: str = "a" * 32, **facts: object) -> ImageRecord:
    """A picture whose parameters name many models."""
    return replace(picture(job, image_id=image_id), infotext=INFOTEXT, facts=facts)


@pytest.fixture
def store(tmp_path):
    opened = JobStore(tmp_path / "queue.sqlite")
    yield opened
    opened.close()


def test_every_model_that_parameters_name_is_a_use() -> None:
    assert set(uses_of(made())) == {
        Use("checkpoint", "apple", "0011223344"),
        Use("checkpoint", "pear.safetensors", "5566778899"),
        Use("vae", "nice.safetensors", "aabbccddee"),
        Use("lora", "ink", "0a1b"),
        Use("lora", "b", "2c"),
        Use("embedding", "soft", "9f"),
        Use("hypernetwork", "old paint"),
        Use("upscaler", "4x-Sharp"),
        Use("restorer", "GFPGAN"),
    }


def test_facts_count_where_settings_keep_names_out_of_the_text() -> None:
    bare = replace(
        picture("one"), infotext="a fox", facts={"model_name": "apple", "model_hash": "00"}
    )
    assert uses_of(bare) == [Use("checkpoint", "apple", "00")]


def test_plain_ways_to_enlarge_are_no_models() -> None:
    text = "x\nSteps: 1, Sampler: Euler, Seed: 1, Hires upscaler: Latent (nearest)"
    assert uses_of(replace(picture("one"), infotext=text, facts={})) == []
    assert uses_of(replace(picture("one", kind="grid"), infotext=INFOTEXT)) == []


def test_uses_are_counted_and_outlive_their_jobs(store) -> None:
    for number in range(3):
        store.add(prepared(f"job{number}"), save=True)
        store.add_image(made(f"job{number}", f"{number:032x}"))
        store.update(f"job{number}", state=DONE, finished=float(number))
    store.forget_finished(1)
    counted = {(use.kind, use.name): use.count for use in store.model_uses()}
    assert counted["lora", "ink"] == 3
    newest = store.images_made_with("lora", ["ink", "another name"], limit=2)
    assert len(newest) == 2 and all(one.path for one in newest)
    assert store.images_made_with("vae", ["ink"]) == []


def test_a_picture_made_again_counts_once(store) -> None:
    store.add(prepared("one"), save=True)
    store.add_image(made(image_id="a" * 32))
    store.add_image(made(image_id="b" * 32))
    assert [one.image for one in store.images_made_with("lora", ["ink"])] == ["b" * 32]


def test_pictures_from_before_the_record_are_taken_up(store) -> None:
    store.add(prepared("one"), save=True)
    store.add_image(made())
    with store._transaction() as connection:
        connection.execute("DELETE FROM model_uses")
    assert {use.name for use in store.model_uses()} >= {"apple", "ink"}
