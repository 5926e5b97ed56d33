"""The likely cause of a difference, from what is written down of both pictures."""

from __future__ import annotations

from PIL import Image

from modules.imaging.comparing import compare
from modules.jobs.replay_causes import Cause, find_causes

TEXT = (
    "a pear\nNegative prompt: blurry\nSteps: 20, Sampler: Euler a, Seed: 1, Size: 64x64, "
    'Model hash: aaaa, Model: one, RNG: CPU, Lora hashes: "fine: 11, rough: 22", Version: easel 1'
)


def kinds(then: str, now: str, *versions: dict[str, str]) -> list[str]:
    return [cause.kind for cause in find_causes(then, now, *versions)]


def test_equal_texts_leave_only_what_is_not_written_down():
    assert kinds(TEXT, TEXT) == ["unknown"]


def test_causes_are_named_with_the_likeliest_first():
    now = (
        TEXT.replace("easel 1", "easel 2")
        .replace("aaaa, Model: one", "bbbb, Model: two")
        .replace("RNG: CPU, ", "")
        .replace("rough: 22", "rough: 33")
    )
    versions = {"torch": "2.1", "device": "cuda", "threads": "8", "easel": "1"}
    found = find_causes(TEXT, now, versions, {"torch": "2.2", "device": "cpu", "threads": "2"})
    assert [cause.sentence for cause in found] == [
        "Another checkpoint: one [aaaa] made it, two [bbbb] was used now.",
        "Another LoRA file rough: 22 then, 33 now.",
        "RNG: CPU then, none now.",
        "Another version of the program: easel 1 then, easel 2 now.",
        "Another version of torch: 2.1 then, 2.2 now.",
        "Another device: cuda then, cpu now.",
        "Another number of threads: 8 then, 2 now.",
    ]


def test_a_renamed_checkpoint_is_no_cause():
    assert kinds(TEXT, TEXT.replace("Model: one", "Model: renamed")) == ["unknown"]


def test_a_lost_lora_and_a_memory_rung_are_causes():
    now = TEXT.replace('"fine: 11, rough: 22"', '"rough: 22"').replace(
        "Version", "Memory ladder: caches emptied, Version"
    )
    assert kinds(TEXT, now) == ["lora", "memory"]


def test_what_the_files_tell_comes_first():
    found = find_causes(TEXT, TEXT, None, None, Cause("changed"))
    assert [cause.sentence for cause in found] == ["The file was changed after it was made."]


def test_pictures_are_compared_pixel_by_pixel():
    one = Image.new("RGB", (4, 2), (10, 20, 30))
    other = one.copy()
    assert compare(one, other).same
    other.putpixel((1, 1), (10, 20, 90))
    found = compare(one, other)
    assert (found.same, found.pixels, found.differing, found.largest) == (False, 8, 1, 60)
    assert not compare(one, Image.new("RGB", (2, 4))).same
    assert compare(one, one.convert("RGBA")).same
