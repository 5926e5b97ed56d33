"""A request becomes a job that can be repeated; what cannot be done is refused at once."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from modules.prompts import Style
from modules.requests.errors import NotFoundInList, RequestError
from modules.requests.limits import TEST_LIMITS
from tests.jobs.conftest import ask


@pytest.fixture
def preparer(make_service):
    return make_service(start=False).preparer


def prepare(preparer, **fields):
    return preparer.prepare(ask(**fields), "id", "ui")


def test_a_random_seed_is_drawn_before_the_job_is_stored(preparer):
    job = prepare(preparer, seed=-1, subseed=-1, n_iter=2)
    assert job.all_seeds == [job.request["seed"], job.request["seed"] + 1]
    assert 0 <= job.request["seed"] < 2**32 - 1
    assert job.request["subseed"] >= 0


def test_names_are_settled_old_combined_ones_too(preparer):
    job = prepare(preparer, sampler_name="Euler a Karras")
    assert (job.request["sampler_name"], job.request["scheduler"]) == ("Euler a", "Karras")


def test_sizes_are_rounded_down_to_the_latent_grid(preparer):
    job = prepare(preparer, width=135, height=71)
    assert (job.request["width"], job.request["height"]) == (128, 64)


def test_the_shipped_checkpoint_is_found_by_any_of_its_names(preparer):
    job = prepare(preparer, override_settings={"sd_model_checkpoint": "easel-starter"})
    assert job.checkpoint.endswith("easel-starter")
    assert job.options["sd_model_checkpoint"].startswith("easel-starter")


def test_overrides_reach_the_engine_and_leave_the_settings_alone(preparer):
    job = prepare(preparer, override_settings={"CLIP_stop_at_last_layers": 2, "unknown": 1})
    assert job.options["CLIP_stop_at_last_layers"] == 2
    assert preparer.options.get("CLIP_stop_at_last_layers") == 1
    assert "unknown" not in job.options


def test_styles_are_applied(preparer):
    preparer.styles.save(Style("ink", "ink drawing of {prompt}", "photo"))
    job = prepare(preparer, styles=["ink", "None"], negative_prompt="blurry")
    assert job.all_prompts == ["ink drawing of a pear"]
    assert job.all_negative_prompts == ["blurry, photo"]
    assert job.warnings == []


def test_an_unknown_style_is_refused_with_the_known_ones(preparer):
    preparer.styles.save(Style("ink", "ink drawing of {prompt}", "photo"))
    with pytest.raises(NotFoundInList, match=r"styles: 'nobody' .*ink"):
        prepare(preparer, styles=["ink", "nobody"])


def test_wildcards_stay_text_when_the_setting_is_off(preparer):
    preparer.options.set_many({"enable_wildcards": False})
    job = prepare(preparer, prompt="a {red|blue} __thing__", n_iter=2)
    assert job.all_prompts == ["a {red|blue} __thing__"] * 2
    assert job.templates is None


def test_wildcards_differ_by_seed_and_repeat_with_it(preparer, paths):
    (paths.wildcards / "color.txt").write_text("\n".join(f"color{n}" for n in range(50)))
    job = prepare(preparer, prompt="a __color__ pear, {big|small}", n_iter=4)
    assert len(set(job.all_prompts)) > 1
    assert job.templates == ["a __color__ pear, {big|small}", ""]
    again = prepare(preparer, prompt="a __color__ pear, {big|small}", seed=job.all_seeds[2])
    assert again.all_prompts == [job.all_prompts[2]]


def test_comments_do_not_reach_the_engine(preparer):
    assert prepare(preparer, prompt="a pear\n# not this").all_prompts[0].strip() == "a pear"


def test_the_job_survives_its_json_form(preparer):
    from modules.requests.prepared import PreparedJob

    job = prepare(preparer)
    assert PreparedJob.from_json(job.to_json()) == job


@pytest.mark.parametrize(
    ("field", "fields"),
    [
        ("sampler_name", {"sampler_name": "Nobody's sampler"}),
        ("scheduler", {"scheduler": "weekly"}),
        (
            "override_settings.sd_model_checkpoint",
            {"override_settings": {"sd_model_checkpoint": "zzz"}},
        ),
        ("sd_vae", {"override_settings": {"sd_vae": "zzz.safetensors"}}),
        ("refiner_checkpoint", {"refiner_checkpoint": "zzz.safetensors"}),
        ("hr_upscaler", {"enable_hr": True, "hr_upscaler": "zzz"}),
        ("hr_sampler_name", {"enable_hr": True, "hr_sampler_name": "zzz"}),
        ("hr_scheduler", {"enable_hr": True, "hr_scheduler": "zzz"}),
        ("hr_checkpoint_name", {"enable_hr": True, "hr_checkpoint_name": "zzz"}),
    ],
)
def test_unknown_names_are_refused_with_the_known_ones(preparer, field, fields):
    with pytest.raises(NotFoundInList) as caught:
        prepare(preparer, **fields)
    assert caught.value.field == field
    assert caught.value.allowed


@pytest.mark.parametrize(
    ("field", "fields"),
    [
        ("width", {"width": 16384, "height": 16384}),
        ("height", {"height": 1_000_000}),
        ("batch_size", {"width": 2048, "height": 2048, "batch_size": 64}),
        ("n_iter", {"n_iter": 10000}),
        ("hr_scale", {"enable_hr": True, "width": 2048, "height": 2048, "hr_scale": 8}),
        ("hr_resize_x", {"enable_hr": True, "hr_resize_x": 16384, "hr_resize_y": 64}),
        ("batch_size", {"enable_hr": True, "width": 1024, "height": 1024, "batch_size": 64}),
        ("init_images", {"kind": "img2img"}),
        ("script_name", {"script_name": "x/y/z plot"}),
        ("alwayson_scripts", {"alwayson_scripts": {"controlnet": {"args": []}}}),
        (
            "override_settings.CLIP_stop_at_last_layers",
            {"override_settings": {"CLIP_stop_at_last_layers": 99}},
        ),
        ("prompt", {"prompt": "x" * 60000, "n_iter": 500}),
    ],
)
def test_what_cannot_be_done_is_refused_at_once_with_its_field(preparer, field, fields):
    prepare(preparer)
    begun = time.perf_counter()
    with pytest.raises(RequestError) as caught:
        prepare(preparer, **fields)
    assert time.perf_counter() - begun < 0.1
    assert caught.value.field == field
    assert caught.value.sentence.startswith(field)


def test_a_request_cannot_raise_the_limits_for_itself(preparer):
    with pytest.raises(RequestError):
        prepare(
            preparer,
            width=8192,
            height=8192,
            override_settings={"max_image_megapixels": 100},
        )


@pytest.mark.parametrize(
    ("field", "fields"), [("width", {"width": 2560, "height": 2048}), ("n_iter", {"n_iter": 65})]
)
def test_test_mode_bounds_a_job_more_strictly_than_the_settings(preparer, field, fields):
    prepare(preparer, **fields)
    with pytest.raises(RequestError) as caught:
        prepare(replace(preparer, ceiling=TEST_LIMITS), **fields)
    assert caught.value.field == field


def test_a_setting_that_is_stricter_than_test_mode_still_counts(preparer):
    preparer.options.set_many({"max_images_per_job": 2})
    with pytest.raises(RequestError, match="allowed: 2"):
        prepare(replace(preparer, ceiling=TEST_LIMITS), n_iter=3)


def test_a_request_cannot_choose_a_folder_inside_the_program(preparer, paths):
    inside = str(paths.root / "modules")
    with pytest.raises(RequestError, match="outdir_txt2img_samples"):
        prepare(preparer, override_settings={"outdir_txt2img_samples": inside})


def test_a_chosen_checkpoint_that_is_gone_gives_a_warning_and_the_best_there_is(preparer):
    preparer.options.set_many({"sd_model_checkpoint": "gone.safetensors [0123456789]"})
    job = prepare(preparer)
    assert job.checkpoint.endswith("easel-starter")
    assert any("gone.safetensors" in warning for warning in job.warnings)


@pytest.mark.parametrize(
    "fields",
    [
        {"prompt": "a WOLF in the snow"},
        {"prompt": "a (wo:1.2)lf"},
        {"prompt": "snow", "styles": ["beast"]},
        {"prompt": "a {wolf|wolf}"},
        {"prompt": "snow", "enable_hr": True, "hr_prompt": "a wolf", "hr_scale": 2},
        {"prompt": "snow", "detailer": {"prompt": "a wolf"}},
    ],
)
def test_terms_of_a_list_are_refused_wherever_they_come_from(preparer, fields):
    preparer.terms.save("animals", "wolf\nsnow leopard")
    preparer.styles.save(Style("beast", "{prompt}, wolf", ""))
    with pytest.raises(RequestError, match="'wolf' is on the term list 'animals'"):
        prepare(preparer, **fields)


def test_negative_prompts_may_say_what_prompts_may_not(preparer):
    preparer.terms.save("animals", "wolf")
    assert prepare(preparer, negative_prompt="wolf").all_negative_prompts == ["wolf"]
    preparer.options.set_many({"disabled_term_lists": ["animals"]})
    assert prepare(preparer, prompt="a wolf").all_prompts == ["a wolf"]


@pytest.mark.parametrize(
    ("stored", "asked"),
    [
        ({}, {"disabled_term_lists": ["animals"]}),
        ({"watermark_enabled": True}, {"watermark_enabled": False}),
        ({"content_credentials": True}, {"content_credentials": False}),
        ({"safety_checker": "block"}, {"safety_checker": "off"}),
        ({"safety_checker": "block"}, {"safety_checker": "blur"}),
    ],
)
def test_a_request_cannot_loosen_a_control(preparer, stored, asked):
    preparer.options.set_many(stored)
    with pytest.raises(RequestError, match=f"{next(iter(asked))}: a request cannot loosen it"):
        prepare(preparer, override_settings=asked)


def test_a_request_can_ask_for_more(preparer):
    asked = {"watermark_enabled": True, "content_credentials": True}
    options = prepare(preparer, override_settings=asked).options
    assert options["watermark_enabled"]
    assert options["content_credentials"]


def test_a_checker_that_is_not_there_makes_no_unchecked_pictures(preparer):
    with pytest.raises(RequestError, match=r"config\.json and model\.safetensors .*huggingface"):
        prepare(preparer, override_settings={"safety_checker": "blur"})
