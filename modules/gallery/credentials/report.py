"""Reads the Content Credentials of a picture and says in few words what they are worth."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from modules.gallery.credentials.identity import own_certificate
from modules.gallery.credentials.manifest import AI_TYPES, LABEL
from modules.gallery.credentials.process import CredentialsError, ask
from modules.imaging.kinds import mime_of
from modules.settings.paths import Paths

NONE, INTACT, OWN, BROKEN = "none", "intact", "own", "broken"
"""No credentials; signed by somebody and unchanged; by this installation; changed or damaged."""
_PLACES = threading.BoundedSemaphore(2)
"""Pictures that are looked at at the same time; each takes a process."""
MAX_TEXTS = 50
MAX_TEXT = 300


@dataclass(frozen=True)
class Report:
    """What a picture's credentials say. Every text is the signer's and may be anything."""

    state: str
    """NONE, INTACT, OWN or BROKEN."""
    ai: bool = False
    """They say that it was generated, wholly or in part."""
    generator: str = ""
    signer: str = ""
    """What the certificate calls itself; only OWN was checked."""
    signed: str = ""
    """When, if a timestamp says so."""
    model: str = ""
    model_hash: str = ""
    actions: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    """What it was made from, by the name in the credentials."""
    problems: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """A plain JSON object."""
        found = asdict(self)
        return {key: list(v) if isinstance(v, tuple) else v for key, v in found.items()}


def read_credentials(data: bytes, paths: Paths) -> Report:
    """What the credentials in a picture's file say, and whether they hold.

    Raises:
        CredentialsError: the package that reads them is missing or failed.
    """
    kind = mime_of(data)
    if kind is None or not may_have_credentials(data):
        return Report(NONE)
    parts = {"picture": data, "anchors": own_certificate(paths)}
    try:
        with _PLACES:
            answer, _ = ask("read", parts, type=kind)
    except CredentialsError as error:
        if "not installed" in error.sentence:
            raise
        return Report(BROKEN, problems=(error.sentence,))
    store = answer["store"]
    return Report(NONE) if store is None else _report(store, str(answer["state"]))


def may_have_credentials(data: bytes) -> bool:
    """Whether a file can hold a manifest at all: cheap, and no answer to what it says."""
    return b"c2pa" in data or b"dcterms:provenance" in data


def _report(store: Mapping[str, Any], state: str) -> Report:
    manifests = store.get("manifests") or {}
    manifest = manifests.get(store.get("active_manifest")) or {}
    actions = _actions(manifest)
    told = _assertion(manifest, LABEL)
    # The manifests of what it was made from are in the store too.
    all_actions = (entry for one in manifests.values() for entry in _actions(one))
    types = {str(entry.get("digitalSourceType")) for entry in all_actions}
    signature = manifest.get("signature_info") or {}
    generators = manifest.get("claim_generator_info") or [{}]
    names = [generators[0].get("name"), generators[0].get("version")]
    sources = manifest.get("ingredients") or []
    return Report(
        state={"Trusted": OWN, "Valid": INTACT}.get(state, BROKEN),
        ai=bool(types & set(AI_TYPES)),
        generator=_text(" ".join(str(name) for name in names if name)),
        signer=_text(signature.get("issuer")),
        signed=_text(signature.get("time")),
        model=_text(told.get("model")),
        model_hash=_text(told.get("model_sha256")),
        actions=tuple(_text(entry.get("action")) for entry in actions[:MAX_TEXTS]),
        sources=tuple(_text(entry.get("title")) for entry in sources[:MAX_TEXTS]),
        problems=_problems(store),
    )


def _actions(manifest: Mapping[str, Any]) -> list[dict[str, Any]]:
    for label in ("c2pa.actions.v2", "c2pa.actions"):
        found = _assertion(manifest, label).get("actions")
        if isinstance(found, list):
            return [entry for entry in found if isinstance(entry, dict)]
    return []


def _assertion(manifest: Mapping[str, Any], label: str) -> Mapping[str, Any]:
    for entry in manifest.get("assertions") or []:
        if isinstance(entry, dict) and entry.get("label") == label:
            data = entry.get("data")
            return data if isinstance(data, dict) else {}
    return {}


def _problems(store: Mapping[str, Any]) -> tuple[str, ...]:
    """What does not hold; that nobody vouches for the signer is no damage and is told otherwise."""
    codes = [
        str(entry.get("code"))
        for entry in store.get("validation_status") or []
        if isinstance(entry, dict)
    ]
    kept = [code for code in dict.fromkeys(codes) if code != "signingCredential.untrusted"]
    return tuple(_text(code) for code in kept[:MAX_TEXTS])


def _text(value: Any) -> str:
    text = str(value or "")[:MAX_TEXT]
    return "".join(c if c.isprintable() else " " for c in text)
