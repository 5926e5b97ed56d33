"""What tells later that a job's pictures were generated: the mark in the pixels, the signature."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from modules.gallery.credentials import CredentialWriter, Making
from modules.gallery.errors import GalleryError
from modules.gallery.image_info import open_image
from modules.imaging.watermark import DEFAULT_METHOD, DEFAULT_TEXT, embed, find_mark
from modules.jobs.records import JobRecord
from modules.requests import events
from modules.settings.paths import Paths

log = logging.getLogger("easel.jobs")

NOT_PICTURES = ("mask",)
"""Roles of what is handed over beside the pictures and shows nothing."""


def watermarked(image: Image.Image, record: JobRecord, event: events.ImageDone) -> Image.Image:
    """The picture with the mark of the settings, where they want it and it is large enough.

    Extras' pictures are not all generated: they are marked where what they were made from was.
    """
    options = record.prepared["options"]
    if not options.get("watermark_enabled") or event.role in NOT_PICTURES:
        return image
    if record.kind == "extras" and not _was_marked(record, event, options):
        return image
    return _embedded(image, options)


def watermarked_sheet(sheet: Image.Image, options: Mapping[str, Any]) -> Image.Image:
    """The contact sheet of marked pictures: theirs do not survive being put together."""
    return _embedded(sheet, options) if options.get("watermark_enabled") else sheet


def credentials(
    record: JobRecord,
    facts: Mapping[str, Any],
    paths: Paths,
    version: str,
    *,
    role: str = "image",
    index: int = 0,
) -> CredentialWriter | None:
    """Signs a picture's file; None where the settings do not want it."""
    options = record.prepared["options"]
    if not options.get("content_credentials") or role in NOT_PICTURES:
        return None
    source = _source(record, facts, index)
    return CredentialWriter(paths, Making.of_job(record.kind, facts, options, version, source))


def _embedded(image: Image.Image, options: Mapping[str, Any]) -> Image.Image:
    text = str(options.get("watermark_text") or DEFAULT_TEXT)
    method = str(options.get("watermark_method") or DEFAULT_METHOD)
    try:
        return embed(image, text, method) or image
    except ValueError as error:  # a text of another version's settings
        log.warning("no watermark: %s", error)
        return image


def _was_marked(record: JobRecord, event: events.ImageDone, options: Mapping[str, Any]) -> bool:
    data = _source(record, event.facts, event.index)
    if data is None:
        return False
    texts = (str(options.get("watermark_text")), DEFAULT_TEXT)
    with contextlib.suppress(GalleryError):
        return find_mark(open_image(data), texts) is not None
    return False


def _source(record: JobRecord, facts: Mapping[str, Any], index: int) -> bytes | None:
    """The file that a picture was made from."""
    prepared = record.prepared
    refs = prepared["request"].get("init_images") or []
    ref = facts.get("input") if record.kind == "extras" else None
    if ref is None and refs and record.kind == "img2img":
        ref = refs[index % len(refs)]
    path = (prepared.get("inputs") or {}).get(ref)
    if path is None:
        return None
    try:
        return Path(path).read_bytes()
    except OSError as error:
        log.warning("job %s: the picture it began with cannot be read: %s", record.id, error)
        return None
