"""Chinese prompts on their way into a job."""

from __future__ import annotations

import json

import pytest

from modules.gallery.infotext import parse
from modules.gallery.parameters import image_infotext
from modules.gallery.restore import to_request
from modules.jobs.prepare import Preparer
from modules.requests.generation import GenerationRequest
from modules.requests.prepared import PreparedJob

CHINESE = "蓝色背景上的红苹果"
ENGLISH = "a red apple on a blue background"


@pytest.fixture
def preparer(make_service) -> Preparer:
    return make_service(start=False).preparer


def prepare(preparer: Preparer, **fields: object) -> PreparedJob:
    request = GenerationRequest.model_validate({"steps": 4, "seed": 5, **fields})
    return preparer.prepare(request, "job", "test")


def test_the_starter_model_gets_english_and_the_user_is_told(preparer):
    job = prepare(preparer, prompt=CHINESE, negative_prompt="狗", n_iter=2)
    assert job.all_prompts == [ENGLISH] * 2
    assert job.all_negative_prompts == ["a dog"] * 2
    assert job.originals == [[CHINESE, "狗"]] * 2
    assert f"Translated from Chinese: “{ENGLISH}”; “a dog”." in job.warnings
    assert job.request["prompt"] == CHINESE


def test_english_prompts_are_left_alone_without_a_word(preparer):
    job = prepare(preparer, prompt="a (red:1.2) apple")
    assert job.all_prompts == ["a (red:1.2) apple"]
    assert job.originals is None
    assert job.warnings == []


def test_words_that_are_not_known_are_named(preparer):
    job = prepare(preparer, prompt="量子猫")
    assert job.all_prompts == ["a cat"]
    assert "Not in this model's Chinese dictionary and left out: 量子." in job.warnings
    job = prepare(preparer, prompt="量子")
    assert job.all_prompts == ["量子"]
    assert "Not in this model's Chinese dictionary, kept as it is: 量子." in job.warnings


def test_the_option_switches_it_off(preparer):
    job = prepare(preparer, prompt=CHINESE, override_settings={"translate_chinese": False})
    assert job.all_prompts == [CHINESE]
    assert job.originals is None


def test_wildcards_are_chosen_before_they_are_translated(preparer):
    job = prepare(preparer, prompt="{猫|狗}", n_iter=6)
    assert set(job.all_prompts) == {"a cat", "a dog"}
    assert {pair[0] for pair in job.originals} == {"猫", "狗"}
    assert job.templates[0] == "{猫|狗}"


def test_a_dictionary_is_there_for_a_model_that_brings_one_and_only_while_it_is_wanted(preparer):
    checkpoint = preparer.chosen_checkpoint()
    assert preparer.dictionary(checkpoint, {}) is not None
    assert preparer.dictionary(checkpoint, {"translate_chinese": False}) is None
    assert preparer.dictionary(None, {}) is None


def test_the_picture_names_both_texts_and_is_read_back_as_english():
    facts = {"prompt": ENGLISH, "negative_prompt": "", "steps": 4, "seed": 1, "cfg_scale": 3}
    facts |= {"sampler_name": "DDIM", "width": 128, "height": 128}
    text = image_infotext(facts, {}, {}, originals=[CHINESE, ""])
    parsed = parse(text)
    assert parsed.prompt == ENGLISH
    assert parsed.parameters["Prompt in Chinese"] == CHINESE
    restored = to_request(parsed)
    assert restored.fields["prompt"] == ENGLISH
    assert restored.unknown == {}


def test_a_job_keeps_its_originals_on_its_way_through_the_queue(preparer):
    job = prepare(preparer, prompt=CHINESE)
    assert PreparedJob.from_json(json.loads(json.dumps(job.to_json()))) == job


@pytest.mark.parametrize("name", ["../zh.json", "/etc/passwd", "zh.txt", 5, "a/b.json", ""])
def test_a_sidecar_can_name_no_file_elsewhere(tmp_path, name):
    from modules.catalog import read_sidecar

    (tmp_path / "easel.json").write_text(json.dumps({"dictionary": name}), encoding="utf-8")
    assert read_sidecar(tmp_path).dictionary is None


def test_a_broken_dictionary_counts_as_none(tmp_path):
    from modules.catalog.dictionaries import Dictionaries

    path = tmp_path / "zh.json"
    kept = Dictionaries()
    assert kept.at(path) is None
    path.write_text("{", encoding="utf-8")
    assert kept.at(path) is None
    path.write_text(json.dumps({"things": {"猫": "cat|cats"}}), encoding="utf-8")
    assert kept.at(path).words == {"猫": ("thing", "cat|cats")}
