"""Cards as JSON: short for the list, in full for the dialog."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from modules.catalog import ModelFileError, safetensors_header
from modules.catalog.cards.card import Card
from modules.catalog.cards.facts import clean
from modules.catalog.cards.index import CardIndex
from modules.catalog.cards.naming import Naming
from modules.catalog.cards.pages import CHECKPOINTS
from modules.catalog.errors import shown
from modules.catalog.sidecar import read_sidecar_leniently
from modules.web.files.previews import preview_file, preview_key

SHORT_TEXT = 240
MAX_METADATA = 64
MAX_VALUE = 2000
FAMILY_LABELS: Mapping[str, str] = {
    "sd1": "SD 1",
    "sd2": "SD 2",
    "sdxl": "SDXL",
    "sd3": "SD 3",
    "flux": "FLUX",
}
"""Short names of families; they fit on a card."""


def family_label(family: str) -> str:
    """A short name of a family for people."""
    return FAMILY_LABELS.get(family, family)


def preview_url(card: Card) -> str | None:
    """Where a card's preview is served; changes with the picture."""
    key = preview_key(card)
    if not key:
        return None
    name = quote(card.entry.name, safe="")
    return f"/easel/v1/cards/{card.page.key}/preview?name={name}&v={key[:16]}"


def checkpoint_previews(index: CardIndex) -> dict[Path, str]:
    """Addresses of the checkpoints' previews, by the model's path."""
    found = {card.entry.path: preview_url(card) for card in index.cards(CHECKPOINTS)}
    return {path: url for path, url in found.items() if url}


def card_object(card: Card, naming: Naming) -> dict[str, Any]:
    """A card as the list shows it."""
    entry, facts, info = card.entry, card.facts, card.checkpoint
    return {
        "name": entry.name,
        "label": shown(entry.stem, 200),
        "file": shown(entry.path.name, 200),
        "folder": entry.folder,
        "family": card.family,
        "family_label": family_label(card.family),
        "variant": info.variant if info is not None else "",
        "size": info.size if info is not None else entry.size,
        "modified": entry.modified,
        "preview": preview_url(card),
        "description": facts.description[:SHORT_TEXT],
        "problem": card.problem,
        "insert": naming.insertion(card),
        "activation": facts.user.activation_text,
        "negative": facts.user.negative_text,
        "words": list(facts.words),
        "title": info.title if info is not None else None,
        "hash": info.hash if info is not None else None,
        "has_defaults": bool(facts.user.default_parameters),
        "licence": facts.licence,
        "known": card.known,
    }


def card_details(index: CardIndex, card: Card, naming: Naming) -> dict[str, Any]:
    """Everything about a card, for its dialog."""
    facts = card.facts
    return {
        **card_object(card, naming),
        "description": facts.description,
        "path": str(card.entry.path),
        "alias": facts.alias,
        "title_text": facts.title,
        "author": facts.author,
        "base_model": facts.base_model,
        "tags": list(facts.tags),
        "vectors": facts.vectors or None,
        "source": facts.source,
        "licence_from": facts.licence_from,
        "sha256": index.sha256_of(card),
        "created": card.entry.created,
        "user": facts.user.to_json(),
        "defaults": defaults_of(card),
        "metadata": file_metadata(card),
        "own_preview": preview_file(card).is_file(),
    }


def defaults_of(card: Card) -> dict[str, Any]:
    """Request fields that a checkpoint suggests, those that ship with it included."""
    if card.checkpoint is None:
        return {}
    return read_sidecar_leniently(card.entry.path).default_parameters


def file_metadata(card: Card) -> dict[str, str]:
    """The texts inside a safetensors file, cut to a length, without pictures and tag tables."""
    path = card.entry.path
    if path.suffix.lower() != ".safetensors" or not path.is_file():
        return {}
    try:
        metadata = safetensors_header(path).metadata
    except ModelFileError:
        return {}
    left_out = ("ssmd_cover_images", "modelspec.thumbnail", "ss_tag_frequency")
    kept = [(key, value) for key, value in sorted(metadata.items()) if key not in left_out]
    return {clean(key, 100): clean(value, MAX_VALUE) for key, value in kept[:MAX_METADATA]}
