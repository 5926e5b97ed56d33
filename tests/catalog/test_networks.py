"""Extra networks as lists: names, aliases, families, hashes, and embeddings in every format."""

from __future__ import annotations

import base64
import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from modules.catalog import Catalog
from modules.catalog.embedding_images import embedding_of_image
from modules.catalog.errors import ModelFileError
from modules.catalog.network_hashes import hash_network, network_hashes
from modules.catalog.networks import EmbeddingInfo
from modules.settings.flags import parse_flags
from modules.settings.paths import Paths
from tests.catalog.files import write_tensors, write_torch

LORA = {"lora_unet_x.lora_down.weight": (4, 8), "lora_unet_x.lora_up.weight": (8, 4)}


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    found = Paths.from_flags(parse_flags(["--data-dir", str(tmp_path / "data")]))
    found.ensure()
    return found


@pytest.fixture
def catalog(paths: Paths) -> Catalog:
    return Catalog(paths)


def test_a_lora_is_found_by_file_folder_alias_or_any_case(catalog: Catalog, paths: Paths) -> None:
    write_tensors(paths.lora / "ink.safetensors", LORA, metadata={"ss_output_name": "Drawing"})
    write_tensors(paths.lora / "art" / "oil.safetensors", LORA)
    found = catalog.networks.find_loras(
        ["ink", "Drawing", "INK", "oil", "art/oil", "oil (1a2b3c4d5e6f)", "water"]
    )
    names = {name: info.name for name, info in found.items()}
    assert names == {
        "ink": "ink",
        "Drawing": "ink",
        "INK": "ink",
        "oil": "oil",
        "art/oil": "oil",
        "oil (1a2b3c4d5e6f)": "oil",
    }


def test_an_alias_of_several_files_means_none_of_them(catalog: Catalog, paths: Paths) -> None:
    for name in ("a", "b"):
        write_tensors(paths.lora / f"{name}.safetensors", LORA, metadata={"ss_output_name": "last"})
    write_tensors(paths.lora / "c.safetensors", LORA, metadata={"ss_output_name": "b"})
    found = catalog.networks.find_loras(["last", "a", "b"])
    assert {name: info.path.stem for name, info in found.items()} == {"a": "a", "b": "b"}


@pytest.mark.parametrize(
    "shapes",
    [
        {"lora_unet_x.hada_w1_a": (4, 4)},
        {"lora_unet_x.lokr_w1": (4, 4)},
        {"lora_unet_x.on_input": (1,), "lora_unet_x.weight": (4,)},
        {"lora_unet_x.diff": (4, 4)},
        {"lora_unet_x.w_norm": (4,)},
        {"lora_unet_x.oft_diag": (2, 4, 4)},
        {"lora_unet_x.a1.weight": (2, 4)},
        {"unet.x.lora.down.weight": (2, 4)},
        {"base_model.model.x.lora_A.weight": (2, 4)},
        {"bundle_emb.word.string_to_param.*": (2, 768)},
    ],
)
def test_every_kind_is_listed(catalog: Catalog, paths: Paths, shapes: dict[str, Any]) -> None:
    write_tensors(paths.lora / "one.safetensors", shapes)
    (info,) = catalog.loras()
    assert (info.name, info.problem) == ("one", "")


def test_other_files_are_listed_with_the_reason(catalog: Catalog, paths: Paths) -> None:
    write_tensors(paths.lora / "model.safetensors", {"first_stage_model.x": (4, 4)})
    (paths.lora / "junk.pt").write_bytes(b"junk")
    write_torch(paths.lora / "old.pt", LORA, nested=False)
    problems = {info.name: info.problem for info in catalog.loras()}
    assert problems["old"] == ""
    assert "is not a LoRA of a known kind" in problems["model"]
    assert problems["junk"].startswith("junk.pt: ")


def test_the_hash_is_of_the_tensors_and_stays_when_metadata_change(
    catalog: Catalog, paths: Paths
) -> None:
    first = write_tensors(paths.lora / "a.safetensors", LORA, fill=3)
    second = write_tensors(paths.lora / "b.safetensors", LORA, fill=3, metadata={"note": "new"})
    digest = hash_network(first)
    assert (
        digest
        == hash_network(second)
        != hash_network(write_tensors(paths.lora / "c.safetensors", LORA, fill=4))
    )
    assert catalog.loras_of_hashes([digest[:12]]) == {}
    network_hashes(paths.cache).sha256(first)
    assert catalog.loras_of_hashes([digest[:12], "0" * 12]) == {digest[:12]: "a"}
    told = {"sshs_model_hash": "ab" * 32, "ss_output_name": "Alias"}
    write_tensors(paths.lora / "d.safetensors", LORA, metadata=told)
    assert catalog.loras_of_hashes(["ab" * 6]) == {"ab" * 6: "Alias"}
    catalog.options = {"lora_preferred_name": "Filename"}
    assert catalog.loras_of_hashes(["ab" * 6]) == {"ab" * 6: "d"}


