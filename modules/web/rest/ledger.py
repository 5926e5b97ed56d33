"""``/easel/v1/ledger``: each model's hash, licence and source, and the pictures it was used for."""

from __future__ import annotations

import asyncio
import csv
import io
from dataclasses import asdict
from datetime import datetime, timezone
from typing import Any

from fastapi import APIRouter, Query
from fastapi.responses import Response

from modules.catalog.hashes import SHORT
from modules.catalog.ledger import KINDS, PAGE_OF, LedgerEntry, entries
from modules.jobs.uses import UseCount
from modules.requests.errors import NotFoundInList
from modules.requests.generation import Name
from modules.web.context import AppContext
from modules.web.rest.answers import SafeJSON
from modules.web.rest.card_objects import family_label
from modules.web.rest.cards import start_reading

MAX_LIMIT = 500
COLUMNS = (
    *("kind", "name", "file", "sha256", "autov2", "family", "licence", "licence_from", "source"),
    *("author", "size", "present", "uses", "first_used", "last_used"),
)


def ledger_router(context: AppContext) -> APIRouter:
    """Reading the ledger."""
    router = APIRouter(prefix="/easel/v1/ledger", tags=["ledger"])

    @router.get("")
    async def ledger(
        search: str = Query("", max_length=400),
        kind: str = Query("", max_length=40),
        only: str = Query("", max_length=40),
        offset: int = Query(0, ge=0, le=10**7),
        limit: int = Query(100, ge=1, le=MAX_LIMIT),
    ) -> Response:
        """A part of the ledger. ``only``: "used", "unlicensed" or nothing."""
        if kind and kind not in KINDS:
            raise NotFoundInList("kind", kind, KINDS)
        return SafeJSON(await asyncio.to_thread(_part, search, kind, only, offset, limit))

    @router.get("/outputs")
    async def outputs(
        kind: str,
        name: Name,
        offset: int = Query(0, ge=0, le=10**7),
        limit: int = Query(60, ge=1, le=200),
    ) -> Response:
        """The pictures that a model was used for, the newest first."""
        if kind not in KINDS:
            raise NotFoundInList("kind", kind, KINDS)
        return SafeJSON(await asyncio.to_thread(_outputs, kind, name, offset, limit))

    @router.get("/file.csv")
    async def as_csv() -> Response:
        """The whole ledger for a spreadsheet."""
        text = await asyncio.to_thread(lambda: csv_of(rows(context, with_hash=True)))
        return _attachment(text.encode("utf-8-sig"), "text/csv", "easel-ledger.csv")

    @router.get("/file.json")
    async def as_json() -> Response:
        """The whole ledger as JSON."""
        found = await asyncio.to_thread(rows, context, True)
        body = SafeJSON({"models": found}).body
        return _attachment(bytes(body), "application/json", "easel-ledger.json")

    @router.post("/hash")
    async def compute() -> Response:
        """Compute the hashes that are missing, in the background."""
        return SafeJSON({"started": await asyncio.to_thread(_compute)})

    @router.post("/hash/stop")
    async def stop() -> Response:
        """Stop computing; what is known stays."""
        await asyncio.to_thread(context.catalog.hasher.stop)
        return SafeJSON({"stopped": True})

    def _part(search: str, kind: str, only: str, offset: int, limit: int) -> dict[str, Any]:
        start_reading(context)
        found = [row for row in rows(context) if matches(row, search, kind, only)]
        part = found[offset : offset + limit]
        for row in part:
            add_hash(context, row)
        return {
            "total": len(found),
            "offset": offset,
            "kinds": list(KINDS),
            "hashing": asdict(context.catalog.hasher.progress),
            "reading": context.catalog.cards.unread,
            "models": [_public(row) for row in part],
        }

    def _outputs(kind: str, name: str, offset: int, limit: int) -> dict[str, Any]:
        known = next(
            (
                entry
                for entry in entries(context.catalog)
                if entry.kind == kind and entry.name == name
            ),
            None,
        )
        names = known.names if known is not None else (name,)
        found = context.jobs.store.images_made_with(kind, names, limit, offset)
        return {"images": [_image(use) for use in found]}

    def _image(use: Any) -> dict[str, Any]:
        there = context.jobs.store.image(use.image) is not None
        return {
            "id": use.image,
            "path": use.path,
            "created": use.created,
            "thumb": f"/image/{use.image}/thumb" if there else None,
            "url": f"/image/{use.image}" if there else None,
        }

    def _compute() -> bool:
        files = [file for entry in entries(context.catalog) for file in entry.hash_files]
        publish = context.jobs.fanout.publish
        return context.catalog.hasher.start(files, lambda: publish({"type": "ledger"}))

    return router


