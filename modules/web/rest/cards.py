"""``/easel/v1/cards``: model files as cards, in parts, searched, with notes and previews."""

from __future__ import annotations

import asyncio
from typing import Any, Literal

from fastapi import APIRouter, HTTPException, Query
from fastapi.responses import Response
from pydantic import BaseModel

from modules.catalog.cards.card import Card
from modules.catalog.cards.naming import Naming
from modules.catalog.cards.pages import PAGES, Page, find_page
from modules.catalog.cards.query import CardQuery, select
from modules.gallery import ImageReadError
from modules.requests.errors import RequestError
from modules.requests.generation import Name
from modules.web.context import AppContext
from modules.web.files.previews import Previews, drop_preview, keep_preview
from modules.web.files.reading import PictureGone, read_picture
from modules.web.files.routes import FOREVER, IMAGE_ID
from modules.web.rest.answers import SafeJSON
from modules.web.rest.card_objects import card_details, card_object, family_label
from modules.web.rest.models import refresh_catalog

MAX_LIMIT = 200
CURRENT = "current"
"""As a family: that of the chosen checkpoint."""


class ChangesBody(BaseModel):
    """Fields of a card's notes that change; see ``modules.catalog.user_metadata``."""

    changes: dict[str, Any]


class PictureBody(BaseModel):
    """A picture of the gallery."""

    image_id: Name


def card_router(context: AppContext) -> APIRouter:
    """Listing, reading and noting."""
    router = APIRouter(prefix="/easel/v1/cards", tags=["cards"])
    index = context.catalog.cards
    previews = Previews(context.paths.cache / "card-previews")

    @router.get("")
    async def pages() -> Response:
        """The pages and their folders."""
        return SafeJSON(await asyncio.to_thread(pages_object, context))

    @router.post("/refresh")
    async def refresh() -> Response:
        """Look for new files and read what is not known of them."""
        await asyncio.to_thread(refresh_catalog, context)
        return SafeJSON(await asyncio.to_thread(pages_object, context))

    @router.get("/{page}")
    async def cards(
        page: str,
        search: str = Query("", max_length=400),
        folder: str = Query("", max_length=1000),
        sort: Literal["path", "name", "created", "modified"] = "path",
        order: Literal["asc", "desc"] = "asc",
        family: str = Query("", max_length=40),
        offset: int = Query(0, ge=0, le=10**7),
        limit: int = Query(60, ge=1, le=MAX_LIMIT),
    ) -> Response:
        """A part of a page's cards. ``family`` "current" hides those of other model families."""
        query = CardQuery(search, folder, sort, order == "desc", family, True, offset, limit)
        return SafeJSON(await asyncio.to_thread(cards_object, context, find_page(page), query))

    @router.get("/{page}/card")
    async def card(page: str, name: Name) -> Response:
        """Everything about one card."""
        return SafeJSON(await asyncio.to_thread(_details, find_page(page), name))

    @router.put("/{page}/card")
    async def change(page: str, name: Name, body: ChangesBody) -> Response:
        """Store notes beside the model, in A1111's form; other programs' keys stay."""
        return SafeJSON(await asyncio.to_thread(_change, find_page(page), name, body.changes))

    @router.post("/{page}/hash")
    async def compute_hash(page: str, name: Name) -> Response:
        """Compute the hash of one card's file; large files take their time."""
        return SafeJSON(await asyncio.to_thread(_hash, find_page(page), name))

    @router.get("/{page}/preview")
    async def preview(page: str, name: Name, size: int = Query(320, ge=64, le=1024)) -> Response:
        """A card's preview as a WebP made from its pixels."""
        found = await asyncio.to_thread(index.find, find_page(page), name)
        data = await asyncio.to_thread(previews.small, found, size)
        if data is None:
            raise HTTPException(404, "There is no preview.")
        return Response(data, media_type="image/webp", headers={"Cache-Control": FOREVER})

    @router.put("/{page}/preview")
    async def set_preview(page: str, name: Name, body: PictureBody) -> Response:
        """Make a finished picture the preview of a card."""
        return SafeJSON(await asyncio.to_thread(_keep, find_page(page), name, body.image_id))

    @router.delete("/{page}/preview")
    async def delete_preview(page: str, name: Name) -> Response:
        """Delete a preview that was set here; the user's other pictures stay."""
        return SafeJSON(await asyncio.to_thread(_drop, find_page(page), name))

    def _details(page: Page, name: str) -> dict[str, Any]:
        return card_details(index, index.find(page, name), naming_of(context, page))

    def _hash(page: Page, name: str) -> dict[str, Any]:
        found = index.find(page, name)
        try:
            if found.checkpoint is not None:
                context.catalog.with_hash(found.checkpoint)
            else:
                context.catalog.hashes.sha256(found.entry.path)
        except OSError as error:
            raise HTTPException(500, f"The file cannot be read: {error.strerror}.") from None
        return _told_everyone(page, index.find(page, name))

    def _change(page: Page, name: str, changes: dict[str, Any]) -> dict[str, Any]:
        try:
            changed = index.change(page, name, changes)
        except OSError as error:
            raise not_written(page, error) from None
        return _told_everyone(page, changed)

    def _keep(page: Page, name: str, image_id: str) -> dict[str, Any]:
        record = context.jobs.store.image(image_id) if IMAGE_ID.fullmatch(image_id) else None
        if record is None:
            raise HTTPException(404, "There is no such image.")
        found = index.find(page, name)
        try:
            keep_preview(found, read_picture(context, record)[0], record.infotext)
        except PictureGone as error:
            raise HTTPException(404, str(error)) from None
        except ImageReadError as error:
            raise RequestError("image_id", image_id, error.sentence) from None
        except OSError as error:
            raise not_written(page, error) from None
        return _told_everyone(page, index.look_again(page, found.entry.name))

    def _drop(page: Page, name: str) -> dict[str, Any]:
        found = index.find(page, name)
        try:
            drop_preview(found)
        except OSError as error:
            raise not_written(page, error) from None
        return _told_everyone(page, index.look_again(page, found.entry.name))

    def _told_everyone(page: Page, changed: Card) -> dict[str, Any]:
        context.jobs.fanout.publish({"type": "cards", "page": page.key})
        return card_details(index, changed, naming_of(context, page))

    return router


