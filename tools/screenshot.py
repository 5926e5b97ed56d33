"""Make the pictures of the documentation from the real program: `python -m tools.screenshot`.

Starts the server with an empty data folder and the shipped model, paints in the page as a person
would, and saves what the page shows to docs/images. Needs the packages of requirements-dev.txt and
a Chromium (see modules/setup/browser.py).
"""

from __future__ import annotations

import argparse
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

from modules.setup import browser

if TYPE_CHECKING:
    from playwright.sync_api import Page

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / "docs" / "images"
SIZE = {"width": 1440, "height": 900}
START_SECONDS = 300.0
PAINT_MS = 300_000


def main() -> int:
    """Make every picture; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--prompt", default="a red apple on a blue background")
    parser.add_argument("--seed", default="8")
    asked = parser.parse_args()
    chromium = browser.installed()
    if chromium is None:
        sys.stderr.write(browser.NOTHING_FOUND + "\n")
        return 1
    TARGET.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="easel-screenshot-") as data:
        port = _free_port()
        server = _start(port, Path(data))
        try:
            _wait_until_ready(port, server)
            _photograph(f"http://127.0.0.1:{port}/", chromium, asked.prompt, asked.seed)
        finally:
            server.terminate()
            server.wait(30)
    return 0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _start(port: int, data: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, str(ROOT / "webui.py"), "--port", str(port)]
    command += ["--data-dir", str(data), "--no-browser"]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, env=dict(os.environ))


def _wait_until_ready(port: int, server: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        if server.poll() is not None:
            raise SystemExit(f"the server ended with {server.returncode}")
        try:
            url = f"http://127.0.0.1:{port}/internal/ready"
            with urllib.request.urlopen(url, timeout=10) as answer:
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.5)
    raise SystemExit(f"no model was ready within {START_SECONDS:.0f} s")


def _photograph(url: str, chromium: str, prompt: str, seed: str) -> None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        is_root = hasattr(os, "geteuid") and os.geteuid() == 0
        flags = ["--no-sandbox"] if is_root else []  # Chromium refuses its sandbox to root
        program = playwright.chromium.launch(executable_path=chromium, args=flags)
        for name, theme, language in (
            ("txt2img", "dark", "en-US"),
            ("txt2img-light", "light", "en-US"),
            ("txt2img-zh", "dark", "zh-CN"),
        ):
            context = program.new_context(
                viewport=SIZE, locale=language, device_scale_factor=1, bypass_csp=True
            )
            page = context.new_page()
            page.set_default_timeout(PAINT_MS)
            page.goto(f"{url}?__theme={theme}")
            _paint(page, prompt, seed)
            page.screenshot(path=TARGET / f"{name}.png")
            sys.stdout.write(f"{TARGET / name}.png\n")
            context.close()
        program.close()


def _paint(page: Page, prompt: str, seed: str) -> None:
    """Fill the form, press Generate and wait for the finished picture in the gallery."""
    field = page.locator("#txt2img_prompt textarea")
    field.wait_for()
    page.wait_for_load_state("networkidle")
    field.fill(prompt)
    page.locator("#txt2img_seed input").first.fill(seed)
    page.locator("#txt2img_generate").click()
    page.locator("#txt2img_gallery img[src*='/image/']").first.wait_for()
    page.evaluate("window.scrollTo(0, 0)")
    page.wait_for_timeout(1500)  # the last animation and the infotext


if __name__ == "__main__":
    sys.exit(main())
