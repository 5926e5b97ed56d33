"""Which models made which pictures: one row a model and picture, kept when jobs are forgotten."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from modules.gallery.infotext import parse
from modules.jobs.records import ImageRecord

SCHEMA = """
CREATE TABLE IF NOT EXISTS model_uses (
    image TEXT NOT NULL, job TEXT NOT NULL, idx INTEGER NOT NULL, kind TEXT NOT NULL,
    name TEXT NOT NULL, hash TEXT NOT NULL, path TEXT NOT NULL, created REAL NOT NULL,
    PRIMARY KEY (image, kind, name)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS uses_by_model ON model_uses (kind, name);
CREATE INDEX IF NOT EXISTS uses_by_created ON model_uses (created);
"""
KEPT = 400_000
"""Rows; the oldest go."""
_NETWORK = re.compile(r"<hypernet:([^:>]{1,200})")
_TITLE = re.compile(r"^(.*?)(?: \[([0-9a-fA-F]{6,64})\])?$")
_LISTS = {"Lora hashes": "lora", "TI hashes": "embedding", "TI": "embedding"}
_TITLES = {"Refiner": "checkpoint", "Hires checkpoint": "checkpoint"}
_NAMES = {
    "Hires upscaler": "upscaler",
    "Postprocess upscaler": "upscaler",
    "Postprocess upscaler 2": "upscaler",
    "Face restoration": "restorer",
}
_LATENT = "Latent"


@dataclass(frozen=True)
class Use:
    """One model in one picture."""

    kind: str
    """"checkpoint", "vae", "lora", "embedding", "hypernetwork", "upscaler" or "restorer"."""
    name: str
    hash: str = ""
    """Short hash as the picture's parameters have it, or empty."""


@dataclass(frozen=True)
class UseCount:
    """How often a model was used."""

    kind: str
    name: str
    hash: str
    count: int
    first: float
    last: float


@dataclass(frozen=True)
class UsingImage:
    """A picture that a model was used for."""

    image: str
    path: str
    created: float


def uses_of(image: ImageRecord) -> list[Use]:
    """The models that a picture's facts and parameters name."""
    if image.kind != "image":
        return []
    parsed = parse(image.infotext)
    found = [*_main(image.facts, parsed.parameters), *_others(parsed.parameters)]
    # A LoRA in the prompt may have been left out; those that worked are named with their hashes.
    found += [Use("hypernetwork", name.strip()) for name in _NETWORK.findall(parsed.prompt)]
    unique: dict[tuple[str, str], Use] = {}
    for use in found:
        known = unique.get((use.kind, use.name))
        if use.name and (known is None or not known.hash):
            unique[use.kind, use.name] = use
    return list(unique.values())


def record(connection: sqlite3.Connection, image: ImageRecord) -> None:
    """Put a picture's uses on record, inside the caller's transaction."""
    place = (image.job, image.index)
    connection.execute("DELETE FROM model_uses WHERE job = ? AND idx = ?", place)
    connection.executemany(
        "INSERT OR REPLACE INTO model_uses VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (image.id, *place, use.kind, use.name, use.hash, image.path, image.created)
            for use in uses_of(image)
        ],
    )


def trim(connection: sqlite3.Connection) -> None:
    """Forget the oldest rows beyond `KEPT`."""
    connection.execute(
        "DELETE FROM model_uses WHERE created < "
        "(SELECT created FROM model_uses ORDER BY created DESC LIMIT 1 OFFSET ?)",
        (KEPT,),
    )


def is_empty(connection: sqlite3.Connection) -> bool:
    """Whether nothing is on record yet."""
    return connection.execute("SELECT 1 FROM model_uses LIMIT 1").fetchone() is None


def counts(connection: sqlite3.Connection) -> list[UseCount]:
    """Every model that was used, with how often and when."""
    rows = connection.execute(
        "SELECT kind, name, MAX(hash), COUNT(*), MIN(created), MAX(created) "
        "FROM model_uses GROUP BY kind, name"
    )
    return [UseCount(*row) for row in rows]


def images(
    connection: sqlite3.Connection, kind: str, names: Iterable[str], limit: int, offset: int
) -> list[UsingImage]:
    """Pictures that a model of one of these names was used for, the newest first."""
    listed = list(names)
    marks = ", ".join("?" * len(listed))
    rows = connection.execute(
        f"SELECT image, path, created FROM model_uses WHERE kind = ? AND name IN ({marks}) "
        "ORDER BY created DESC LIMIT ? OFFSET ?",
        (kind, *listed, limit, offset),
    )
    return [UsingImage(*row) for row in rows]


def _main(facts: dict[str, Any], parameters: dict[str, str]) -> Iterator[Use]:
    name = facts.get("model_name") or parameters.get("Model")
    if name:
        digest = facts.get("model_hash") or parameters.get("Model hash")
        yield Use("checkpoint", str(name), str(digest or ""))
    vae = facts.get("vae_name") or parameters.get("VAE")
    if vae:
        yield Use("vae", str(vae), str(facts.get("vae_hash") or parameters.get("VAE hash") or ""))


def _others(parameters: dict[str, str]) -> Iterator[Use]:
    for key, kind in _LISTS.items():
        for entry in parameters.get(key, "").split(","):
            name, _, digest = entry.rpartition(":") if ":" in entry else (entry, "", "")
            yield Use(kind, name.strip(), digest.strip())
    for key, kind in _TITLES.items():
        found = _TITLE.match(parameters.get(key, ""))
        if found:
            yield Use(kind, found[1].strip(), found[2] or "")
    if parameters.get("Hypernet"):
        yield Use("hypernetwork", parameters["Hypernet"], parameters.get("Hypernet hash", ""))
    for key, kind in _NAMES.items():
        name = parameters.get(key, "")
        if not name.startswith(_LATENT) and name not in ("None", "Lanczos", "Nearest"):
            yield Use(kind, name)
