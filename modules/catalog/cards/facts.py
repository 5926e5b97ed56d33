"""What is known of one card's file: from its header, from the notes of people and programs.

All of it is text from strangers: cut to a length, free of control characters, never markup.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from modules.catalog.cards.family_guess import (
    BY_VERSION,
    BY_WIDTHS,
    family_of_adapter,
    family_of_words,
)
from modules.catalog.errors import ModelFileError, UnreadableModelError
from modules.catalog.folders import read_json
from modules.catalog.header import Header, open_regular, safetensors_header
from modules.catalog.kinds import is_lora
from modules.catalog.networks import read_embedding_info, read_hypernetwork_info
from modules.catalog.scan import Found
from modules.catalog.sidecar import read_sidecar_leniently
from modules.catalog.user_metadata import UserMetadata, metadata_path

MAX_WORDS = 24
"""Trigger words and training tags that are offered."""
MAX_TEXT = 4000
MAX_README = 16 * 1024
MAX_TAG_JSON = 4 * 1024 * 1024

_TAG = re.compile(r"<[^<>]*>")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]")
_FRONT = re.compile(r"(?m)^(license|license_name|license_link|base_model):[ \t]*(\S[^\n]{0,200})$")


@dataclass(frozen=True)
class CardFacts:
    """What a file and the notes beside it say."""

    alias: str = ""
    """The name that the file gives itself, or empty."""
    family: str = ""
    """Key of a model family, or empty when nothing tells."""
    base_model: str = ""
    title: str = ""
    author: str = ""
    description: str = ""
    words: tuple[str, ...] = ()
    """Trigger words that the file or its page names."""
    tags: tuple[str, ...] = ()
    """The most frequent captions of its training, most frequent first."""
    licence: str = ""
    licence_from: str = ""
    """Where the licence is written: "notes", "file", "civitai", "readme"."""
    source: str = ""
    embedded: bool = False
    """The file carries a preview picture of its own."""
    vectors: int = 0
    problem: str = ""
    user: UserMetadata = field(default_factory=UserMetadata)

    def to_json(self) -> dict[str, Any]:
        """A plain JSON object."""
        return {**asdict(self), "user": self.user.to_json()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> CardFacts:
        """Read it back; keys of other versions are ignored."""
        known = {key: value for key, value in data.items() if key in _FIELDS}
        for key in ("words", "tags"):
            known[key] = tuple(known.get(key) or ())
        user = {key: v for key, v in data.get("user", {}).items() if key in _USER_FIELDS}
        return cls(**known, user=UserMetadata(**user))


_FIELDS = frozenset(entry.name for entry in fields(CardFacts)) - {"user"}
_USER_FIELDS = frozenset(entry.name for entry in fields(UserMetadata))


def read_facts(page: str, path: Path) -> CardFacts:
    """Everything that can be told about a model file or folder; never raises for a bad one."""
    facts = CardFacts()
    if path.is_dir():
        facts = _with_licence_file(_with_readme(facts, path / "README.md"), path)
    else:
        facts = _of_file(facts, page, path)
    if page == "checkpoints":
        facts = _with_sidecar(facts, path)
    beside = path if path.is_dir() else path.with_suffix("")
    facts = _with_civitai(facts, beside.with_name(beside.name + ".civitai.info"))
    facts = _with_text(facts, beside.with_name(beside.name + ".txt"))
    return _with_user(facts, path)


def clean(text: Any, limit: int = MAX_TEXT) -> str:
    """A stranger's text without control characters and of limited length; "" for anything else."""
    if not isinstance(text, str):
        return ""
    readable = _CONTROL.sub(" ", text[: 2 * limit].replace("\r\n", "\n"))
    return readable.encode("utf-8", "replace").decode("utf-8").strip()[:limit]


