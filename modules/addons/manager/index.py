"""Lists of extensions: the curated one in ``index.json``, and A1111's format behind an address."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from modules.addons.manager.address import repository
from modules.addons.manager.manager import ExtensionError, Forbidden
from modules.requests.errors import RequestError, shorten

FILE = Path(__file__).with_name("index.json")
MOST_BYTES = 8 * 1024 * 1024
MOST = 5000
WORKS = ("expected", "partly", "no", "unknown")
"""Shall work unchanged, works in part, cannot work, nobody looked."""


class Index:
    """Reads lists."""

    def __init__(
        self,
        forbidden: Callable[[], str] = lambda: "",
        allow_private: Callable[[], bool] = lambda: False,
    ) -> None:
        """``allow_private``: a list may also come from this machine and its network."""
        self._forbidden = forbidden
        self._allow_private = allow_private

    def curated(self) -> list[dict[str, Any]]:
        """The list that comes with Easel."""
        return _entries(json.loads(FILE.read_text(encoding="utf-8"))["extensions"])

    def fetched(self, url: str) -> list[dict[str, Any]]:
        """The list behind an address.

        Raises:
            ExtensionError: it cannot be had.
            RequestError: the address is none, or is not allowed.
        """
        reason = self._forbidden()
        if reason:
            raise Forbidden(reason)
        text = url.strip()
        if not text.lower().startswith("https://"):
            raise RequestError("url", shorten(text), "a list has an https address.")
        body = self._ask(text)
        try:
            data = json.loads(body)
            listed = data["extensions"] if isinstance(data, dict) else data
            return _with_ours(_entries(listed), self.curated())
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise ExtensionError(f"{shorten(text)} is no list of extensions.") from error

    def _ask(self, url: str) -> bytes:
        import httpx

        from modules.catalog.guarded_http import AddressRules, check_address, open_client

        rules = AddressRules(self._allow_private())
        check_address(url, rules)
        body = b""
        try:
            with open_client(rules, 20.0) as client, client.stream("GET", url) as answer:
                if answer.status_code != 200:
                    raise ExtensionError(f"{shorten(url)} answered {answer.status_code}.")
                for block in answer.iter_bytes():
                    body += block
                    if len(body) > MOST_BYTES:
                        raise ExtensionError(f"{shorten(url)} is larger than any list.")
        except httpx.HTTPError as error:
            raise ExtensionError(
                f"{shorten(url)} cannot be reached: this machine is offline, or the site is "
                "blocked here."
            ) from error
        return body


def _entries(listed: Iterable[Any]) -> list[dict[str, Any]]:
    """Entries whose address can be used, as plain short text."""
    found = []
    for entry in list(listed)[:MOST]:
        try:
            url = repository(str(entry["url"])).url
        except (RequestError, TypeError, KeyError, IndexError):
            continue  # an address that could not be installed from anyway
        works = entry.get("works")
        found.append(
            {
                "name": _line(entry.get("name") or url.rsplit("/", 1)[1], 100),
                "url": url,
                "description": _line(entry.get("description"), 600),
                "tags": [_line(tag, 40) for tag in list(entry.get("tags") or ())[:10]],
                "works": works if works in WORKS else "unknown",
                "why": _line(entry.get("why"), 400),
            }
        )
    return found


def _with_ours(found: list[dict[str, Any]], curated: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What another list says of an extension, with what ours knows of how it works here."""
    known = {_key(entry): entry for entry in curated}
    merged = []
    for entry in found:
        ours = known.get(_key(entry), {})
        told = {"works": ours.get("works", "unknown"), "why": ours.get("why", "")}
        merged.append({**entry, **told})
    return merged


def _key(entry: dict[str, Any]) -> str:
    return str(entry["url"]).removesuffix(".git").lower()


def _line(value: Any, most: int) -> str:
    text = "".join(one if one.isprintable() else " " for one in str(value or ""))
    return " ".join(text.split())[:most]
