"""Find a Chromium for the browser tests."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

VARIABLE = "EASEL_CHROMIUM"
NAMES = (
    "chromium",
    "chromium-browser",
    "google-chrome-stable",
    "google-chrome",
    "chrome",
    "msedge",
)
USUAL_PLACES = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    r"C:\Program Files\Google\Chrome\Application\chrome.exe",
    r"C:\Program Files (x86)\Google\Chrome\Application\chrome.exe",
    r"C:\Program Files (x86)\Microsoft\Edge\Application\msedge.exe",
)
NOTHING_FOUND = (
    "NO BROWSER: the browser tests are skipped; install Chromium or Chrome, or name one in "
    f"{VARIABLE}, to run them."
)


def installed(environment: Mapping[str, str] = os.environ) -> str | None:
    """A Chromium or Chrome that is there already; the one named in EASEL_CHROMIUM wins."""
    named = environment.get(VARIABLE)
    if named:
        return named if Path(named).is_file() else None
    search = environment.get("PATH")
    for name in NAMES:
        if found := shutil.which(name, path=search):
            return found
    return next((place for place in USUAL_PLACES if Path(place).is_file()), None)


def provide(python: Path) -> str | None:
    """A browser for the tests: installed, else Debian's when allowed, else Playwright's, else None.

    ``python`` is the environment's interpreter, which has Playwright.
    """
    if (found := installed()) or os.environ.get(VARIABLE):
        return found
    if may_use_apt():
        sys.stdout.write("Installing Debian's chromium for the browser tests…\n")
        sys.stdout.flush()
        variables = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for arguments in (
            ["apt-get", "update", "-qq"],
            ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium"],
        ):
            _quietly(arguments, variables, limit=900)
        if found := installed():
            return found
    return _playwrights(python)


def may_use_apt() -> bool:
    """Whether Debian's packages can be installed without asking anyone."""
    is_root = hasattr(os, "geteuid") and os.geteuid() == 0
    return is_root and shutil.which("apt-get") is not None


def _playwrights(python: Path) -> str | None:
    _quietly([str(python), "-m", "playwright", "install", "chromium"], dict(os.environ), limit=300)
    question = (
        "from playwright.sync_api import sync_playwright\n"
        "import sys\n"
        "with sync_playwright() as p: sys.stdout.write(p.chromium.executable_path)\n"
    )
    try:
        answer = subprocess.run(
            [str(python), "-c", question], capture_output=True, text=True, timeout=60, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout if Path(answer.stdout).is_file() else None


def _quietly(arguments: list[str], variables: dict[str, str], limit: int) -> bool:
    try:
        result = subprocess.run(
            arguments, env=variables, capture_output=True, timeout=limit, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return result.returncode == 0
