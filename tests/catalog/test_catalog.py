"""The catalog: what is found, under which names, and what is said about unusable files."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest

from modules.catalog import Catalog, vae_at
from modules.catalog.families import detect_family
from modules.catalog.header import safetensors_header
from modules.requests.errors import NotFoundInList, RequestError
from modules.settings.flags import parse_flags
from modules.settings.paths import Paths
from tests.catalog.files import (
    sd1_shapes,
    write_checkpoint,
    write_folder,
    write_raw,
    write_tensors,
    write_torch,
)
from tests.pickles.hostile import system_call, write_zip


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    """Folders of a user with no models; the shipped ones are left out."""
    found = Paths.from_flags(parse_flags(["--data-dir", str(tmp_path / "data")]))
    found.ensure()
    object.__setattr__(found, "checkpoint_dirs", (found.checkpoints,))
    return found


@pytest.fixture
def catalog(paths: Paths) -> Catalog:
    return Catalog(paths)


def test_titles_have_the_first_ten_digits_of_the_files_sha256(
    catalog: Catalog, paths: Paths
) -> None:
    file = write_checkpoint(paths.checkpoints / "apple.safetensors")
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    (info,) = catalog.checkpoints()
    assert (info.title, info.hash, info.sha256) == ("apple.safetensors", None, None)
    hashed = catalog.with_hash(info)
    assert hashed.title == f"apple.safetensors [{digest[:10]}]"
    assert hashed.sha256 == digest
    assert catalog.checkpoints()[0].title == hashed.title


def test_every_name_that_people_use_finds_the_checkpoint(catalog: Catalog, paths: Paths) -> None:
    file = write_checkpoint(paths.checkpoints / "fruit" / "Apple v1.5.safetensors", fill=1)
    write_checkpoint(paths.checkpoints / "other.safetensors", fill=2)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    for info in catalog.checkpoints():
        catalog.with_hash(info)
    names = [
        f"fruit/Apple v1.5.safetensors [{digest[:10]}]",
        "fruit/Apple v1.5.safetensors",
        "fruit/Apple v1.5",
        "fruit_Apple v1.5",
        "Apple v1.5.safetensors",
        "Apple v1.5",
        f"Apple v1.5 [{digest[:10]}]",
        digest[:10],
        digest,
        str(file),
        "apple V1.5",
        "pple",
        "Apple v1.5 [0123456789]",
    ]
    for name in names:
        assert catalog.find_checkpoint(name).path == file, name


def test_an_exact_name_wins_over_a_title_that_contains_it(catalog: Catalog, paths: Paths) -> None:
    write_checkpoint(paths.checkpoints / "model-v2.safetensors")
    exact = write_checkpoint(paths.checkpoints / "model.safetensors")
    write_checkpoint(paths.checkpoints / "a" / "model-v3.safetensors")
    assert catalog.find_checkpoint("model").path == exact
    assert catalog.find_checkpoint("odel-v").path.name == "model-v2.safetensors"


def test_an_unknown_checkpoint_is_refused_with_the_known_ones(
    catalog: Catalog, paths: Paths
) -> None:
    write_checkpoint(paths.checkpoints / "apple.safetensors")
    with pytest.raises(NotFoundInList) as caught:
        catalog.find_checkpoint("pear")
    assert caught.value.field == "sd_model_checkpoint"
    assert "apple.safetensors" in caught.value.sentence


@pytest.mark.parametrize("suffix", [".ckpt", ".pt", ".pth", ".bin"])
def test_files_of_torchs_that_want_to_run_something_are_refused_by_name_and_reason(
    catalog: Catalog, paths: Paths, suffix: str, tmp_path: Path
) -> None:
    write_zip(paths.checkpoints / f"evil{suffix}", system_call(tmp_path / "ran"))
    assert catalog.checkpoints() == []
    with pytest.raises(RequestError) as caught:
        catalog.find_checkpoint(f"evil{suffix}")
    assert f"evil{suffix}: asks for" in caught.value.sentence
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("suffix", [".ckpt", ".pt", ".pth", ".bin", ".CKPT"])
def test_sound_files_of_torchs_are_checkpoints_like_others(
    catalog: Catalog, paths: Paths, suffix: str
) -> None:
    file = write_torch(paths.checkpoints / f"old{suffix}", sd1_shapes(9))
    info = catalog.find_checkpoint("old")
    assert (info.path, info.family, info.variant) == (file, "sd1", "inpainting")
    assert info.model_name == "old" and info.size == file.stat().st_size


def test_a_safe_file_is_found_although_a_pickle_has_the_same_stem(
    catalog: Catalog, paths: Paths
) -> None:
    (paths.checkpoints / "model.ckpt").write_bytes(b"x")
    good = write_checkpoint(paths.checkpoints / "model.safetensors")
    assert catalog.find_checkpoint("model.safetensors").path == good
    assert catalog.find_checkpoint("mode").path == good


def test_damaged_files_are_listed_apart_with_their_reason(catalog: Catalog, paths: Paths) -> None:
    write_raw(paths.checkpoints / "broken.safetensors", b"{}", b"x" * 20)
    write_checkpoint(paths.checkpoints / "good.safetensors")
    assert [info.name for info in catalog.checkpoints()] == ["good.safetensors"]
    (bad,) = catalog.unusable()
    assert bad.problem.startswith("broken.safetensors: ")
    with pytest.raises(RequestError, match=r"broken\.safetensors"):
        catalog.find_checkpoint("broken.safetensors")


@pytest.mark.parametrize(
    ("shapes", "family", "said"),
    [
        (sd1_shapes(), "sd1", ""),
        (
            {
                "model.diffusion_model.input_blocks.0.0.weight": (8, 4, 3, 3),
                "cond_stage_model.model.ln_final.weight": (16,),
            },
            "sd2",
            "",
        ),
        (
            {
                "model.diffusion_model.input_blocks.0.0.weight": (8, 4, 3, 3),
                "model.diffusion_model.label_emb.0.0.weight": (8, 8),
            },
            "sdxl",
            "",
        ),
        ({"joint_blocks.0.x_block.attn.qkv.weight": (6, 2)}, "sd3", ""),
        ({"model.diffusion_model.joint_blocks.0.x_block.attn.qkv.weight": (6, 2)}, "sd3", ""),
        ({"double_blocks.0.img_attn.norm.query_norm.scale": (2,)}, "flux", ""),
        (
            {
                "double_blocks.0.img_attn.norm.query_norm.scale": (2,),
                "img_in.weight": (2, 384),
                "final_layer.linear.weight": (64, 2),
            },
            "flux",
            "Fill",
        ),
        (
            {
                "double_blocks.0.img_attn.norm.query_norm.scale": (2,),
                "double_stream_modulation_img.lin.weight": (2, 2),
            },
            "flux",
            "FLUX.2",
        ),
        ({"model_ema.diffusion_modelinput_blocks00weight": (8, 4, 3, 3)}, "sd1", ""),
    ],
)
def test_families_are_told_from_names_and_shapes(
    tmp_path: Path, shapes: dict[str, tuple[int, ...]], family: str, said: str
) -> None:
    verdict = detect_family(safetensors_header(write_tensors(tmp_path / "a.safetensors", shapes)))
    assert verdict is not None
    assert verdict.family == family
    assert said in verdict.problem
    assert bool(verdict.problem) == bool(said)


@pytest.mark.parametrize(
    ("channels", "variant"), [(4, ""), (9, "inpainting"), (8, "InstructPix2Pix")]
)
def test_the_variant_is_told_from_the_channels_in(
    tmp_path: Path, channels: int, variant: str
) -> None:
    file = write_tensors(tmp_path / "a.safetensors", sd1_shapes(channels))
    verdict = detect_family(safetensors_header(file))
    assert verdict is not None
    assert (verdict.family, verdict.variant, verdict.problem) == ("sd1", variant, "")


@pytest.mark.parametrize(
    ("shapes", "said"),
    [
        ({"lora_unet_down.lora_down.weight": (4, 8), "b": (2,)}, "LoRA"),
        ({"decoder.conv_in.weight": (8, 4, 3, 3), "b": (2,)}, "VAE"),
        ({"emb_params": (3, 16)}, "embedding"),
        (
            {f"encoder.block.0.layer.0.SelfAttention.{one}.weight": (2, 2, 2) for one in "qkvo"},
            "models/text_encoder",
        ),
        ({f"layer.{i}.weight": (2, 2, 2) for i in range(9)}, "known model family"),
    ],
)
def test_a_file_of_another_kind_says_where_it_belongs(
    catalog: Catalog, paths: Paths, shapes: dict[str, tuple[int, ...]], said: str
) -> None:
    write_tensors(paths.checkpoints / "odd.safetensors", shapes)
    assert said in catalog.unusable()[0].problem


def test_a_diffusers_folder_is_one_checkpoint_with_a_stable_hash(
    catalog: Catalog, paths: Paths, tmp_path: Path
) -> None:
    folder = write_folder(paths.checkpoints / "sub" / "my-model")
    (info,) = catalog.checkpoints()
    assert (info.name, info.kind, info.family) == ("sub/my-model", "folder", "sd1")
    hashed = catalog.with_hash(info)
    assert hashed.title == f"sub/my-model [{hashed.hash}]"
    assert catalog.find_checkpoint("my-model").path == folder

    elsewhere = tmp_path / "other-data"
    paths_elsewhere = Paths.from_flags(parse_flags(["--data-dir", str(elsewhere)]))
    paths_elsewhere.ensure()
    write_folder(paths_elsewhere.checkpoints / "copy")
    other = Catalog(paths_elsewhere)
    copy = other.with_hash(other.find_checkpoint("copy"))
    assert copy.sha256 == hashed.sha256, "the same files give the same hash anywhere"
    weights = paths_elsewhere.checkpoints / "copy" / "unet" / "diffusion_pytorch_model.safetensors"
    write_tensors(weights, {"unet.weight": (2, 2)}, fill=1)
    other.refresh()
    assert other.with_hash(other.find_checkpoint("copy")).sha256 != hashed.sha256


def test_a_folder_with_its_own_code_is_refused(catalog: Catalog, paths: Paths) -> None:
    folder = write_folder(paths.checkpoints / "evil")
    (folder / "unet" / "pipeline.py").write_text("import os")
    assert "never run" in catalog.unusable()[0].problem


def test_a_folder_may_have_its_weights_in_bin_files(catalog: Catalog, paths: Paths) -> None:
    folder = write_folder(paths.checkpoints / "old")
    weights = folder / "vae" / "diffusion_pytorch_model.safetensors"
    weights.rename(weights.with_suffix(".bin"))
    assert catalog.find_checkpoint("old").hash_files[-1].suffix == ".bin"


def test_a_folder_without_weights_names_the_part(catalog: Catalog, paths: Paths) -> None:
    folder = write_folder(paths.checkpoints / "old")
    (folder / "vae" / "diffusion_pytorch_model.safetensors").unlink()
    assert "has no vae weights" in catalog.unusable()[0].problem


def test_a_shard_index_cannot_point_out_of_its_folder(catalog: Catalog, paths: Paths) -> None:
    folder = write_folder(paths.checkpoints / "sharded")
    weights = folder / "unet" / "diffusion_pytorch_model.safetensors"
    weights.rename(paths.checkpoints.parent / "outside.safetensors")
    index = folder / "unet" / "diffusion_pytorch_model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "../../../outside.safetensors"}}))
    assert catalog.unusable()[0].problem


def test_refresh_sees_new_changed_and_deleted_files(catalog: Catalog, paths: Paths) -> None:
    first = write_checkpoint(paths.checkpoints / "a.safetensors")
    before = catalog.with_hash(catalog.checkpoints()[0])
    write_checkpoint(paths.checkpoints / "b.safetensors", fill=3)
    assert len(catalog.checkpoints()) == 1, "the disk is looked at by refresh alone"
    catalog.refresh()
    assert len(catalog.checkpoints()) == 2
    write_checkpoint(first, fill=9)
    os.utime(first, ns=(1, 1))
    catalog.refresh()
    after = catalog.find_checkpoint("a.safetensors")
    assert after.sha256 is None, "the hash of the old content is not shown for the new one"
    assert catalog.with_hash(after).sha256 != before.sha256
    first.unlink()
    catalog.refresh()
    assert [info.name for info in catalog.checkpoints()] == ["b.safetensors"]


def test_hashes_are_kept_between_starts(paths: Paths) -> None:
    write_checkpoint(paths.checkpoints / "a.safetensors")
    first = Catalog(paths)
    hashed = first.with_hash(first.checkpoints()[0])
    assert Catalog(paths).checkpoints()[0].title == hashed.title


def test_a_damaged_hash_cache_is_made_anew(paths: Paths) -> None:
    write_checkpoint(paths.checkpoints / "a.safetensors")
    paths.cache.mkdir(parents=True, exist_ok=True)
    (paths.cache / "hashes.json").write_text('{"files": [1, 2')
    catalog = Catalog(paths)
    assert catalog.with_hash(catalog.checkpoints()[0]).sha256
    assert json.loads((paths.cache / "hashes.json").read_text())["files"]


def test_hashing_in_the_background_tells_of_each_file(catalog: Catalog, paths: Paths) -> None:
    for number in range(3):
        write_checkpoint(paths.checkpoints / f"{number}.safetensors", fill=number)
    heard: list[str] = []
    catalog.hash_in_background(lambda info: heard.append(info.title))
    worker = catalog._worker
    assert worker is not None
    worker.join(timeout=20)
    assert sorted(heard) == sorted(info.title for info in catalog.checkpoints())
    assert all(info.hash for info in catalog.checkpoints())


def test_without_hashing_titles_stay_bare(paths: Paths) -> None:
    write_checkpoint(paths.checkpoints / "a.safetensors")
    catalog = Catalog(paths, hashing=False)
    assert catalog.with_hash(catalog.checkpoints()[0]).title == "a.safetensors"


def test_linked_folders_are_searched_and_loops_end(catalog: Catalog, paths: Paths) -> None:
    elsewhere = paths.data / "elsewhere"
    write_checkpoint(elsewhere / "linked.safetensors")
    try:
        (paths.checkpoints / "link").symlink_to(elsewhere, target_is_directory=True)
        (elsewhere / "loop").symlink_to(elsewhere, target_is_directory=True)
    except OSError:
        pytest.skip("links are not allowed here")
    assert [info.name for info in catalog.checkpoints()] == ["link/linked.safetensors"]


def test_the_default_is_the_flag_then_the_setting_then_the_starter_then_the_first(
    paths: Paths, tmp_path: Path
) -> None:
    write_checkpoint(paths.checkpoints / "a.safetensors")
    write_folder(paths.checkpoints / "easel-starter")
    outside = write_checkpoint(tmp_path / "outside" / "mine.safetensors")
    chosen = Catalog(paths, default_checkpoint=str(outside)).default_checkpoint()
    assert chosen is not None and chosen.path == outside
    setting = Catalog(paths, {"sd_model_checkpoint": "a"}).default_checkpoint()
    assert setting is not None and setting.name == "a.safetensors"
    gone = Catalog(paths, {"sd_model_checkpoint": "gone"}).default_checkpoint()
    assert gone is not None and gone.name == "easel-starter"


def test_no_models_at_all_is_no_error(catalog: Catalog) -> None:
    assert catalog.checkpoints() == []
    assert catalog.default_checkpoint() is None
    with pytest.raises(NotFoundInList):
        catalog.find_checkpoint("anything")


def test_families_give_default_parameters_and_sidecars_win(catalog: Catalog, paths: Paths) -> None:
    shapes = {
        "double_blocks.0.img_attn.norm.query_norm.scale": (2,),
        "guidance_in.in_layer.weight": (2, 2),
    }
    dev = write_tensors(paths.checkpoints / "dev.safetensors", shapes)
    (info,) = catalog.checkpoints()
    assert (info.family, info.variant) == ("flux", "dev")
    usual = catalog.default_parameters(info)
    assert (usual["cfg_scale"], usual["distilled_cfg_scale"], usual["width"]) == (1.0, 3.5, 1024)
    dev.with_suffix(".easel.json").write_text(json.dumps({"default_parameters": {"width": 512}}))
    assert catalog.default_parameters(info) == {**usual, "width": 512}


def test_sidecars_give_default_parameters_and_broken_ones_give_none(
    catalog: Catalog, paths: Paths
) -> None:
    folder = write_folder(paths.checkpoints / "m")
    (folder / "easel.json").write_text(
        json.dumps({"default_parameters": {"steps": 12}, "description": "d", "other": 1})
    )
    info = catalog.find_checkpoint("m")
    assert info.config == folder / "easel.json"
    assert catalog.default_parameters(info) == {"steps": 12}
    (folder / "easel.json").write_text("[1")
    assert catalog.default_parameters(info) == {}


VAE = {"decoder.conv_in.weight": (8, 4, 3, 3), "encoder.conv_in.weight": (8, 3, 3, 3)}


def test_vae_files_are_found_and_matched_by_a1111s_rules(catalog: Catalog, paths: Paths) -> None:
    write_checkpoint(paths.checkpoints / "apple.safetensors")
    write_checkpoint(paths.checkpoints / "pear.safetensors")
    write_tensors(paths.vae / "nice.safetensors", VAE)
    write_tensors(paths.checkpoints / "apple.vae.safetensors", VAE)
    (paths.vae / "old.pt").write_bytes(b"x")
    assert [vae.name for vae in catalog.vaes()] == ["apple.vae.safetensors", "nice.safetensors"]
    assert len(catalog.checkpoints()) == 2, "a VAE beside a checkpoint is no checkpoint"
    apple, pear = catalog.find_checkpoint("apple"), catalog.find_checkpoint("pear")
    automatic = catalog.find_vae("Automatic", apple)
    assert automatic is not None and automatic.name == "apple.vae.safetensors"
    assert catalog.find_vae("Automatic", pear) is None
    assert catalog.find_vae("None", apple) is None
    chosen = catalog.find_vae("nice", apple)
    assert chosen is not None and chosen.name == "nice.safetensors"
    with pytest.raises(RequestError, match=r"old\.pt: is of no known format"):
        catalog.find_vae("old.pt")
    with pytest.raises(NotFoundInList):
        catalog.find_vae("missing.safetensors")


def test_what_is_noted_for_a_checkpoint_may_come_before_the_chosen_vae(
    catalog: Catalog, paths: Paths
) -> None:
    for name in ("apple", "apple2", "pear", "plum"):
        write_checkpoint(paths.checkpoints / f"{name}.safetensors")
    for name in ("nice", "apple2", "apple-soft", "noted"):
        write_tensors(paths.vae / f"{name}.safetensors", VAE)
    (paths.checkpoints / "pear.json").write_text('{"vae": "noted.safetensors"}')
    (paths.checkpoints / "plum.json").write_text('{"vae": "None"}')

    def found(name: str, checkpoint: str, **more: bool) -> str | None:
        vae = catalog.find_vae(name, catalog.find_checkpoint(f"{checkpoint}.safetensors"), **more)
        return vae.name if vae else None

    automatic = {name: found("Automatic", name) for name in ("apple", "apple2", "pear", "plum")}
    assert automatic == {
        "apple": "apple-soft.safetensors",
        "apple2": "apple2.safetensors",
        "pear": "noted.safetensors",
        "plum": None,
    }
    assert found("auto", "pear") == "noted.safetensors"
    for name in automatic:
        assert found("nice", name) == "nice.safetensors"
        if name != "plum":
            assert found("nice", name, overrides=False) == automatic[name]
    assert found("nice", "plum", overrides=False) is None, "its own is noted"
    write_checkpoint(paths.checkpoints / "grape.safetensors")
    catalog.refresh()
    assert found("nice", "grape", overrides=False) == "nice.safetensors", "nothing is noted"
    assert found("None", "pear", overrides=False) == "noted.safetensors"


def test_the_vae_of_the_command_line_is_what_automatic_means(paths: Paths, tmp_path: Path) -> None:
    write_checkpoint(paths.checkpoints / "apple.safetensors")
    write_tensors(paths.checkpoints / "apple.vae.safetensors", VAE)
    write_tensors(paths.vae / "nice.safetensors", VAE)
    write_tensors(tmp_path / "mine.safetensors", VAE)
    mine = vae_at(str(tmp_path / "mine.safetensors"))
    catalog = Catalog(paths, default_vae=mine)
    apple = catalog.find_checkpoint("apple")
    assert catalog.find_vae("Automatic", apple) == mine
    assert catalog.find_vae("None", apple) is None
    chosen = catalog.find_vae("nice", apple)
    assert chosen is not None and chosen.name == "nice.safetensors"


def test_a_vae_of_the_command_line_that_cannot_be_used_is_told_in_one_sentence(
    tmp_path: Path,
) -> None:
    with pytest.raises(RequestError, match="--vae-path: there is no file"):
        vae_at(str(tmp_path / "gone.safetensors"))
    write_tensors(tmp_path / "other.safetensors", {"weight": (1,)})
    with pytest.raises(RequestError, match="is not a VAE"):
        vae_at(str(tmp_path / "other.safetensors"))
    (tmp_path / "old.pt").write_bytes(b"x")
    with pytest.raises(RequestError, match="is of no known format"):
        vae_at(str(tmp_path / "old.pt"))
    write_torch(tmp_path / "good.pt", VAE)
    assert vae_at(str(tmp_path / "good.pt")).problem == ""


def test_embeddings_and_loras_are_listed_with_what_their_headers_tell(
    catalog: Catalog, paths: Paths
) -> None:
    write_tensors(paths.embeddings / "style.safetensors", {"emb_params": (3, 768)})
    (paths.embeddings / "old.pt").write_bytes(b"x")
    write_tensors(
        paths.lora / "l.safetensors",
        {"lora_unet_x.lora_down.weight": (4, 8)},
        metadata={"ss_output_name": "nice", "ss_tags": '{"a": 1}'},
    )
    style, old = sorted(catalog.embeddings(), key=lambda e: e.name, reverse=True)
    assert (style.name, style.vectors, style.width, style.problem) == ("style", 3, 768, "")
    assert old.problem == "old.pt: is of no known format"
    (lora,) = catalog.loras()
    assert (lora.name, lora.alias, lora.metadata["ss_tags"]) == ("l", "nice", {"a": 1})
