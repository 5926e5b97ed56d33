"""Where an extension may come from: an ``https`` address of a git repository, and its folder."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from modules.requests.errors import RequestError, shorten

ALLOWED = "allowed: the https address of a git repository, as https://github.com/OWNER/NAME"
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?")
_PATH = re.compile(r"/[A-Za-z0-9._~/@+-]+")
_FOLDER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_BRANCH = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,199}")
_RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?")
_LOCAL = ("localhost", ".localhost", ".local", ".internal", ".lan", ".home.arpa")


@dataclass(frozen=True)
class Repository:
    """A checked address."""

    url: str
    host: str
    folder: str
    """Name of the folder below ``extensions``."""
    branch: str = ""
    """Empty: the repository's own."""


def repository(url: str, folder: str = "", branch: str = "") -> Repository:
    """Check what a person typed.

    Raises:
        RequestError: the address, the folder's name or the branch cannot be used.
    """
    text = url.strip()
    if not text.isprintable() or not text.isascii():
        raise _bad(text, "has characters that no address has")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise _bad(text, "is no address") from None
    host = parts.hostname or ""
    if parts.scheme.lower() != "https":
        raise _bad(text, "is not https")
    if parts.username or parts.password or "@" in parts.netloc:
        raise _bad(text, "carries a name or password")
    if parts.query or parts.fragment or port not in (None, 443):
        raise _bad(text, "has a port, a question mark or a number sign")
    if not _HOST.fullmatch(host) or ".." in host or "." not in host:
        raise _bad(text, "names no host on the internet")
    if host.lower().endswith(_LOCAL) or not host.rsplit(".", 1)[1].isalpha():
        raise _bad(text, "points into this machine or its network")
    path = parts.path.rstrip("/")
    if not _PATH.fullmatch(path) or "//" in path or "/../" in f"{path}/" or "/-" in path:
        raise _bad(text, "has a path that no repository has")
    name = folder.strip() or path.rsplit("/", 1)[1].removesuffix(".git")
    return Repository(f"https://{host}{path}", host, folder_name(name), _branch(branch))


def folder_name(name: str) -> str:
    """A name that every system takes for a folder below ``extensions``.

    Raises:
        RequestError: it is none.
    """
    if not _FOLDER.fullmatch(name) or name.endswith(".") or _RESERVED.fullmatch(name):
        raise RequestError(
            "folder",
            shorten(name),
            f"{shorten(name)!r} is no name for a folder; allowed: up to 100 letters, digits, "
            "dots, dashes and underscores, a letter or digit first.",
        )
    return name


def _branch(branch: str) -> str:
    name = branch.strip()
    if name and (not _BRANCH.fullmatch(name) or ".." in name or name.endswith((".lock", "/"))):
        raise RequestError("branch", shorten(name), f"{shorten(name)!r} is no name of a branch.")
    return name


def _bad(url: str, fault: str) -> RequestError:
    shown = shorten(re.sub(r"//[^/@]*@", "//…@", url))  # a password is not repeated
    return RequestError("url", shown, f"{shown!r} {fault}; {ALLOWED}.")
