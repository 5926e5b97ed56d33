"""The page's texts: one JSON file per language, and the choice of a language for one visitor."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

import gradio as gr

FOLDER = Path(__file__).resolve().parent.parent / "translations"
FALLBACK = "en"
LANGUAGES: Mapping[str, str] = {"en": "English", "zh-Hans": "简体中文"}
"""Our language tag and its own name, in the order offered."""

_GRADIO_LOCALES = {"en": "en", "zh-Hans": "zh-CN"}
"""The tag under which Gradio keeps its built-in texts of the same language."""


@cache
def texts(language: str) -> dict[str, str]:
    """All texts of a language; a key that it lacks is filled from English."""
    english = json.loads((FOLDER / f"{FALLBACK}.json").read_text(encoding="utf-8"))
    if language == FALLBACK:
        return english
    own = json.loads((FOLDER / f"{language}.json").read_text(encoding="utf-8"))
    return {**english, **own}


def gradio_locale(language: str) -> str:
    """The locale tag that makes Gradio use our language."""
    return _GRADIO_LOCALES[language]


def gradio_texts(more: Iterable[str] = ()) -> gr.I18n:
    """The labels of Gradio's components (keys ``form.*`` and ``more``) in every language."""
    wanted = set(more)
    tables = {}
    for language in LANGUAGES:
        tables[gradio_locale(language)] = {
            key: text
            for key, text in texts(language).items()
            if key.startswith("form.") or key in wanted
        }
    return gr.I18n(**tables)


def script_texts(language: str) -> dict[str, str]:
    """What our scripts need: everything in one language."""
    return texts(language)


def choose_language(setting: str, accept_language: str) -> str:
    """The language of one visit.

    Args:
        setting: the option ``localization``; "None" leaves it to the browser.
        accept_language: the request's ``Accept-Language`` header.
    """
    if setting in LANGUAGES:
        return setting
    for tag in _by_preference(accept_language):
        if tag.startswith("zh"):
            return "zh-Hans"
        primary = tag.split("-")[0]
        if primary in LANGUAGES:
            return primary
    return FALLBACK


def _by_preference(accept_language: str) -> list[str]:
    """Language tags of the header, the most wanted first, lower case."""
    weighted = []
    for position, part in enumerate(accept_language[:1000].split(",")):
        tag, _, parameter = part.strip().partition(";")
        quality = 1.0
        if parameter.strip().startswith("q="):
            try:
                quality = float(parameter.strip()[2:])
            except ValueError:
                continue
        if tag and quality > 0:
            weighted.append((-quality, position, tag.lower()))
    return [tag for _, _, tag in sorted(weighted)]