def naming_of(context: AppContext, page: Page) -> Naming:
    """How cards of a page are called in prompts, with today's files and settings."""
    return Naming.of(context.catalog.cards.view(page), context.options.as_dict())


def pages_object(context: AppContext) -> dict[str, Any]:
    """The pages, and how the settings wish their cards to be shown."""
    options = context.options.as_dict()
    order = str(options.get("ui_extra_networks_tab_reorder") or "").split(",")
    return {
        "pages": [page_object(context, page) for page in PAGES],
        "view": {
            "order_field": options.get("extra_networks_card_order_field"),
            "order": options.get("extra_networks_card_order"),
            "width": options.get("extra_networks_card_width"),
            "height": options.get("extra_networks_card_height"),
            "scale": options.get("extra_networks_card_text_scale"),
            "show_desc": options.get("extra_networks_card_show_desc"),
            "style": options.get("extra_networks_tree_view_style"),
            "folders": options.get("extra_networks_tree_view_default_enabled"),
            "tree_width": options.get("extra_networks_tree_view_default_width"),
            "separator": options.get("extra_networks_add_text_separator") or " ",
            "tab_order": [name.strip() for name in order if name.strip()],
        },
    }


def page_object(context: AppContext, page: Page) -> dict[str, Any]:
    """A page: its name, its folders, how many cards it has."""
    return {
        "key": page.key,
        "title": page.title,
        "folders": [str(root) for root in page.roots(context.paths)],
        "count": len(context.catalog.cards.cards(page)),
    }


def cards_object(context: AppContext, page: Page, query: CardQuery) -> dict[str, Any]:
    """The answer to a query, with folders and families for the page's controls."""
    index, current = context.catalog.cards, current_family(context)
    index.told(page, [card for card in index.cards(page) if not card.known])
    view = index.view(page)
    if query.family == CURRENT:
        query = for_current(query, context, current)
    found = select(view, query)
    naming = Naming.of(view, context.options.as_dict())
    told = index.told(page, found.cards)
    start_reading(context)
    return {
        "page": page.key,
        "current": current_title(context),
        "total": found.total,
        "matched": found.matched,
        "offset": query.offset,
        "hidden": found.hidden,
        "families": [
            {"key": key, "label": family_label(key), "count": count}
            for key, count in sorted(found.families.items())
        ],
        "current_family": current,
        "current_label": family_label(current),
        "folders": view.folders,
        "roots": [str(root) for root in page.roots(context.paths)],
        "reading": index.unread,
        "cards": [card_object(card, naming) for card in told],
    }


def for_current(query: CardQuery, context: AppContext, family: str) -> CardQuery:
    """The query with the chosen checkpoint's family, as A1111's two settings of LoRAs say."""
    options = context.options.as_dict()
    if not family or options.get("lora_show_all"):
        return CardQuery(**{**vars(query), "family": ""})
    hidden = {str(name).lower() for name in options.get("lora_hide_unknown_for_versions") or ()}
    return CardQuery(**{**vars(query), "family": family, "unknown_too": family not in hidden})


def current_family(context: AppContext) -> str:
    """Key of the chosen checkpoint's family; empty without one."""
    info = context.catalog.default_checkpoint()
    return (info.family or "") if info is not None else ""


def current_title(context: AppContext) -> str | None:
    """Title of the chosen checkpoint."""
    info = context.catalog.default_checkpoint()
    return info.title if info is not None else None


def start_reading(context: AppContext) -> None:
    """Have the rest of the files read in the background; pages hear when there is more to show."""
    publish = context.jobs.fanout.publish
    context.catalog.cards.read_in_background(lambda: publish({"type": "cards", "page": None}))


def not_written(page: Page, error: OSError) -> HTTPException:
    """What to answer when the disk refuses."""
    reason = error.strerror or "the system refuses"
    return HTTPException(500, f"The notes could not be written beside the model: {reason}.")