def test_files_that_did_not_change_are_not_read_again(catalog: Catalog, paths: Paths) -> None:
    file = write_tensors(paths.lora / "a.safetensors", LORA, metadata={"ss_output_name": "one"})
    (before,) = catalog.loras()
    (same,) = catalog.loras()
    assert same is before
    write_tensors(file, LORA, metadata={"ss_output_name": "another"})
    assert catalog.loras()[0].alias == "another"


# -- embeddings -----------------------------------------------------------------------------------


def json_of(vectors: np.ndarray, name: str = "learned") -> bytes:
    """What A1111 writes into pictures."""
    params = {"*": {"TORCHTENSOR": vectors.tolist()}}
    return json.dumps(
        {"string_to_token": {"*": 265}, "string_to_param": params, "name": name, "step": 42}
    ).encode()


def picture_with(data: bytes, height: int = 64) -> Image.Image:
    """A picture between two blocks of noise that hold ``data``, as A1111 draws them."""
    packed = np.frombuffer(zlib.compress(data, 9), np.uint8)
    width = -(-len(packed) // (height * 3))
    halves = np.zeros((2, height * width * 3), np.uint8)
    halves[0, : len(packed)], halves[1, : len(packed)] = packed & 15, packed >> 4
    state, veil = 0, []
    for _ in range(halves.shape[1]):
        state = (1664525 * state + 1013904223) % 2**32
        veil.append(state % 255 & 15)
    blocks = (halves ^ np.array(veil, np.uint8) | 0x80).reshape(2, height, width, 3)
    black = np.zeros((height, 1, 3), np.uint8)
    middle = np.full((height, 48, 3), 0x77, np.uint8)
    return Image.fromarray(np.concatenate([blocks[0], black, middle, black, blocks[1]], axis=1))


@pytest.mark.parametrize("vectors", [1, 3])
def test_embeddings_are_read_from_pixels(tmp_path: Path, vectors: int) -> None:
    expected = np.random.default_rng(1).normal(size=(vectors, 768)).astype(np.float32)
    picture_with(json_of(expected)).save(tmp_path / "x.png")
    found = embedding_of_image(tmp_path / "x.png")
    assert (found.name, found.step) == ("learned", 42)
    np.testing.assert_allclose(found.parts["*"], expected, rtol=1e-6)


def test_embeddings_are_read_from_a_text_chunk(tmp_path: Path) -> None:
    expected = np.ones((2, 8), np.float32)
    info = PngImagePlugin.PngInfo()
    info.add_text("sd-ti-embedding", base64.b64encode(json_of(expected)).decode())
    Image.new("RGB", (8, 8)).save(tmp_path / "x.png", pnginfo=info)
    np.testing.assert_array_equal(embedding_of_image(tmp_path / "x.png").parts["*"], expected)


def test_pictures_without_or_with_a_damaged_embedding_say_so(tmp_path: Path) -> None:
    Image.new("RGB", (64, 64), (9, 9, 9)).save(tmp_path / "photo.png")
    with pytest.raises(ModelFileError, match="is a picture without an embedding"):
        embedding_of_image(tmp_path / "photo.png")
    picture_with(b'{"string_to_param": {"*": {"TORCHTENSOR": [["x"]]}}}').save(tmp_path / "odd.png")
    with pytest.raises(ModelFileError, match="carries a damaged embedding"):
        embedding_of_image(tmp_path / "odd.png")
    (tmp_path / "no.png").write_bytes(b"\x89PNG nonsense")
    with pytest.raises(ModelFileError, match="is not a readable picture"):
        embedding_of_image(tmp_path / "no.png")


def test_a_picture_that_unpacks_to_gigabytes_is_refused_in_time(tmp_path: Path) -> None:
    picture_with(b" " * 200_000_000).save(tmp_path / "bomb.png")
    with pytest.raises(ModelFileError, match="damaged"):
        embedding_of_image(tmp_path / "bomb.png")


def test_embeddings_of_all_formats_are_listed(catalog: Catalog, paths: Paths) -> None:
    import torch

    folder = paths.embeddings
    write_tensors(folder / "safe.safetensors", {"emb_params": (3, 768)})
    write_tensors(folder / "xl.safetensors", {"clip_g": (4, 1280), "clip_l": (4, 768)})
    torch.save(
        {
            "string_to_param": {"*": torch.zeros(2, 768)},
            "name": "whatever",
            "step": 500,
            "sd_checkpoint": "abcd",
            "sd_checkpoint_name": "base",
        },
        folder / "trained.pt",
    )
    torch.save({"<concept>": torch.zeros(1024)}, folder / "concept.bin")
    picture_with(json_of(np.ones((1, 768), np.float32), "inside")).save(folder / "card.png")
    Image.new("RGB", (8, 8)).save(folder / "safe.png")
    Image.new("RGB", (8, 8)).save(folder / "trained.preview.png")
    torch.save({"a": torch.zeros(768), "b": torch.zeros(768)}, folder / "two.pt")
    found = {info.name: info for info in catalog.embeddings()}
    assert set(found) == {"safe", "xl", "trained", "concept", "inside", "two"}
    sizes = {name: (info.vectors, info.width) for name, info in found.items() if not info.problem}
    assert sizes == {
        "safe": (3, 768),
        "xl": (4, 2048),
        "trained": (2, 768),
        "concept": (1, 1024),
        "inside": (1, 768),
    }
    trained = found["trained"]
    assert (trained.step, trained.checkpoint, trained.checkpoint_name) == (500, "abcd", "base")
    assert found["two"].problem == "two.pt: holds several words"


def test_an_embedding_of_another_width_is_skipped_with_the_reason() -> None:
    one = EmbeddingInfo("style", Path("style.pt"), 1, 768, (768,))
    xl = EmbeddingInfo("xl", Path("xl.safetensors"), 1, 2048, (1280, 768))
    assert one.misfit((768,)) == one.misfit(()) == xl.misfit((768, 1280)) == ""
    assert one.misfit((1024,)) == (
        "style.pt: has vectors of 768 numbers, the checkpoint's text encoder of 1024"
    )
    assert "768 + 1280 numbers" in xl.misfit((768,))


def test_embeddings_are_looked_for_without_case_and_blanks(catalog: Catalog, paths: Paths) -> None:
    for name in ("Bad Hands", "mo(re)", "x", "other"):
        write_tensors(paths.embeddings / f"{name}.safetensors", {"emb_params": (1, 8)})
    (paths.embeddings / "broken hands.safetensors").write_bytes(b"x")
    picture_with(json_of(np.ones((1, 8), np.float32), "inside")).save(paths.embeddings / "c.png")
    found = catalog.networks.embeddings_in(["a photo, bad  hands", r"mo\(re\) or inside"])
    assert [info.name for info in found] == ["Bad Hands", "mo(re)", "inside"]
    assert catalog.networks.embeddings_in(["broken hands"]) == []


def test_names_of_files_are_found_without_opening_the_others(
    catalog: Catalog, paths: Paths
) -> None:
    write_tensors(paths.lora / "a.safetensors", LORA)
    write_tensors(paths.lora / "b.safetensors", LORA, metadata={"ss_output_name": "c"})
    opened: list[str] = []
    read = catalog.networks._loras._read
    catalog.networks._loras._read = lambda item: opened.append(item.name) or read(item)
    assert set(catalog.networks.find_loras(["a"])) == {"a"}
    assert opened == ["a.safetensors"]
    assert catalog.networks.find_loras(["c"])["c"].name == "b"
    assert opened == ["a.safetensors", "b.safetensors"]


def test_hypernetworks_are_listed(catalog: Catalog, paths: Paths) -> None:
    import torch

    state = {"linear.0.weight": torch.zeros(2, 2)}
    torch.save({320: (state, state), "name": "x"}, paths.hypernetworks / "sharp.pt")
    torch.save({"a": torch.zeros(2)}, paths.hypernetworks / "weights.pt")
    problems = {info.name: info.problem for info in catalog.hypernetworks()}
    assert problems == {"sharp": "", "weights": "weights.pt: is not a hypernetwork"}
    assert list(catalog.networks.find_hypernetworks(["sharp", "weights", "no"])) == ["sharp"]
