"""Why a picture that was made again differs: what is written down of both, compared."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from modules.gallery import parse_any
from modules.gallery.infotext import ParsedInfotext

SENTENCES = {
    "size": "The picture is {then} pixels large, the new one {now}: it was resized or cut.",
    "changed": "The file was changed after it was made.",
    "checkpoint": "Another checkpoint: {then} made it, {now} was used now.",
    "vae": "Another VAE: {then} then, {now} now.",
    "lora": "Another LoRA file {name}: {then} then, {now} now.",
    "embedding": "Another embedding file {name}: {then} then, {now} now.",
    "prompt": "Another prompt.",
    "negative_prompt": "Another negative prompt.",
    "setting": "{name}: {then} then, {now} now.",
    "memory": "Memory ran short once ({name}): {then} then, {now} now.",
    "program": "Another version of the program: {then} then, {now} now.",
    "library": "Another version of {name}: {then} then, {now} now.",
    "device": "Another device: {then} then, {now} now.",
    "threads": "Another number of threads: {then} then, {now} now.",
    "lossy": "{then} files do not keep every pixel as it was drawn.",
    "obstacle": "{name}",
    "unknown": "Nothing that is written down differs. What is left is not: another device, another "
    "version of torch, or another number of threads.",
}
"""By kind, the likeliest first."""
UNKNOWN = "unknown"
NONE = "none"

_HASH_LISTS = {"Lora hashes": "lora", "TI hashes": "embedding"}
_NAMES = {
    "Model hash": "checkpoint",
    "Model": "checkpoint",
    "VAE hash": "vae",
    "VAE": "vae",
    "Version": "program",
}
_MEMORY = ("Memory ladder", "VAE parts", "VAE precision", "UNet precision")
_NOT_A_CAUSE = ("User", "Template", "Negative Template", "Batch size", "Batch pos")
_SHORT = 10
"""Digits of a hash that texts have."""


@dataclass(frozen=True)
class Cause:
    """One thing that was different."""

    kind: str
    """A key of ``SENTENCES``."""
    name: str = ""
    then: str = ""
    now: str = ""

    @property
    def sentence(self) -> str:
        """For people."""
        return SENTENCES[self.kind].format(name=self.name, then=self.then, now=self.now)

    def to_json(self) -> dict[str, str]:
        """For the page and the API."""
        return {**asdict(self), "sentence": self.sentence}


def find_causes(
    then: str,
    now: str,
    versions_then: Mapping[str, str] | None = None,
    versions_now: Mapping[str, str] | None = None,
    *more: Cause,
) -> list[Cause]:
    """What may have made the difference, the likeliest first; never empty.

    Args:
        then, now: the infotexts of both pictures.
        versions_then, versions_now: of what decides about the last bits, where that is known.
        more: what the files themselves tell.
    """
    old, new = parse_any(then), parse_any(now)
    found = [*more, *_in_texts(old, new), *_in_versions(versions_then or {}, versions_now or {})]
    order = list(SENTENCES)
    unique = sorted(dict.fromkeys(found), key=lambda cause: order.index(cause.kind))
    return unique or [Cause(UNKNOWN)]


def _in_texts(old: ParsedInfotext, new: ParsedInfotext) -> Iterator[Cause]:
    if _words(old.prompt) != _words(new.prompt):
        yield Cause("prompt")
    if _words(old.negative) != _words(new.negative):
        yield Cause("negative_prompt")
    told: set[str] = set()
    for key in dict.fromkeys((*old.parameters, *new.parameters)):
        one, other = old.parameters.get(key, NONE), new.parameters.get(key, NONE)
        if one == other or key in _NOT_A_CAUSE:
            continue
        if key in _HASH_LISTS:
            yield from _in_hashes(_HASH_LISTS[key], one, other)
            continue
        kind = _NAMES.get(key) or ("memory" if key in _MEMORY else "setting")
        if key in ("Model", "Model hash", "VAE", "VAE hash"):
            # A renamed file with the same hash is the same file.
            digest = "Model hash" if kind == "checkpoint" else "VAE hash"
            same = old.parameters.get(digest) == new.parameters.get(digest) is not None
            if same or kind in told:
                continue
            told.add(kind)
            one, other = _file(old, kind), _file(new, kind)
            yield Cause(kind, "", one, other)
            continue
        yield Cause(kind, "" if kind == "program" else key, one, other)


def _in_hashes(kind: str, one: str, other: str) -> Iterator[Cause]:
    old, new = _listed(one), _listed(other)
    for name in dict.fromkeys((*old, *new)):
        if old.get(name) != new.get(name):
            yield Cause(kind, name, old.get(name, NONE), new.get(name, NONE))


def _in_versions(old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[Cause]:
    for name in old:
        one, other = str(old[name]), str(new.get(name, ""))
        if not other or one == other or name == "easel":
            continue
        kind = name if name in ("device", "threads") else "library"
        yield Cause(kind, name, one, other)


def _file(parsed: ParsedInfotext, kind: str) -> str:
    name, digest = ("Model", "Model hash") if kind == "checkpoint" else ("VAE", "VAE hash")
    told, hashed = parsed.parameters.get(name), parsed.parameters.get(digest)
    if not told:
        return hashed or NONE
    return f"{told} [{hashed[:_SHORT]}]" if hashed else told


def _listed(text: str) -> dict[str, str]:
    """``name: hash, name: hash`` as a table."""
    pairs = (part.rpartition(":") for part in text.split(",") if ":" in part)
    return {name.strip(): digest.strip() for name, _, digest in pairs}


def _words(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()


def as_json(causes: list[Cause]) -> list[dict[str, Any]]:
    """A list of them."""
    return [cause.to_json() for cause in causes]
