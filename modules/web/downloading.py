"""The running program's downloads: who hears of them, and what follows when a file is there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modules.catalog.downloads import DownloadManager
from modules.web.rest.models import refresh_catalog

if TYPE_CHECKING:
    from modules.web.context import AppContext


def build_downloads(context: AppContext) -> DownloadManager:
    """The manager of this program's downloads."""

    def tell() -> None:
        context.jobs.fanout.publish(downloads_message(manager))

    manager = DownloadManager(
        context.paths,
        context.catalog.hashes,
        allow_private=lambda: bool(context.options.get("download_private_addresses")),
        tell=tell,
        arrived=lambda path: refresh_catalog(context),
        damaged=context.notices.damaged,
    )
    return manager


def downloads_message(manager: DownloadManager) -> dict[str, Any]:
    """The list as pages hear it."""
    return {"type": "downloads", "downloads": [one.to_json() for one in manager.list()]}
