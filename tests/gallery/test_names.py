"""File name patterns."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.gallery.names import sanitize_name, sanitize_part
from modules.gallery.patterns import TOKENS, NameContext, apply_pattern, context_of

CONTEXT = NameContext(
    seed=42,
    all_seeds=(40, 41, 42),
    prompt="A cat, (sharp:1.2) on: a/mat",
    prompt_without_styles="A cat",
    negative_prompt="bad",
    steps=20,
    cfg_scale=7.0,
    width=512,
    height=768,
    styles=("photo", "night"),
    sampler="DPM++ 2M",
    scheduler="Karras",
    model_hash="0123456789",
    model_name="some/model",
    vae_filename="vae.pt",
    clip_skip=2,
    denoising=0.5,
    batch_index=1,
    iteration=2,
    batch_size=2,
    n_iter=3,
    user="me",
    now=datetime(2026, 11, 22, 3, 4, 5),
    job_started=datetime(2026, 11, 22, 3, 0, 0),
    image_hash=lambda: "f" * 64,
)


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("[seed]", "42"),
        ("[seed_first]-[seed_last]", "40-42"),
        ("[steps]_[cfg]_[width]x[height]", "20_7_512x768"),
        ("[styles]", "photo, night"),
        ("[sampler]", "DPM++ 2M"),
        ("[sampler_scheduler]", "DPM++ 2M Karras"),
        ("[model_hash]-[model_name]", "0123456789-some_model"),
        ("[date]", "2026-11-22"),
        ("[datetime]", "20261122030405"),
        ("[datetime<%Y_%m>]", "2026_11"),
        ("[datetime<%H:%M>]", "03_04"),
        ("[job_timestamp]", "20261122030000"),
        ("[prompt]", "A_cat,_(sharp_1.2)_on__a_mat"),
        ("[prompt_spaces]", "A cat, (sharp_1.2) on_ a_mat"),
        ("[prompt_no_styles]", "A cat"),
        ("[prompt_words]", "A cat sharp 1 2 on a mat"),
        ("[batch_number]/[batch_size]", "2/2"),
        ("[generation_number]", "6"),
        ("[hasprompt<cat><dog|none><bird|>]", "catnone"),
        ("[clip_skip] [denoising] [user] [vae_filename]", "2 0.5 me vae.pt"),
        ("[image_hash<6>]", "ffffff"),
        ("[none]", ""),
        ("a[unknown]b", "a[unknown]b"),
        ("[SEED]", "42"),
        ("[]", "[]"),
        ("plain", "plain"),
        ("a[basename]b", "b"),
    ],
)
def test_tokens(pattern: str, expected: str) -> None:
    assert apply_pattern(pattern, CONTEXT) == expected


def test_hash_tokens_have_the_length_asked_for() -> None:
    assert len(apply_pattern("[prompt_hash]", CONTEXT)) == 8
    assert len(apply_pattern("[prompt_hash<12>]", CONTEXT)) == 12
    hashes = {apply_pattern(f"[{kind}prompt_hash]", CONTEXT) for kind in ("", "negative_", "full_")}
    assert len(hashes) == 3


def test_nothing_also_drops_the_text_before_it() -> None:
    single = NameContext(seed=1)
    assert apply_pattern("[seed]-n[generation_number]-b[batch_number]-end", single) == "1-end"
    assert apply_pattern("[seed]-d[denoising]", single) == "1"


def test_an_unknown_format_or_zone_is_not_used() -> None:
    assert apply_pattern("[datetime<%Y><No/Where>]", CONTEXT) == "2026"
    assert apply_pattern("[datetime<%Y><UTC>]", CONTEXT) == "2026"


def test_every_token_works_with_nothing_known() -> None:
    for token in TOKENS:
        assert isinstance(apply_pattern(f"x[{token}]", NameContext()), str)


def test_facts_and_request_give_the_context(
    facts: dict[str, Any], request_fields: dict[str, Any], options: dict[str, Any]
) -> None:
    context = context_of(facts, request_fields, options)
    assert apply_pattern("[seed]-[sampler]-[model_name]-[steps]", context) == (
        "1234-DPM++ 2M-easel-starter-20"
    )
    assert apply_pattern("[seed]-d[denoising]", context) == "1234"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('a/b\\c:d*e?f"g<h>i|j#k', "a_b_c_d_e_f_g_h_i_j_k"),
        ("  lead", "__lead"),
        ("trail. . ", "trail._."),
        ("new\nline\ttab", "new_line_tab"),
    ],
)
def test_parts_lose_what_names_cannot_hold(text: str, expected: str) -> None:
    assert sanitize_part(text).rstrip("_") == expected.rstrip("_")


@given(st.text(max_size=400))
def test_names_are_legal_everywhere(text: str) -> None:
    name = sanitize_name(text)
    assert len(name.encode()) <= 241
    assert not set('#<>:"/\\|?*\n\r\t\0') & set(name)
    assert name == name.rstrip(" .")
    assert name.split(".")[0].lower() not in {"con", "nul", "aux", "prn", "com1", "lpt9"}


@given(st.text(alphabet="[]<>%abY|seed-prompt_words ", max_size=60) | st.text(max_size=60))
def test_any_pattern_is_applied_without_raising(pattern: str) -> None:
    assert isinstance(apply_pattern(pattern, CONTEXT), str)


def test_reserved_names_are_evaded() -> None:
    assert sanitize_name("CON") == "_CON"
    assert sanitize_name("nul.tar") == "_nul.tar"
    assert sanitize_name("console") == "console"
