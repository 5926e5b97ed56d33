"""Both languages are complete, and every text that the page asks for exists."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path

import pytest

from modules.jobs.records import STATES
from modules.prompts.notices import MESSAGES
from modules.settings.tables import build_table
from modules.web.context import AppContext
from modules.web.pages import assets, build
from modules.web.pages.defaults import by_tab
from modules.web.pages.translations import (
    FOLDER,
    LANGUAGES,
    choose_language,
    gradio_texts,
    texts,
)

PAGES = Path(assets.__file__).parent
DYNAMIC = ("dialect.", "field.", "group.", "notice.", "option.", "queue.", "state.")
"""Beginnings of keys that scripts put together while running."""
PUT_TOGETHER = re.compile(r"`([a-z_0-9]+\.[a-z_0-9]*)\$\{")
"""A key whose end is filled in, such as `outpaint.handle_${side}`."""


@cache
def table(language: str) -> dict[str, str]:
    return json.loads((FOLDER / f"{language}.json").read_text(encoding="utf-8"))


def sources(pattern: str) -> list[str]:
    return [path.read_text(encoding="utf-8") for path in assets.STATIC.glob(pattern)]


def script_keys() -> set[str]:
    """Keys that our scripts and the elements' attributes name in full."""
    texts_with_keys = sources("*.js")
    written = [*PAGES.rglob("*.py"), *(PAGES.parent / "gate").glob("login*.py")]
    texts_with_keys += [path.read_text(encoding="utf-8") for path in written]
    used: set[str] = set()
    for text in texts_with_keys:
        used |= set(re.findall(r'"([a-z_0-9]+\.[a-z_0-9.]+)"', text))
    used = {key for key in used if not key.endswith((".css", ".js"))}
    return {key for key in used if key.split(".")[0] in sections() and not is_field(key)}


def is_field(name: str) -> bool:
    """Fields of a form have dots too, such as ``outpaint.left``; some are texts as well."""
    known = set().union(*(defaults for defaults in by_tab().values()))
    return name in known and name not in table("en")


def is_put_together(key: str) -> bool:
    beginnings = [found for text in sources("*.js") for found in PUT_TOGETHER.findall(text)]
    return key.endswith(".empty_hint") or any(key.startswith(one) for one in beginnings)


def sections() -> set[str]:
    return {key.split(".")[0] for key in table("en")}


@pytest.fixture(scope="module")
def form_keys(context: AppContext) -> set[str]:
    """The labels that the built page asks for."""
    page = json.dumps(build(context).get_config_file(), default=str)
    return set(re.findall(r"(?<!Easel\.)\bform\.[a-z_0-9]+", page))


@pytest.mark.parametrize("language", [name for name in LANGUAGES if name != "en"])
def test_every_language_has_exactly_the_english_keys(language: str) -> None:
    assert set(table(language)) == set(table("en"))


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_text_is_empty(language: str) -> None:
    assert [key for key, value in table(language).items() if not value.strip()] == []


@pytest.mark.parametrize("language", [name for name in LANGUAGES if name != "en"])
def test_translations_keep_the_places_for_values(language: str) -> None:
    def places(text: str) -> list[str]:
        return sorted(re.findall(r"\{(\w+)\}", text))

    wrong = [
        key for key, text in table("en").items() if places(text) != places(table(language)[key])
    ]
    assert wrong == []


def test_chinese_texts_are_chinese() -> None:
    """Texts left in English are names and numbers only."""
    latin = re.compile(r"[A-Za-z]{4,}")
    untouched = [
        key
        for key, text in table("zh-Hans").items()
        if text == table("en")[key] and latin.search(text)
    ]
    names = {"group.Stable Diffusion", "option.rho", "option.s_noise"}
    names |= {f"option.s_{name}" for name in ("churn", "tmin", "tmax", "noise")}
    names |= {"canvas.size_of", "extras.caption_clip", "extras.caption_deepdanbooru"}
    assert {key for key in untouched if not key.startswith("dialect.")} <= names


def test_every_key_that_scripts_use_exists() -> None:
    assert script_keys() - set(table("en")) == set()


def test_every_label_of_the_form_exists(form_keys: set[str]) -> None:
    assert len(form_keys) > 100
    assert form_keys - set(table("en")) == set()


def test_no_text_is_left_over(form_keys: set[str]) -> None:
    known = script_keys() | form_keys
    left = {key for key in table("en") if key not in known and not key.startswith(DYNAMIC)}
    assert {key for key in left if not is_put_together(key)} == set()


def test_every_visible_setting_and_section_is_translated() -> None:
    for group, options in build_table().groups().items():
        assert f"group.{group}" in table("en"), group
        for option in options:
            assert table("en").get(f"option.{option.key}") == option.label
            if option.help:
                assert table("en").get(f"option.{option.key}.help") == option.help


def test_every_remark_of_the_prompt_parser_is_translated() -> None:
    for code, message in MESSAGES.items():
        assert table("en")[f"notice.{code}"] == message.replace("{{", "{")


def test_every_state_of_a_job_is_translated() -> None:
    assert {f"state.{state}" for state in STATES} <= set(table("en"))


def test_gradio_gets_only_the_labels_of_its_components() -> None:
    sent = gradio_texts(["option.sd_vae"]).translations
    assert set(sent) == {"en", "zh-CN"}
    assert sent["zh-CN"]["form.generate"] == "生成"
    assert "option.sd_vae" in sent["en"]
    assert "settings.search" not in sent["en"]


def test_a_key_that_a_language_lacks_falls_back_to_english() -> None:
    assert set(texts("zh-Hans")) >= set(texts("en"))


@pytest.mark.parametrize(
    ("setting", "header", "language"),
    [
        ("None", "", "en"),
        ("None", "de-DE,de;q=0.9", "en"),
        ("None", "zh-CN,zh;q=0.9,en;q=0.8", "zh-Hans"),
        ("None", "en-US,en;q=0.9,zh;q=0.8", "en"),
        ("None", "fr;q=0.9, zh-TW;q=0.5, en;q=0.4", "zh-Hans"),
        ("None", "zh;q=0, en", "en"),
        ("None", "en;q=nonsense,,;;,zh", "zh-Hans"),
        ("en", "zh-CN", "en"),
        ("zh-Hans", "en-US", "zh-Hans"),
        ("klingon", "zh-CN", "zh-Hans"),
    ],
)
def test_the_setting_wins_over_the_browser(setting: str, header: str, language: str) -> None:
    assert choose_language(setting, header) == language