def rows(context: AppContext, with_hash: bool = False) -> list[dict[str, Any]]:
    """The ledger: models that are here, then those that pictures alone remember."""
    uses = _by_name(context.jobs.store.model_uses())
    listed = entries(context.catalog)
    found = [_row(entry, _used(uses, entry)) for entry in listed]
    known = {(entry.kind, name) for entry in listed for name in entry.names}
    gone = [use for key, use in uses.items() if key not in known]
    found += [_gone(use) for use in sorted(gone, key=lambda use: (use.kind, use.name.lower()))]
    if with_hash:
        for row in found:
            add_hash(context, row)
        found = [_public(row) for row in found]
    return found


def matches(row: dict[str, Any], search: str, kind: str, only: str) -> bool:
    """Whether a row is asked for."""
    if kind and row["kind"] != kind:
        return False
    if only == "used" and not row["uses"]:
        return False
    if only == "unlicensed" and row["licence"]:
        return False
    text = " ".join(str(row[key]) for key in ("name", "file", "licence", "source", "author"))
    return all(word in text.lower() for word in search.lower().split()[:20])


def add_hash(context: AppContext, row: dict[str, Any]) -> None:
    """Fill in the hash of a row if it is on record."""
    entry: LedgerEntry | None = row["_entry"]
    if entry is None or row["sha256"]:
        return
    page = PAGE_OF.get(entry.kind)
    if page is not None and entry.card:
        cards = context.catalog.cards
        digest = cards.sha256_of(cards.find(page, entry.card))
    else:
        digest = context.catalog.hashes.known(entry.path) if entry.path is not None else None
    row["sha256"] = digest or ""
    row["autov2"] = (digest or "")[:SHORT]


def csv_of(found: list[dict[str, Any]]) -> str:
    """A table for spreadsheets; nothing in it can become a formula."""
    stream = io.StringIO()
    writer = csv.writer(stream)
    writer.writerow(COLUMNS)
    for row in found:
        writer.writerow([_cell(row[column]) for column in COLUMNS])
    return stream.getvalue()


def _cell(value: Any) -> str:
    text = "" if value is None else str(value)
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


def _row(entry: LedgerEntry, use: UseCount | None) -> dict[str, Any]:
    return {
        "kind": entry.kind,
        "name": entry.name,
        "file": entry.file,
        "sha256": "",
        "autov2": "",
        "family": entry.family,
        "family_label": family_label(entry.family),
        "licence": entry.licence,
        "licence_from": entry.licence_from,
        "source": entry.source,
        "author": entry.author,
        "size": entry.size,
        "present": True,
        "card": entry.card,
        "page": PAGE_OF[entry.kind].key if entry.card else "",
        **_times(use),
        "_entry": entry,
    }


def _gone(use: UseCount) -> dict[str, Any]:
    row = _row(LedgerEntry(use.kind, use.name, "", None), use)
    return {**row, "present": False, "autov2": use.hash, "_entry": None}


def _times(use: UseCount | None) -> dict[str, Any]:
    if use is None:
        return {"uses": 0, "first_used": None, "last_used": None}
    return {"uses": use.count, "first_used": _iso(use.first), "last_used": _iso(use.last)}


def _iso(stamp: float) -> str:
    return datetime.fromtimestamp(stamp, tz=timezone.utc).isoformat(timespec="seconds")


def _by_name(counts: list[UseCount]) -> dict[tuple[str, str], UseCount]:
    return {(use.kind, use.name): use for use in counts}


def _used(uses: dict[tuple[str, str], UseCount], entry: LedgerEntry) -> UseCount | None:
    """The uses of a model under all its names together."""
    found = [uses[entry.kind, name] for name in entry.names if (entry.kind, name) in uses]
    if not found:
        return None
    return UseCount(
        entry.kind,
        entry.name,
        max(use.hash for use in found),
        sum(use.count for use in found),
        min(use.first for use in found),
        max(use.last for use in found),
    )


def _public(row: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key != "_entry"}


def _attachment(body: bytes, mime: str, name: str) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return Response(body, media_type=mime, headers=headers)
