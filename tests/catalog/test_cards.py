"""Cards: found by name, told about by their files, chosen by query, changed with care."""

from __future__ import annotations

import base64
import io
import json
import time
from pathlib import Path

import pytest
from PIL import Image

from modules.catalog import Catalog
from modules.catalog.cards.card import Card
from modules.catalog.cards.embedded import embedded_picture
from modules.catalog.cards.facts import CardFacts, plain, read_facts
from modules.catalog.cards.family_guess import family_of_words
from modules.catalog.cards.naming import Naming
from modules.catalog.cards.pages import CHECKPOINTS, EMBEDDINGS, HYPERNETWORKS, LORA, find_page
from modules.catalog.cards.query import CardQuery, PageView, select
from modules.catalog.cards.walk import Entry, walk
from modules.requests.errors import NotFoundInList
from modules.settings.flags import parse_flags
from modules.settings.paths import Paths
from tests.catalog.files import sd1_shapes, write_tensors

DOWN = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k.lora_down.weight"


def lora(path: Path, width: int = 768, **metadata: str) -> Path:
    """A small LoRA whose cross-attention has this width."""
    return write_tensors(path, {DOWN: (4, width)}, metadata=metadata or None)


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    found = Paths.from_flags(parse_flags(["--data-dir", str(tmp_path / "data")]))
    found.ensure()
    return found


@pytest.fixture
def catalog(paths: Paths):
    made = Catalog(paths)
    yield made
    made.stop()


def card(name: str, *, family: str = "", alias: str = "", words: str = "", when: float = 0) -> Card:
    """A card without a file."""
    path = Path("/models") / f"{name}.safetensors"
    entry = Entry(name, path, Path("/models"), 1, when, when, None, "", name)
    return Card.of(LORA, entry, CardFacts(alias=alias, family=family, description=words), None)


# ---- what is a card, and its preview


def test_files_are_found_with_their_previews_and_notes_are_no_cards(paths: Paths) -> None:
    lora(paths.lora / "style" / "fox.safetensors")
    for name in ("fox.json", "fox.txt", "fox.png", "fox.preview.webp", "fox.civitai.info"):
        (paths.lora / "style" / name).write_bytes(b"x")
    lora(paths.lora / "OWL.SafeTensors")
    (paths.lora / ".hidden").mkdir()
    lora(paths.lora / ".hidden" / "secret.safetensors")
    found = {entry.name: entry for entry in walk([paths.lora], LORA.suffixes)}
    assert set(found) == {"style/fox", "OWL"}
    assert found["style/fox"].preview == paths.lora / "style" / "fox.preview.webp"
    assert found["style/fox"].folder == "style"
    assert found["OWL"].preview is None


def test_links_that_run_in_a_circle_are_walked_once(paths: Paths) -> None:
    lora(paths.lora / "a" / "one.safetensors")
    (paths.lora / "a" / "again").symlink_to(paths.lora, target_is_directory=True)
    assert [entry.name for entry in walk([paths.lora], LORA.suffixes)] == ["a/one"]


def test_a_picture_among_embeddings_is_a_card_only_if_it_holds_one(
    paths: Paths, catalog: Catalog
) -> None:
    write_tensors(paths.embeddings / "word.safetensors", {"emb_params": (3, 768)})
    Image.new("RGB", (8, 8)).save(paths.embeddings / "word.png")
    Image.new("RGB", (8, 8)).save(paths.embeddings / "holiday.png")
    catalog.cards.told(EMBEDDINGS, list(catalog.cards.cards(EMBEDDINGS)))
    names = {found.entry.name for found in catalog.cards.cards(EMBEDDINGS)}
    assert names == {"word"}
    word = catalog.cards.find(EMBEDDINGS, "word")
    assert (word.facts.vectors, word.family) == (3, "sd1")
    assert word.entry.preview == paths.embeddings / "word.png"


# ---- what files say


