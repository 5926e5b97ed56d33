"""When the page is opened by itself."""

from __future__ import annotations

import io
import sys

import pytest

from modules.settings.flags import parse_flags
from modules.web.serve import _wants_browser


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("flags", "setting", "wanted"),
    [
        ([], "Local", True),
        (["--listen"], "Local", False),
        (["--server-name", "0.0.0.0"], "Local", False),
        (["--listen"], "Remote", True),
        ([], "Disable", False),
        (["--autolaunch"], "Disable", True),
        (["--no-browser"], "Local", False),
        (["--nowebui"], "Local", False),
    ],
)
def test_a_person_at_a_terminal_gets_the_page(monkeypatch, flags, setting, wanted):
    monkeypatch.setattr(sys, "stdout", Terminal())
    assert _wants_browser(parse_flags(flags), setting) is wanted


def test_a_service_without_a_terminal_opens_nothing(monkeypatch):
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    assert not _wants_browser(parse_flags([]), "Local")
