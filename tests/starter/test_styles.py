"""Other styles of the same things, for the full plan."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.starter.test_hues_and_layouts import CONCEPTS, CONFIG, DRAWINGS
from tools.starter.captions import wide_caption
from tools.starter.config import Config, full_plan
from tools.starter.fetch import SOURCES, STYLE_SOURCES, Source, sources_of
from tools.starter.layouts import Director
from tools.starter.styles import STYLES, endings_of, with_styles

LICENCES = Path(__file__).resolve().parents[2] / "tools" / "starter" / "licences"


@pytest.mark.parametrize("source", STYLE_SOURCES, ids=lambda source: source.key)
def test_every_further_style_has_a_free_licence_kept_with_the_recipe(
    source: Source,
) -> None:
    words = {
        "Apache-2.0": "Apache License",
        "MIT": "Permission is hereby granted",
        "CC-BY-4.0": "Attribution 4.0 International",
    }
    text = (LICENCES / f"{source.key}.txt").read_text(encoding="utf-8")
    assert words[source.licence] in text
    assert source.name in text and source.version in text


def test_a_model_names_only_the_sources_of_its_own_styles() -> None:
    assert sources_of(Config().styles) == SOURCES
    assert sources_of(full_plan(Config()).styles) == (*SOURCES, *STYLE_SOURCES)
    assert {style.key for style in STYLES} == {source.key for source in STYLE_SOURCES}


def test_one_style_leaves_concepts_and_drawings_alone() -> None:
    concepts, drawings = with_styles(CONFIG, CONCEPTS, DRAWINGS)
    assert concepts == CONCEPTS
    assert np.shares_memory(drawings, DRAWINGS)
    assert endings_of(CONFIG) == ("",)


def test_captions_say_the_style_and_pairs_are_of_one_style() -> None:
    other = [replace(concept, ending=", flat style") for concept in CONCEPTS[:3]]
    director = Director(CONFIG, [*CONCEPTS, *other], np.concatenate([DRAWINGS, DRAWINGS[:3]]), 2)
    seen = set()
    for layout in (director.layout() for _ in range(300)):
        flat = {placed.concept > 3 for placed in layout.objects}
        assert len(flat) == 1
        assert layout.caption.endswith(", flat style") == flat.pop()
        seen.add(layout.kind)
    assert seen == {"hue", "pair", "count", "place"}


def test_the_text_encoder_is_asked_for_the_style_where_there_are_several() -> None:
    names = [concept.names for concept in CONCEPTS]
    endings = endings_of(full_plan(Config()))
    wordings = [wide_caption(random.Random(i), names, ["white"], [0], endings) for i in range(60)]
    assert {wording.style for wording in wordings} == set(range(len(endings)))
    assert all(wording.text.endswith(endings[wording.style]) for wording in wordings)
    assert wide_caption(random.Random(1), names, ["white"], [0]).style == -100
