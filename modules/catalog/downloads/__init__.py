"""Downloads: from a page's address to a checked file in the right folder."""

from __future__ import annotations

from modules.catalog.downloads.kinds import KINDS, DownloadKind, find_kind
from modules.catalog.downloads.manager import Download, DownloadManager, DownloadOrder
from modules.catalog.downloads.sources import Choice, Source, resolve
from modules.catalog.downloads.tokens import TokenStore

__all__ = [
    "KINDS",
    "Choice",
    "Download",
    "DownloadKind",
    "DownloadManager",
    "DownloadOrder",
    "Source",
    "TokenStore",
    "find_kind",
    "resolve",
]
