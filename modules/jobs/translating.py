"""Chinese prompts of a job, translated by the checkpoint's own dictionary."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from modules.prompts import Dictionary, Translation, translate
from modules.requests.errors import shorten


@dataclass(frozen=True)
class Translated:
    """All images' prompts, and what they were before where that differs."""

    positive: list[str]
    negative: list[str]
    originals: list[list[str]] | None
    notes: list[str]
    """Sentences for the user: what was read as what."""


def translate_all(
    positive: list[str], negative: list[str], dictionary: Dictionary | None
) -> Translated:
    """Translate every image's prompts; equal texts only once."""
    if dictionary is None:
        return Translated(positive, negative, None, [])
    known: dict[str, Translation] = {}
    for text in (*positive, *negative):
        if text not in known:
            known[text] = translate(text, dictionary)
    changed = [found for found in known.values() if found.changed]
    if not changed:
        return Translated(positive, negative, None, _unread(known.values()))
    return Translated(
        [known[text].text for text in positive],
        [known[text].text for text in negative],
        [list(pair) for pair in zip(positive, negative, strict=True)],
        [*_said(changed), *_unread(known.values())],
    )


def _said(changed: list[Translation]) -> list[str]:
    shown = "; ".join(f"“{shorten(found.text)}”" for found in changed[:3])
    more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
    return [f"Translated from Chinese: {shown}{more}."]


def _unread(found: Collection[Translation]) -> list[str]:
    left_out = {word: None for one in found if one.changed for word in one.unknown}
    kept = {word: None for one in found if not one.changed for word in one.unknown}
    notes = []
    if left_out:
        words = shorten("、".join(left_out))
        notes.append(f"Not in this model's Chinese dictionary and left out: {words}.")
    if kept:
        words = shorten("、".join(kept))
        notes.append(f"Not in this model's Chinese dictionary, kept as it is: {words}.")
    return notes
