"""Access tokens of the sites that models come from: kept in a file of their own, never shown."""

from __future__ import annotations

import json
import logging
import os
import re
import threading
from pathlib import Path
from urllib.parse import urlsplit

from modules.requests.errors import NotFoundInList, RequestError
from modules.settings.atomic import write_json
from modules.settings.damage import ANEW, Damage, Told, only_logged, set_aside

log = logging.getLogger("easel.catalog")

SITES = {"huggingface": ("huggingface.co", "HF_TOKEN"), "civitai": ("civitai.com", "CIVITAI_TOKEN")}
"""Key → the site's host and the environment variable that serves when none is kept."""
MAX_LENGTH = 400


class TokenStore:
    """The tokens in `tokens.json`, readable by the owner alone."""

    def __init__(self, file: Path, damaged: Told = only_logged) -> None:
        """`damaged` hears of it when the file cannot be read."""
        self.file = file
        self._damaged = damaged
        self._lock = threading.Lock()

    def known(self) -> dict[str, bool]:
        """Which sites a token is there for; the tokens themselves are never told."""
        return {site: self.get(site) is not None for site in SITES}

    def get(self, site: str) -> str | None:
        """The token of a site."""
        kept = self._read().get(site)
        return kept or os.environ.get(SITES[site][1]) or None

    def headers_for(self, url: str) -> dict[str, str]:
        """What to send with an address: a token goes to its own site alone, and over TLS only."""
        parts = urlsplit(url)
        host = (parts.hostname or "").lower()
        if parts.scheme != "https":
            return {}
        for site, (home, _) in SITES.items():
            if host == home or host.endswith(f".{home}"):
                token = self.get(site)
                return {"Authorization": f"Bearer {token}"} if token else {}
        return {}

    def set(self, site: str, token: str) -> None:
        """Keep a token, or forget it when it is empty.

        Raises:
            NotFoundInList: there is no such site.
            RequestError: it is no token.
            OSError: the file cannot be written.
        """
        if site not in SITES:
            raise NotFoundInList("site", site, list(SITES))
        plain = token.strip()
        if len(plain) > MAX_LENGTH or not re.fullmatch(r"[\x21-\x7e]*", plain):
            raise RequestError("token", "…", "it is no token.")
        with self._lock:
            kept = self._read()
            kept[site] = plain
            known = {key: value for key, value in kept.items() if value}
            write_json(self.file, known, private=True)

    def _read(self) -> dict[str, str]:
        try:
            content = json.loads(self.file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except OSError as error:
            log.warning("%s cannot be read: %s", self.file.name, error)
            return {}
        except (ValueError, RecursionError):
            content = None
        if not isinstance(content, dict):
            aside = set_aside(self.file)
            self._damaged(Damage(self.file.name, aside.name if aside else "", ANEW))
            return {}
        return {key: value for key, value in content.items() if isinstance(value, str)}
