"""``/sd_extra_networks``: A1111's routes behind its cards. Only files of known cards are served."""

from __future__ import annotations

import asyncio
import html
import json
from pathlib import Path

from fastapi import APIRouter, HTTPException, Query
from fastapi.responses import Response

from modules.catalog.cards.card import Card
from modules.catalog.cards.embedded import embedded_picture
from modules.catalog.cards.pages import PAGES, Page, find_page
from modules.catalog.cards.walk import PREVIEW_TYPES
from modules.requests.errors import NotFoundInList
from modules.web.context import AppContext
from modules.web.files.previews import Previews, read_preview
from modules.web.rest.answers import SafeJSON
from modules.web.rest.card_objects import card_object, file_metadata, preview_url
from modules.web.rest.cards import naming_of

SIZE = 512
MAX_TEXT = 4096


def extra_network_router(context: AppContext) -> APIRouter:
    """Thumbnails, embedded pictures, metadata and single cards."""
    router = APIRouter(prefix="/sd_extra_networks", tags=["cards"])
    previews = Previews(context.paths.cache / "card-previews")

    @router.get("/thumb")
    async def thumb(filename: str = Query("", max_length=MAX_TEXT)) -> Response:
        """A preview picture by its path; only pictures below the model folders, made anew."""
        return picture(await asyncio.to_thread(_thumb, filename))

    @router.get("/cover-images")
    async def cover_images(
        page: str = Query("", max_length=100),
        item: str = Query("", max_length=MAX_TEXT),
        index: int = Query(0, ge=0, le=100),
    ) -> Response:
        """A picture that the file itself carries."""
        return picture(await asyncio.to_thread(_cover, page, item, index))

    @router.get("/metadata")
    async def metadata(
        page: str = Query("", max_length=100), item: str = Query("", max_length=MAX_TEXT)
    ) -> Response:
        """The texts inside a file, as A1111 answers them; an empty object without any."""
        try:
            card = await asyncio.to_thread(_find, page, item)
        except NotFoundInList:
            return SafeJSON({})
        found = await asyncio.to_thread(file_metadata, card)
        return SafeJSON({"metadata": json.dumps(found, indent=4)} if found else {})

    @router.get("/get-single-card")
    async def single_card(
        page: str = Query("", max_length=100),
        tabname: str = Query("", max_length=100),
        name: str = Query("", max_length=MAX_TEXT),
    ) -> Response:
        """One card as A1111's markup, every text in it escaped; and as an object."""
        try:
            card = await asyncio.to_thread(_find, page, name)
        except NotFoundInList:
            return SafeJSON({})
        naming = await asyncio.to_thread(naming_of, context, card.page)
        return SafeJSON({"html": markup(card), "card": card_object(card, naming)})

    def _find(page: str, name: str) -> Card:
        return context.catalog.cards.find(find_page(page), name)

    def _thumb(filename: str) -> bytes | None:
        path = picture_path(context, filename)
        data = read_preview(path) if path is not None else None
        return previews.of_bytes(data, SIZE) if data is not None else None

    def _cover(page: str, item: str, index: int) -> bytes | None:
        try:
            card = _find(page, item)
        except NotFoundInList:
            return None
        data = embedded_picture(card.entry.path, index)
        return previews.of_bytes(data, SIZE) if data else None

    return router


def picture(data: bytes | None) -> Response:
    """A picture, or 404."""
    if data is None:
        raise HTTPException(404, "There is no such picture.")
    return Response(data, media_type="image/webp", headers={"Cache-Control": "private, no-cache"})


def picture_path(context: AppContext, filename: str) -> Path | None:
    """The real path of a picture below the model folders; None for anything else."""
    if not filename or "\x00" in filename:
        return None
    try:
        path = Path(filename).resolve(strict=True)
        roots = [root.resolve() for page in PAGES for root in page.roots(context.paths)]
    except (OSError, RuntimeError, ValueError):
        return None
    inside = any(path.is_relative_to(root) for root in roots)
    return path if inside and path.suffix.lower()[1:] in PREVIEW_TYPES else None


def markup(card: Card) -> str:
    """A1111's card: a div with the name, the description and the preview."""
    page: Page = card.page
    shown = preview_url(card)
    image = f'<img src="{html.escape(shown)}" class="preview" loading="lazy">' if shown else ""
    name = html.escape(card.entry.stem)
    return (
        f'<div class="card" data-name="{html.escape(card.entry.name)}" data-page="{page.key}">'
        f'{image}<div class="actions"><span class="name">{name}</span>'
        f'<span class="description">{html.escape(card.facts.description)}</span></div></div>'
    )
