"""Jobs that make models: their files are found, their results get a name that is free and sound."""

from __future__ import annotations

from pathlib import Path

import pytest

from modules.jobs.leftovers import remove_leftovers
from modules.requests.errors import NotFoundInList, RequestError
from modules.requests.models import ConvertRequest, MergeRequest
from tests.catalog.files import sd1_shapes, write_checkpoint, write_tensors, write_torch

VAE = {"decoder.conv_in.weight": (8, 4, 3, 3), "encoder.conv_in.weight": (8, 3, 3, 3)}


@pytest.fixture
def service(make_service):
    found = make_service(start=False)
    paths = found.preparer.catalog.paths
    for name in ("apple", "pear", "quince"):
        write_checkpoint(paths.checkpoints / f"{name}.safetensors")
    write_torch(paths.checkpoints / "old.ckpt", sd1_shapes())
    xl = {f"model.diffusion_model.{name}": (4, 4) for name in ("label_emb.0.0.weight",)}
    xl |= {"model.diffusion_model.input_blocks.0.0.weight": (8, 4, 3, 3)}
    xl |= {"conditioner.embedders.0.transformer.text_model.x": (4,)}
    write_tensors(paths.checkpoints / "xl.safetensors", xl)
    write_tensors(paths.vae / "nice.vae.safetensors", VAE)
    return found


@pytest.fixture
def merge(service):
    def prepare(*models, **fields):
        names = ("primary_model_name", "secondary_model_name", "tertiary_model_name")
        given = {**dict(zip(names, models, strict=False)), **fields}
        return service.preparer.prepare(MergeRequest(**given), "job1", "ui")

    return prepare


@pytest.fixture
def convert(service):
    def prepare(**fields):
        return service.preparer.prepare(ConvertRequest(**fields), "job1", "ui")

    return prepare


def target(job):
    return Path(job.resources["target"]).name


@pytest.mark.parametrize(
    ("models", "fields", "name"),
    [
        (("apple", "pear"), {}, "0.7(apple) + 0.3(pear).safetensors"),
        (
            ("apple", "pear", "quince"),
            {"interp_method": "Add difference", "multiplier": 0.5},
            "apple + 0.5(pear - quince).safetensors",
        ),
        (("apple",), {"interp_method": "No interpolation"}, "apple-2.safetensors"),
        (("apple", "pear"), {"block_weights": "0.5," * 25}, "MBW(apple, pear).safetensors"),
        (("apple", "pear"), {"custom_name": " my mix "}, "my mix.safetensors"),
        (("apple", "pear"), {"custom_name": "mix.safetensors"}, "mix.safetensors"),
    ],
)
def test_results_are_called_as_in_a1111(merge, models, fields, name):
    job = merge(*models, **fields)
    assert target(job) == name and job.all_prompts == [name]
    assert [Path(m["path"]).stem for m in job.resources["models"]] == list(models)


def test_a_job_names_its_unfinished_file_after_itself(merge):
    part = Path(merge("apple", "pear", custom_name="mix").resources["part"])
    assert part.name == ".mix.safetensors.job1.part"


def test_models_are_found_by_any_of_their_names(merge):
    job = merge("apple.safetensors", "old")
    assert job.request["secondary_model_name"] == "old.ckpt"


@pytest.mark.parametrize(
    ("models", "fields", "field", "sentence"),
    [
        ((), {}, "primary_model_name", "needs a model A"),
        (("apple",), {}, "secondary_model_name", "Weighted sum needs a model B"),
        (
            ("apple", "pear"),
            {"interp_method": "Add difference"},
            "tertiary_model_name",
            "Add difference needs a model C",
        ),
        (("apple", "xl"), {}, "secondary_model_name", "only models of one family"),
        (("apple", "pear"), {"checkpoint_format": "ckpt"}, "checkpoint_format", "safetensors"),
        (("apple", "pear"), {"discard_weights": "("}, "discard_weights", "regular expression"),
        (("apple", "pear"), {"custom_name": "apple"}, "custom_name", "already"),
    ],
)
def test_what_cannot_be_merged_is_refused_at_once(merge, models, fields, field, sentence):
    with pytest.raises(RequestError, match=sentence) as refused:
        merge(*models, **fields)
    assert refused.value.field == field


def test_unknown_names_are_told_with_what_there_is(merge):
    with pytest.raises(NotFoundInList, match=r"secondary_model_name.*Did you mean 'pear"):
        merge("apple", "pear.safetensorz")
    with pytest.raises(NotFoundInList, match=r"bake_in_vae.*nice\.vae\.safetensors"):
        merge("apple", "pear", bake_in_vae="none of these")


@pytest.mark.parametrize(
    "name",
    ["../evil", "a/b", "a\\b", "..", ".hidden", "con", "NUL.txt", "a\tb", "a:b", "x" * 151],
)
def test_names_that_are_no_file_names_are_refused(merge, name):
    with pytest.raises(RequestError) as refused:
        merge("apple", "pear", custom_name=name)
    assert refused.value.field == "custom_name"


def test_a_file_may_be_replaced_on_request(merge):
    assert target(merge("apple", "pear", custom_name="pear", overwrite=True)) == "pear.safetensors"


def test_a_conversion_keeps_the_name(convert, service):
    assert target(convert(model_name="old")) == "old.safetensors"
    assert target(convert(model_name="apple")) == "apple-2.safetensors"
    assert target(convert(model_name="apple", to="diffusers")) == "apple"


def test_a_vae_is_converted_among_vaes(convert, service):
    job = convert(model_name="nice.vae.safetensors")
    assert Path(job.resources["target"]).parent == service.preparer.catalog.paths.vae
    with pytest.raises(RequestError, match="is a VAE"):
        convert(model_name="nice.vae.safetensors", to="diffusers")


def test_a_job_that_ends_leaves_no_unfinished_file(service, merge):
    service.pause_all()
    names = {"primary_model_name": "apple", "secondary_model_name": "pear"}
    job_id = service.submit(MergeRequest(**names, custom_name="mix"))
    part = Path(service.record(job_id).prepared["resources"]["part"])
    part.write_bytes(b"half")
    other = part.with_name(".other.part")
    other.write_bytes(b"of somebody else")
    assert service.cancel(job_id)
    assert not part.exists() and other.exists()


def test_only_a_jobs_own_unfinished_file_is_removed(service, tmp_path):
    from dataclasses import replace

    service.pause_all()
    names = {"primary_model_name": "apple", "secondary_model_name": "pear"}
    record = service.record(service.submit(MergeRequest(**names)))
    precious = tmp_path / "precious.part"
    precious.write_bytes(b"!")
    forged = {**record.prepared, "resources": {"part": str(precious)}}
    remove_leftovers(replace(record, prepared=forged))
    assert precious.exists()


def test_a_job_that_makes_a_model_is_listed_with_its_result_and_no_pictures(service):
    service.pause_all()
    names = {"primary_model_name": "apple", "secondary_model_name": "pear"}
    record = service.record(service.submit(MergeRequest(**names, custom_name="mix")))
    line = service.describe(record)
    assert (line["kind"], line["result"]["name"]) == ("merge", "mix.safetensors")
    assert (line["image_count"], line["seed"], line["info"]) == (0, None, None)
    assert line["parameters"]["multiplier"] == 0.3