@pytest.mark.parametrize(
    ("text", "family"),
    [
        ("SD 1.5", "sd1"),
        ("sd_v1-5", "sd1"),
        ("stable-diffusion-v1/lora", "sd1"),
        ("SD 2.1 768", "sd2"),
        ("sdxl_base_v1-0", "sdxl"),
        ("stable-diffusion-xl-v1-base/lora", "sdxl"),
        ("Pony", "sdxl"),
        ("SD 3.5 Large", "sd3"),
        ("stable-diffusion-3-medium", "sd3"),
        ("Flux.1 D", "flux"),
        ("something else", ""),
    ],
)
def test_a_base_models_name_tells_the_family(text: str, family: str) -> None:
    assert family_of_words(text) == family


@pytest.mark.parametrize(
    ("name", "width", "family"),
    [
        (DOWN, 768, "sd1"),
        (DOWN, 1024, "sd2"),
        (DOWN, 2048, "sdxl"),
        ("unet.down.0.attn2.to_k.lora_A.weight", 768, "sd1"),
        ("lora_te2_text_model_encoder_layers_0_mlp_fc1.lora_down.weight", 1280, "sdxl"),
        ("lora_unet_double_blocks_0_img_attn_qkv.lora_down.weight", 3072, "flux"),
        ("transformer.single_transformer_blocks.0.attn.to_k.lora_A.weight", 3072, "flux"),
        ("transformer.transformer_blocks.0.attn.to_k.lora_A.weight", 1536, "sd3"),
    ],
)
def test_tensors_tell_a_loras_family(tmp_path: Path, name: str, width: int, family: str) -> None:
    path = write_tensors(tmp_path / "x.safetensors", {name: (4, width)})
    assert read_facts("lora", path).family == family


def test_a_loras_metadata_gives_words_tags_and_licence(tmp_path: Path) -> None:
    tags = json.dumps({"10_fox": {"red fur": 30, "fox": 40, "bad": "x"}, "odd": 5})
    path = lora(
        tmp_path / "x.safetensors",
        ss_output_name="Fox",
        ss_tag_frequency=tags,
        **{"modelspec.trigger_phrase": "a fx fox", "modelspec.license": "MIT"},
    )
    facts = read_facts("lora", path)
    assert (facts.alias, facts.words, facts.tags) == ("Fox", ("a fx fox",), ("fox", "red fur"))
    assert (facts.licence, facts.licence_from) == ("MIT", "file")


def test_notes_of_civitai_helpers_are_read(tmp_path: Path) -> None:
    path = lora(tmp_path / "x.safetensors")
    told = {"modelId": 77, "baseModel": "SDXL 1.0", "trainedWords": ["fx", "fx", 5]}
    told["model"] = {"name": "Fox", "allowCommercialUse": ["Image"], "allowNoCredit": False}
    told["description"] = "<p>Best &amp; <b>bold</b></p><script>x()</script>"
    path.with_suffix(".civitai.info").write_text(json.dumps(told))
    facts = read_facts("lora", path)
    assert facts.source == "https://civitai.com/models/77"
    assert (facts.title, facts.words, facts.description) == ("Fox", ("fx",), "Best & bold\nx()")
    assert facts.licence.startswith("CivitAI permissions (commercial use: Image; credit: needed")


def test_what_a_person_noted_wins(tmp_path: Path) -> None:
    path = lora(tmp_path / "x.safetensors", **{"modelspec.license": "MIT"})
    noted = {"sd version": "SDXL", "license": "CC0", "source": "javascript:alert(1)"}
    path.with_suffix(".json").write_text(json.dumps(noted))
    facts = read_facts("lora", path)
    assert (facts.family, facts.licence, facts.licence_from) == ("sdxl", "CC0", "notes")
    assert facts.source == ""


