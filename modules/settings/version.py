"""The program's version, as infotexts and the page show it."""

from __future__ import annotations

VERSION = "0.1.0"