def plain(markup: Any, limit: int = MAX_TEXT) -> str:
    """The text of a description that is written in HTML."""
    if not isinstance(markup, str):
        return ""
    broken = re.sub(r"(?i)<(?:br|/p|/li|/h\d)\s*/?>", "\n", markup[: 8 * limit])
    text = html.unescape(_TAG.sub("", broken))
    return clean(re.sub(r"\n{3,}", "\n\n", text), limit)


def _of_file(facts: CardFacts, page: str, path: Path) -> CardFacts:
    """What a file of weights, or an embedding in a picture, says of itself."""
    if path.suffix.lower() == ".safetensors":
        facts = _with_header(facts, page, path)
    found = Found(path, path.parent, "file")
    if page == "textual_inversion":
        embedding = read_embedding_info(found)
        family = BY_WIDTHS.get(tuple(sorted(embedding.widths)), "")
        return replace(facts, family=family, vectors=embedding.vectors, problem=embedding.problem)
    if page == "hypernetworks":
        return replace(facts, problem=read_hypernetwork_info(found).problem)
    return facts


def _with_header(facts: CardFacts, page: str, path: Path) -> CardFacts:
    try:
        header = safetensors_header(path)
    except ModelFileError as error:
        return replace(facts, problem=error.sentence)
    metadata = header.metadata
    facts = replace(
        facts,
        alias=clean(metadata.get("ss_output_name"), 200),
        base_model=clean(
            metadata.get("ss_sd_model_name") or metadata.get("modelspec.architecture"), 200
        ),
        title=clean(metadata.get("modelspec.title"), 200),
        author=clean(metadata.get("modelspec.author"), 200),
        description=plain(metadata.get("modelspec.description")),
        words=_words(metadata.get("modelspec.trigger_phrase")),
        tags=_training_tags(metadata.get("ss_tag_frequency", "")),
        licence=clean(metadata.get("modelspec.license") or metadata.get("license"), 200),
        source=_address(metadata.get("modelspec.source") or metadata.get("source")),
        embedded="ssmd_cover_images" in metadata or "modelspec.thumbnail" in metadata,
    )
    facts = replace(facts, licence_from="file" if facts.licence else "")
    return _of_kind(facts, page, header)


def _of_kind(facts: CardFacts, page: str, header: Header) -> CardFacts:
    name = header.path.name
    if page == "lora":
        problem = "" if is_lora(header) else f"{name}: is not a LoRA of a known kind"
        return replace(facts, family=family_of_adapter(header), problem=problem)
    return facts


def _with_civitai(facts: CardFacts, path: Path) -> CardFacts:
    """The notes that helper programs keep as the answer of CivitAI's API."""
    try:
        content = read_json(path, path)
    except UnreadableModelError:
        return facts
    model = content.get("model")
    model = model if isinstance(model, dict) else {}
    number = content.get("modelId")
    licence = facts.licence or _permissions(model if "allowCommercialUse" in model else content)
    source = f"https://civitai.com/models/{number}" if isinstance(number, int) else ""
    return replace(
        facts,
        title=facts.title or clean(model.get("name"), 200),
        base_model=facts.base_model or clean(content.get("baseModel"), 200),
        family=facts.family or family_of_words(clean(content.get("baseModel"), 200)),
        words=facts.words or _words(content.get("trainedWords")),
        description=facts.description
        or plain(model.get("description") or content.get("description")),
        licence=licence,
        licence_from=facts.licence_from or ("civitai" if licence else ""),
        source=facts.source or source,
    )


def _permissions(content: Mapping[str, Any]) -> str:
    """CivitAI's four permissions in words."""
    if "allowCommercialUse" not in content:
        return ""
    commercial = content["allowCommercialUse"]
    uses = commercial if isinstance(commercial, list) else [commercial]
    names = [clean(use, 40) for use in uses if isinstance(use, str) and use != "None"]
    parts = [f"commercial use: {', '.join(names) if names else 'no'}"]
    parts.append(f"credit: {'optional' if content.get('allowNoCredit') is True else 'needed'}")
    parts.append(f"derivatives: {'no' if content.get('allowDerivatives') is False else 'yes'}")
    return f"CivitAI permissions ({'; '.join(parts)})"