def test_a_model_cards_front_matter_gives_a_folders_licence(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("---\nlicense: openrail++\ntags: [x]\n---\ntext")
    assert read_facts("checkpoints", tmp_path).licence == "openrail++"


def test_markup_becomes_text() -> None:
    assert plain("<p>a<br>b</p><img src=x onerror=y>&lt;i&gt;") == "a\nb\n<i>"
    assert plain("a\u202eb\x07c") == "a b c"


def test_an_unreadable_file_is_a_card_with_its_reason(paths: Paths, catalog: Catalog) -> None:
    (paths.lora / "broken.safetensors").write_bytes(b"nothing of use here")
    found = catalog.cards.find(LORA, "broken")
    assert "broken.safetensors" in found.problem


def test_a_files_own_preview_is_found(tmp_path: Path) -> None:
    stream = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(stream, "PNG")
    text = base64.b64encode(stream.getvalue()).decode()
    path = lora(tmp_path / "a.safetensors", ssmd_cover_images=json.dumps([text, 5, "!!"]))
    assert embedded_picture(path) == stream.getvalue()
    assert embedded_picture(path, 9) is None
    other = lora(tmp_path / "b.safetensors", **{"modelspec.thumbnail": "data:text/html,x"})
    assert embedded_picture(other) is None


# ---- choosing


def names(found: list[Card]) -> list[str]:
    return [one.entry.name for one in found]


def test_all_words_must_be_found_and_none_with_a_minus() -> None:
    view = PageView([card("a/red fox"), card("b/red owl", words="soft"), card("c/blue fox")])
    assert names(select(view, CardQuery("RED fox")).cards) == ["a/red fox"]
    assert names(select(view, CardQuery("red -fox")).cards) == ["b/red owl"]
    assert names(select(view, CardQuery("soft")).cards) == ["b/red owl"]


def test_folders_orders_and_parts() -> None:
    view = PageView([card("b/x", when=1), card("a/z", when=3), card("a/c/y", when=2), card("ab/q")])
    assert names(select(view, CardQuery(folder="a")).cards) == ["a/c/y", "a/z"]
    newest = select(view, CardQuery(sort="modified", descending=True, limit=2))
    assert (names(newest.cards), newest.matched) == (["a/z", "a/c/y"], 4)
    assert names(select(view, CardQuery(sort="name", offset=2)).cards) == ["a/c/y", "a/z"]
    assert [(one["path"], one["count"]) for one in view.folders] == [
        ("a", 2),
        ("a/c", 1),
        ("ab", 1),
        ("b", 1),
    ]


def test_other_families_are_hidden_and_counted() -> None:
    view = PageView([card("one", family="sd1"), card("two", family="sdxl"), card("three")])
    found = select(view, CardQuery(family="sd1"))
    assert (names(found.cards), found.hidden) == (["one", "three"], 1)
    strict = select(view, CardQuery(family="sd1", unknown_too=False))
    assert names(strict.cards) == ["one"]


def test_ten_thousand_cards_answer_at_once() -> None:
    cards = [card(f"folder{i % 40}/style {i}", family="sd1", words=f"n{i}") for i in range(10_000)]
    view = PageView(cards)
    select(view, CardQuery())
    begun = time.perf_counter()
    found = select(view, CardQuery("style n77", family="sd1", descending=True))
    assert time.perf_counter() - begun < 0.5
    assert found.total == 10_000 and 0 < found.matched < 500


# ---- names in prompts


def test_a_name_in_a_prompt_means_one_card() -> None:
    cards = [card("a/fox", alias="Fox Style"), card("a/owl", alias="same"), card("b/bear")]
    cards += [card("b/cat", alias="same"), card("c/bear"), card("d/none", alias="none")]
    naming = Naming.of(PageView(cards), {})
    texts = {one.entry.name: naming.insertion(one) for one in cards}
    assert texts["a/fox"] == "<lora:Fox Style:1>"
    assert texts["a/owl"] == "<lora:owl:1>"
    assert (texts["b/bear"], texts["c/bear"]) == ("<lora:b/bear:1>", "<lora:c/bear:1>")
    assert texts["d/none"] == "<lora:none:1>"
    plainly = Naming.of(PageView(cards), {"lora_preferred_name": "Filename"})
    assert plainly.insertion(cards[0]) == "<lora:fox:1>"
    weighty = Naming.of(PageView(cards), {"extra_networks_default_multiplier": 0.55})
    assert weighty.insertion(cards[2]) == "<lora:b/bear:0.55>"


def test_the_names_offered_are_those_that_the_prompt_understands(
    paths: Paths, catalog: Catalog
) -> None:
    lora(paths.lora / "fox.safetensors", ss_output_name="Fox")
    lora(paths.lora / "a" / "bear.safetensors")
    lora(paths.lora / "b" / "bear.safetensors")
    index = catalog.cards
    index.told(LORA, list(index.cards(LORA)))
    naming = Naming.of(index.view(LORA), {})
    for found in index.cards(LORA):
        name = naming.name(found)
        assert catalog.networks.find_loras([name])[name].path == found.entry.path


# ---- the index


def test_facts_are_read_once_and_kept_over_a_start(paths: Paths) -> None:
    for number in range(5):
        lora(paths.lora / f"{number}.safetensors")
    first = Catalog(paths)
    first.cards.read_in_background()
    first.cards._worker.join()
    first.stop()
    second = Catalog(paths)
    assert [one.known for one in second.cards.cards(LORA)] == [True] * 5
    assert {one.family for one in second.cards.cards(LORA)} == {"sd1"}
    second.stop()


def test_a_changed_file_is_told_about_anew(paths: Paths, catalog: Catalog) -> None:
    lora(paths.lora / "x.safetensors", 768)
    assert catalog.cards.find(LORA, "x").family == "sd1"
    time.sleep(0.01)
    lora(paths.lora / "x.safetensors", 2048)
    catalog.cards.refresh()
    assert catalog.cards.find(LORA, "x").family == "sdxl"


def test_a_damaged_cache_costs_only_time(paths: Paths) -> None:
    lora(paths.lora / "x.safetensors")
    (paths.cache / "cards.sqlite").write_bytes(b"this is no database" * 100)
    made = Catalog(paths)
    assert made.cards.find(LORA, "x").family == "sd1"
    made.stop()


def test_checkpoints_are_cards_with_their_titles(paths: Paths, catalog: Catalog) -> None:
    write_tensors(paths.checkpoints / "sub" / "apple.safetensors", sd1_shapes())
    found = catalog.cards.find(CHECKPOINTS, "sub/apple")
    assert found.title == "sub/apple.safetensors"
    catalog.with_hash(found.checkpoint)
    again = catalog.cards.find(CHECKPOINTS, "sub/apple")
    assert again.title == f"sub/apple.safetensors [{again.checkpoint.hash}]"
    assert catalog.cards.sha256_of(again) == again.checkpoint.sha256


def test_notes_show_at_once(paths: Paths, catalog: Catalog) -> None:
    lora(paths.lora / "x.safetensors")
    assert catalog.cards.find(LORA, "x").facts.description == ""
    changed = catalog.cards.change(LORA, "x", {"description": "soft", "sd_version": "SD2"})
    assert (changed.facts.description, changed.family) == ("soft", "sd2")
    assert names(select(catalog.cards.view(LORA), CardQuery("soft")).cards) == ["x"]


def test_unknown_pages_and_cards_are_refused(catalog: Catalog) -> None:
    assert find_page("Textual Inversion") is EMBEDDINGS
    assert find_page("hypernetworks") is HYPERNETWORKS
    with pytest.raises(NotFoundInList):
        find_page("../lora")
    with pytest.raises(NotFoundInList):
        catalog.cards.find(LORA, "../../etc/passwd")


def test_a_models_folder_may_hold_its_preview(paths: Paths, catalog: Catalog) -> None:
    folder = paths.checkpoints / "model"
    folder.mkdir()
    (folder / "model_index.json").write_text("{}")
    Image.new("RGB", (8, 8)).save(folder / "preview.webp")
    assert catalog.cards.find(CHECKPOINTS, "model").entry.preview == folder / "preview.webp"
