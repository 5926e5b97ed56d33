"""Merging gives exactly what the formulas say, weight by weight, and nothing half done."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
import torch

from modules.catalog.errors import UnreadableModelError
from modules.engine.merging import pieces
from modules.requests.errors import RequestError
from modules.requests.events import Started, Step
from tests.engine.merging.conftest import UNET, State, Workshop

Make = Callable[..., State]
ALONE = ("betas", "cond_stage_model.transformer.text_model.embeddings.position_ids")


@pytest.mark.parametrize("m", [0.0, 0.3, 1.0, -0.5])
@pytest.mark.parametrize("block", [64, 4 * 1024 * 1024])
def test_a_weighted_sum_is_the_formula_bit_by_bit(
    workshop: Workshop, make_state: Make, m: float, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pieces, "BLOCK", block)
    a, b = make_state(1), make_state(2)
    workshop.merge(workshop.save("a", a), workshop.save("b", b), multiplier=m)
    merged = workshop.weights()
    assert merged.keys() == a.keys()
    for name, found in merged.items():
        wanted = a[name] if name in ALONE else (1 - m) * a[name] + m * b[name]
        assert found.dtype == a[name].dtype and torch.equal(found, wanted), name


def test_add_difference_is_the_formula_bit_by_bit(workshop: Workshop, make_state: Make) -> None:
    a, b, c = make_state(1), make_state(2), make_state(3)
    paths = [workshop.save(name, made) for name, made in (("a", a), ("b", b), ("c", c))]
    workshop.merge(*paths, interp_method="Add difference", multiplier=0.7)
    for name, found in workshop.weights().items():
        wanted = a[name] if name in ALONE else a[name] + 0.7 * (b[name] - c[name])
        assert torch.equal(found, wanted), name


def test_half_precision_models_are_computed_in_single_and_rounded_once(
    workshop: Workshop, make_state: Make
) -> None:
    a, b = make_state(1, dtype=torch.float16), make_state(2, dtype=torch.float16)
    workshop.merge(workshop.save("a", a), workshop.save("b", b), multiplier=0.35)
    name = f"{UNET}out.2.weight"
    wanted = (0.65 * a[name].float() + 0.35 * b[name].float()).half()
    assert torch.equal(workshop.weights()[name], wanted)


@pytest.mark.parametrize(
    ("first", "second", "joint"),
    [
        (torch.float16, torch.float32, torch.float32),
        (torch.bfloat16, torch.float16, torch.float32),
        (torch.float64, torch.float16, torch.float64),
        (torch.float8_e4m3fn, torch.float16, torch.float16),
    ],
)
def test_models_of_different_formats_give_the_wider_one(
    workshop: Workshop,
    make_state: Make,
    first: torch.dtype,
    second: torch.dtype,
    joint: torch.dtype,
) -> None:
    a, b = make_state(1, dtype=first), make_state(2, dtype=second)
    workshop.merge(workshop.save("a", a), workshop.save("b", b), multiplier=0.5)
    name = f"{UNET}out.2.weight"
    found = workshop.weights()[name]
    assert found.dtype == joint
    work = torch.promote_types(joint, torch.float32)
    wanted = 0.5 * a[name].to(work) + 0.5 * b[name].to(work)
    assert torch.equal(found, wanted.to(joint))


def test_float16_is_saved_on_request_and_overflow_is_told(
    workshop: Workshop, make_state: Make
) -> None:
    a = make_state(1)
    a[f"{UNET}out.2.weight"][0, 0, 0, 0] = 1e6
    path = workshop.save("a", a)
    workshop.merge(path, interp_method="No interpolation", save_as_half=True)
    for name, found in workshop.weights().items():
        wanted = a[name].half() if a[name].is_floating_point() else a[name]
        assert torch.equal(found, wanted), name
    assert any("infinite" in getattr(event, "message", "") for event in workshop.events)


def test_no_interpolation_is_a_copy(workshop: Workshop, make_state: Make) -> None:
    a = make_state(1)
    workshop.merge(workshop.save("a", a), interp_method="No interpolation")
    assert all(torch.equal(found, a[name]) for name, found in workshop.weights().items())


def test_each_block_of_the_unet_has_its_own_weight(workshop: Workshop, make_state: Make) -> None:
    a, b = make_state(1), make_state(2)
    weights = [round(place / 24, 3) for place in range(25)]
    workshop.merge(
        workshop.save("a", a), workshop.save("b", b), multiplier=0.9, block_weights=weights
    )
    merged = workshop.weights()
    for name, m in {
        f"{UNET}input_blocks.0.0.weight": weights[0],
        f"{UNET}time_embed.0.weight": weights[0],
        f"{UNET}input_blocks.7.0.in_layers.2.weight": weights[7],
        f"{UNET}input_blocks.11.0.in_layers.2.weight": weights[11],
        f"{UNET}middle_block.1.proj_in.weight": weights[12],
        f"{UNET}output_blocks.0.0.out_layers.3.bias": weights[13],
        f"{UNET}output_blocks.11.0.out_layers.3.bias": weights[24],
        f"{UNET}out.2.weight": weights[24],
        "first_stage_model.decoder.conv_in.weight": 0.9,
        "cond_stage_model.transformer.text_model.final_layer_norm.weight": 0.9,
    }.items():
        assert torch.equal(merged[name], (1 - m) * a[name] + m * b[name]), name


def test_one_weight_more_is_for_everything_outside_the_unet(
    workshop: Workshop, make_state: Make
) -> None:
    a, b = make_state(1), make_state(2)
    text = ",".join(["0.2"] + ["0.5"] * 25)
    workshop.merge(workshop.save("a", a), workshop.save("b", b), block_weights=text)
    merged = workshop.weights()
    name = "first_stage_model.decoder.conv_in.weight"
    assert torch.equal(merged[name], (1 - 0.2) * a[name] + 0.2 * b[name])


def test_a_wrong_number_of_block_weights_is_refused(workshop: Workshop, make_state: Make) -> None:
    paths = workshop.save("a", make_state(1)), workshop.save("b", make_state(2))
    with pytest.raises(RequestError, match="takes 25 numbers, or 26"):
        workshop.merge(*paths, block_weights=[0.5] * 19)
    assert not workshop.result.exists() and not workshop.leftovers()


@pytest.mark.parametrize(("channels", "kind"), [(9, "inpainting"), (8, "instruct-pix2pix")])
def test_a_wider_model_takes_up_a_plain_one_in_the_channels_that_both_have(
    workshop: Workshop, make_state: Make, channels: int, kind: str
) -> None:
    a, b, c = make_state(1, channels=channels), make_state(2), make_state(3)
    paths = [workshop.save(name, made) for name, made in (("a", a), ("b", b), ("c", c))]
    done = workshop.merge(*paths, interp_method="Add difference", multiplier=1.0)
    target = workshop.folder / f"result.{kind}.safetensors"
    assert done.facts["file"] == str(target)
    target.rename(workshop.result)
    name = f"{UNET}input_blocks.0.0.weight"
    found = workshop.weights()[name]
    assert torch.equal(found[:, 4:], a[name][:, 4:])
    assert torch.equal(found[:, :4], a[name][:, :4] + (b[name] - c[name]))


def test_the_wider_model_must_be_a(workshop: Workshop, make_state: Make) -> None:
    a, b = workshop.save("a", make_state(1)), workshop.save("b", make_state(2, channels=9))
    with pytest.raises(RequestError, match="the inpainting model must be A"):
        workshop.merge(a, b)


def test_models_of_different_shapes_are_refused_by_the_name_of_the_weight(
    workshop: Workshop, make_state: Make
) -> None:
    other = make_state(2)
    other[f"{UNET}out.2.weight"] = torch.zeros(4, 16, 3, 3)
    with pytest.raises(RequestError, match=r"out\.2\.weight is \[4, 8, 3, 3\] in A"):
        workshop.merge(workshop.save("a", make_state(1)), workshop.save("b", other))


def test_weights_that_only_one_model_has(workshop: Workshop, make_state: Make) -> None:
    a, b = make_state(1), make_state(2)
    a["model_ema.only"] = torch.ones(2)
    b["model.only"] = torch.ones(2)
    workshop.merge(workshop.save("a", a), workshop.save("b", b))
    merged = workshop.weights()
    assert torch.equal(merged["model_ema.only"], a["model_ema.only"])
    assert "model.only" not in merged


def test_a_transformer_in_a_file_of_its_own_is_merged_although_nothing_is_called_model(
    workshop: Workshop,
) -> None:
    names = ("double_blocks.0.img_attn.qkv.weight", "single_blocks.0.linear1.bias")
    a, b = ({name: torch.rand(3, 4) for name in names} for _ in "ab")
    workshop.merge(workshop.save("a", a), workshop.save("b", b), multiplier=0.5)
    for name, found in workshop.weights().items():
        assert torch.equal(found, 0.5 * a[name] + 0.5 * b[name])


def test_linear_layers_and_1x1_convolutions_are_the_same_weights(
    workshop: Workshop, make_state: Make
) -> None:
    a, b = make_state(1), make_state(2)
    name = "first_stage_model.decoder.mid.attn_1.q.weight"
    b[name] = b[name][:, :, 0, 0].contiguous()
    workshop.merge(workshop.save("a", a), workshop.save("b", b), multiplier=0.5)
    found = workshop.weights()[name]
    assert found.shape == (4, 4, 1, 1)
    assert torch.equal(found[:, :, 0, 0], 0.5 * a[name][:, :, 0, 0] + 0.5 * b[name])


def test_weights_are_left_out_by_their_names(workshop: Workshop, make_state: Make) -> None:
    a = make_state(1)
    workshop.merge(
        workshop.save("a", a), interp_method="No interpolation", discard_weights="^betas$|_stage_"
    )
    assert set(workshop.weights()) == {name for name in a if name.startswith(UNET)}


@pytest.mark.parametrize("pattern", ["(", "[a", "*"])
def test_a_pattern_that_is_none_is_refused(
    workshop: Workshop, make_state: Make, pattern: str
) -> None:
    with pytest.raises(RequestError, match="is no regular expression"):
        workshop.merge(
            workshop.save("a", make_state()),
            interp_method="No interpolation",
            discard_weights=pattern,
        )


def test_a_pattern_that_takes_for_ever_is_given_up(
    workshop: Workshop, make_state: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modules.catalog.patterns.SECONDS", 0.5)
    made = {**make_state(), "a" * 200: torch.zeros(1)}
    with pytest.raises(RequestError, match="takes too long"):
        workshop.merge(
            workshop.save("a", made),
            interp_method="No interpolation",
            discard_weights="^(a+)+b$",
        )


@pytest.mark.parametrize("suffix", ["safetensors", "ckpt"])
def test_files_of_torchs_can_be_merged(workshop: Workshop, make_state: Make, suffix: str) -> None:
    a, b = make_state(1), make_state(2)
    b["turned"] = torch.rand(3, 5).T
    first = workshop.save("a", {**a, "turned": torch.zeros(5, 3)})
    second = workshop.folder / f"b.{suffix}"
    if suffix == "ckpt":
        torch.save({"state_dict": b, "global_step": 5}, second)
    else:
        second = workshop.save("b", {k: v.contiguous() for k, v in b.items()})
    workshop.merge(first, second, multiplier=0.5)
    name = f"{UNET}out.2.weight"
    assert torch.equal(workshop.weights()[name], 0.5 * a[name] + 0.5 * b[name])


def test_the_recipe_names_what_was_merged(workshop: Workshop, make_state: Make) -> None:
    parent = json.dumps({"type": "webui", "multiplier": 0.1})
    older = json.dumps({"0" * 64: {"name": "grandparent", "legacy_hash": None}})
    a = workshop.save(
        "a", make_state(1), sd_merge_recipe=parent, sd_merge_models=older, author="me"
    )
    b = workshop.save("b", make_state(2), author="you", licence="mit")
    done = workshop.merge(a, b, multiplier=0.25, metadata_json={"title": "Mixed", "n": 3})
    metadata = workshop.metadata()
    recipe = json.loads(metadata["sd_merge_recipe"])
    import hashlib

    hashes = [hashlib.sha256(path.read_bytes()).hexdigest() for path in (a, b)]
    assert [recipe["primary_model_hash"], recipe["secondary_model_hash"]] == hashes
    assert recipe["tertiary_model_hash"] is None
    assert (recipe["type"], recipe["multiplier"]) == ("webui", 0.25)
    assert recipe["interp_method"] == "Weighted sum" and recipe["is_inpainting"] is False
    models = json.loads(metadata["sd_merge_models"])
    assert models.keys() == {*hashes, "0" * 64}
    assert models[hashes[0]]["name"] == "a.safetensors"
    assert models[hashes[0]]["sd_merge_recipe"]["multiplier"] == 0.1
    assert (metadata["author"], metadata["licence"]) == ("you", "mit")
    assert (metadata["title"], metadata["n"], metadata["format"]) == ("Mixed", "3", "pt")
    assert done.facts["sha256"] == hashlib.sha256(workshop.result.read_bytes()).hexdigest()


def test_metadata_can_be_left_out(workshop: Workshop, make_state: Make) -> None:
    a = workshop.save("a", make_state(1), author="me")
    workshop.merge(a, interp_method="No interpolation", save_metadata=False)
    assert workshop.metadata() == {"format": "pt"}


def test_the_settings_beside_a_model_go_with_it(workshop: Workshop, make_state: Make) -> None:
    a, b = workshop.save("a", make_state(1)), workshop.save("b", make_state(2))
    (workshop.folder / "b.yaml").write_text("model: {}\n")
    workshop.merge(a, b)
    assert (workshop.folder / "result.yaml").read_text() == "model: {}\n"
    (workshop.folder / "result.yaml").unlink()
    workshop.merge(a, b, config_source="Don't", overwrite=True)
    assert not (workshop.folder / "result.yaml").exists()


def test_an_interrupted_merge_leaves_nothing(workshop: Workshop, make_state: Make) -> None:
    paths = workshop.save("a", make_state(1)), workshop.save("b", make_state(2))
    workshop.control.signal("interrupt")
    assert workshop.merge(*paths).interrupted
    assert not workshop.result.exists() and not workshop.leftovers()


def test_an_interrupt_in_the_middle_leaves_nothing(workshop: Workshop, make_state: Make) -> None:
    paths = workshop.save("a", make_state(1)), workshop.save("b", make_state(2))
    seen = []

    class Listening(list):
        def append(self, event: object) -> None:
            if isinstance(event, Step):
                seen.append(len(list(workshop.folder.glob(".*.part"))))
                workshop.control.signal("interrupt")

    workshop.events = Listening()
    assert workshop.merge(*paths).interrupted
    assert seen and not workshop.result.exists() and not workshop.leftovers()


def test_a_result_never_replaces_a_file_unless_that_is_asked_for(
    workshop: Workshop, make_state: Make
) -> None:
    a = workshop.save("a", make_state(1))
    workshop.result.write_bytes(b"precious")
    with pytest.raises(RequestError, match="already; choose another name"):
        workshop.merge(a, interp_method="No interpolation")
    assert workshop.result.read_bytes() == b"precious" and not workshop.leftovers()
    workshop.merge(a, interp_method="No interpolation", overwrite=True)
    assert len(workshop.weights()) == len(make_state(1))


def test_a_model_can_be_merged_over_itself(workshop: Workshop, make_state: Make) -> None:
    a, b = make_state(1), make_state(2)
    first = workshop.save("result", a)
    workshop.merge(first, workshop.save("b", b), multiplier=0.5, overwrite=True)
    name = f"{UNET}out.2.weight"
    assert torch.equal(workshop.weights()[name], 0.5 * a[name] + 0.5 * b[name])


def test_a_model_that_is_cut_short_is_named_and_nothing_is_left(
    workshop: Workshop, make_state: Make
) -> None:
    a, b = workshop.save("a", make_state(1)), workshop.save("b", make_state(2))
    b.write_bytes(b.read_bytes()[:-10])
    with pytest.raises(UnreadableModelError, match=r"b\.safetensors"):
        workshop.merge(a, b)
    assert not workshop.result.exists() and not workshop.leftovers()


def test_a_model_that_changes_while_it_is_read_is_noticed(
    workshop: Workshop, make_state: Make
) -> None:
    a, b = workshop.save("a", make_state(1)), workshop.save("b", make_state(2))
    content = b.read_bytes()

    class Listening(list):
        def append(self, event: object) -> None:
            if isinstance(event, Step):
                b.write_bytes(content)

    workshop.events = Listening()
    with pytest.raises(UnreadableModelError, match="changed while it was loaded"):
        workshop.merge(a, b)
    assert not workshop.result.exists() and not workshop.leftovers()


def test_a_full_disk_is_told_before_anything_is_written(
    workshop: Workshop, make_state: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    from modules.engine.merging import output

    monkeypatch.setattr(output, "SPARE_BYTES", 1 << 62)
    with pytest.raises(RequestError, match=r"the result needs .* GB, the disk has"):
        workshop.merge(workshop.save("a", make_state()), interp_method="No interpolation")
    assert not workshop.leftovers()


def test_progress_is_told_in_megabytes(workshop: Workshop) -> None:
    big = {f"{UNET}input_blocks.0.0.weight": torch.zeros(1000, 4, 30, 30)}
    paths = workshop.save("a", big), workshop.save("b", big)
    workshop.merge(*paths, add_merge_recipe=False)
    assert isinstance(workshop.events[0], Started)
    steps = [event for event in workshop.events if isinstance(event, Step)]
    assert steps[-1].step == steps[-1].steps == 29
    assert [event.step for event in steps] == sorted(event.step for event in steps)


def test_a_baked_vae_replaces_the_one_inside(workshop: Workshop) -> None:
    from tests.support.tiny_models import original_layout, original_vae, tiny_components

    apple, pear = tiny_components(1), tiny_components(2)
    a = workshop.save("a", {k: v.clone() for k, v in original_layout(apple).items()})
    wanted = original_vae(pear)
    vaes = {
        "original": {k: v.clone() for k, v in wanted.items()},
        "diffusers": {k: v.clone() for k, v in pear.vae.state_dict().items()},
    }
    for name, weights in vaes.items():
        vae = workshop.save(f"{name}.vae", weights)
        workshop.merge(a, vae=vae, interp_method="No interpolation", overwrite=True)
        merged = workshop.weights()
        prefix = "first_stage_model."
        assert {n for n in merged if n.startswith(prefix)} == {prefix + n for n in wanted}
        assert all(
            torch.equal(merged[prefix + n].flatten(), w.flatten()) for n, w in wanted.items()
        )