def _with_text(facts: CardFacts, path: Path) -> CardFacts:
    """A1111's older `<name>.txt`: the description alone."""
    if facts.description:
        return facts
    return replace(facts, description=clean(_read_start(path, 2 * MAX_TEXT)))


def _with_readme(facts: CardFacts, path: Path) -> CardFacts:
    """The front matter of a model card."""
    text = _read_start(path, MAX_README)
    if not text.startswith("---"):
        return facts
    front = text.split("\n---", 1)[0]
    found = {key: value.strip().strip("'\"") for key, value in _FRONT.findall(front)}
    licence = found.get("license_name") if found.get("license") == "other" else None
    licence = clean(licence or found.get("license"), 200)
    return replace(
        facts,
        licence=licence,
        licence_from="readme" if licence else "",
        base_model=clean(found.get("base_model"), 200),
    )


def _with_licence_file(facts: CardFacts, folder: Path) -> CardFacts:
    """The first line of a licence's text, when no model card names it."""
    if facts.licence:
        return facts
    for name in ("LICENSE", "LICENSE.txt", "LICENSE.md"):
        lines = [line.strip(" #") for line in _read_start(folder / name, 2000).splitlines()]
        first = next((line for line in lines if line), "")
        if first:
            return replace(facts, licence=clean(first, 120), licence_from="file")
    return facts


def _with_sidecar(facts: CardFacts, path: Path) -> CardFacts:
    """What ships with a model: `easel.json`, or `<name>.easel.json`."""
    sidecar = read_sidecar_leniently(path)
    return replace(facts, description=clean(sidecar.description) or facts.description)


def _with_user(facts: CardFacts, path: Path) -> CardFacts:
    """What a person wrote wins over everything else."""
    file = metadata_path(path)
    try:
        user = UserMetadata.from_json(read_json(file, file))
    except UnreadableModelError:
        return facts
    return replace(
        facts,
        user=user,
        family=BY_VERSION.get(user.sd_version, facts.family),
        description=user.description or facts.description,
        licence=user.licence or facts.licence,
        licence_from="notes" if user.licence else facts.licence_from,
        source=_address(user.source) or facts.source,
    )


def _read_start(path: Path, limit: int) -> str:
    try:
        with open_regular(path) as stream:
            return (stream.read(limit) or b"").decode("utf-8-sig", "replace")
    except (OSError, UnreadableModelError):
        return ""


def _address(text: Any) -> str:
    """A web address; anything else, such as `javascript:`, counts as none."""
    found = clean(text, 500)
    return found if re.match(r"https?://[^\s]+$", found) else ""


def _words(given: Any) -> tuple[str, ...]:
    entries = given.split("\n") if isinstance(given, str) else given
    if not isinstance(entries, list):
        return ()
    found = [clean(entry, 300).strip(" ,") for entry in entries[:MAX_WORDS]]
    return tuple(dict.fromkeys(word for word in found if word))


def _training_tags(text: str) -> tuple[str, ...]:
    """The most frequent tags over all folders of a training set."""
    if not text or len(text) > MAX_TAG_JSON:
        return ()
    try:
        folders = json.loads(text)
    except (ValueError, RecursionError):
        return ()
    counts: dict[str, float] = {}
    for tags in folders.values() if isinstance(folders, dict) else ():
        for tag, count in tags.items() if isinstance(tags, dict) else ():
            if isinstance(count, (int, float)) and not isinstance(count, bool):
                counts[tag] = counts.get(tag, 0) + count
    best = sorted(counts, key=lambda tag: (-counts[tag], tag))[:MAX_WORDS]
    return tuple(word for word in (clean(tag, 200) for tag in best) if word)
