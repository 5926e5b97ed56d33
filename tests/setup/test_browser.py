"""Where the browser tests' browser comes from."""

from __future__ import annotations

from modules.setup import browser


def test_the_browser_named_in_the_environment_wins(tmp_path):
    named = tmp_path / "my-chromium"
    named.write_text("")
    assert browser.installed({browser.VARIABLE: str(named), "PATH": ""}) == str(named)


def test_a_named_browser_that_is_not_there_is_not_replaced(tmp_path):
    chromium = tmp_path / "chromium"
    chromium.write_text("#!/bin/sh\n")
    chromium.chmod(0o755)
    asked = {browser.VARIABLE: str(tmp_path / "gone"), "PATH": str(tmp_path)}
    assert browser.installed(asked) is None


def test_an_installed_chromium_is_found_on_the_path(tmp_path):
    chromium = tmp_path / "chromium"
    chromium.write_text("#!/bin/sh\n")
    chromium.chmod(0o755)
    assert browser.installed({"PATH": str(tmp_path)}) == str(chromium)


def test_chrome_is_taken_when_there_is_no_chromium(tmp_path):
    chrome = tmp_path / "google-chrome-stable"
    chrome.write_text("#!/bin/sh\n")
    chrome.chmod(0o755)
    assert browser.installed({"PATH": str(tmp_path)}) == str(chrome)


def test_the_line_about_a_missing_browser_is_loud_and_single():
    assert browser.NOTHING_FOUND.startswith("NO BROWSER")
    assert "\n" not in browser.NOTHING_FOUND
