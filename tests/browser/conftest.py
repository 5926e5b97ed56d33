"""One Chromium for all tests; it can reach nothing but our own server."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from PIL import Image, PngImagePlugin
from playwright.sync_api import (
    Browser,
    BrowserContext,
    Page,
    Request,
    expect,
    sync_playwright,
)

if TYPE_CHECKING:
    from tests.conftest import RunningServer

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]
PATIENCE = 180_000
"""Milliseconds that a test waits for the page; machines that run tests are often busy."""

FORGET = """async () => {
  localStorage.clear();
  await new Promise((resolve) => {
    const request = indexedDB.deleteDatabase("easel-canvas");
    request.onsuccess = request.onerror = request.onblocked = resolve;
  });
}"""
"""Makes the next visit a first one."""

Visit = Callable[..., Page]
expect.set_options(timeout=PATIENCE)


@pytest.fixture(scope="session")
def browser(chromium_path: str) -> Iterator[Browser]:
    """The machine's Chromium, without its sandbox: tests run as root in containers."""
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium_path, args=ARGUMENTS)
        yield started
        started.close()


@pytest.fixture(scope="session")
def visitors(browser: Browser) -> Iterator[dict[str, BrowserContext]]:
    """One visitor per language and window size; they keep the scripts in their cache."""
    made: dict[str, BrowserContext] = {}
    yield made
    for visitor in made.values():
        visitor.close()


@pytest.fixture
def visit(
    browser: Browser, visitors: dict[str, BrowserContext], server: RunningServer
) -> Iterator[Visit]:
    """``visit(locale=…, viewport=…)`` opens the page as if for the first time, ready for use.

    When the test ends, no script may have failed and nothing may have tried to leave the machine.
    """
    with visiting(browser, visitors, server) as open_page:
        yield open_page


@pytest.fixture(scope="module")
def shared_page(
    browser: Browser, visitors: dict[str, BrowserContext], server: RunningServer
) -> Iterator[Page]:
    """One page for all tests of a file, which leave it as they like."""
    with visiting(browser, visitors, server) as open_page:
        yield open_page()


@contextmanager
def visiting(
    browser: Browser, visitors: dict[str, BrowserContext], server: RunningServer
) -> Iterator[Visit]:
    """What the fixtures above do."""
    pages: list[Page] = []
    faults: list[str] = []
    outside: list[str] = []

    def watch(request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme not in ("data", "blob") and parts.hostname != "127.0.0.1":
            outside.append(request.url)

    def open_page(**options: Any) -> Page:
        given = {"locale": "en-US", "viewport": {"width": 1360, "height": 860}, **options}
        if str(given) not in visitors:
            # Playwright polls by evaluating text, which the page's policy forbids; that the page
            # itself lives with its policy is what test_policy.py shows.
            visitors[str(given)] = browser.new_context(**given, bypass_csp=True)
        visitor = visitors[str(given)]
        visitor.set_default_timeout(PATIENCE)
        page = visitor.new_page()
        pages.append(page)
        page.on("request", watch)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda line: line.type == "error" and faults.append(line.text))
        page.goto(server.url)
        wait_until_usable(page)
        return page

    yield open_page
    for page in pages:
        page.goto(server.url + "/internal/ping")  # leaving writes the form; then it is forgotten
        page.evaluate(FORGET)
        page.close()
    settle(server)
    assert outside == []
    assert [fault for fault in faults if "status of 4" not in fault] == []


@pytest.fixture
def page(visit: Visit) -> Page:
    """One English visitor's page."""
    return visit()


def wait_until_usable(page: Page) -> None:
    """Return when the form is filled and the live connection stands."""
    page.wait_for_selector("#txt2img_prompt textarea")
    page.wait_for_function(
        "window.Easel?.live?.ready && Object.keys(Easel.form?.values('txt2img') ?? {}).length"
    )


def settle(server: RunningServer) -> None:
    """Leave an empty queue behind, so that tests do not see each other's jobs."""
    server.post("/easel/v1/queue/resume")
    end = time.monotonic() + 60
    while time.monotonic() < end:
        waiting = server.get("/easel/v1/jobs?state=queued,running")["jobs"]
        if not waiting:
            return
        for job in waiting:
            server.post(f"/easel/v1/jobs/{job['id']}/cancel")
        time.sleep(0.3)
    pytest.fail("jobs are still there a minute after they were cancelled")


@pytest.fixture
def fill(page: Page) -> Callable[..., None]:
    """``fill(steps=4, …)`` puts values into the form as the page's own buttons do."""
    return lambda **fields: fill_form(page, **fields)


def fill_form(page: Page, **fields: Any) -> None:
    """Put values into the form and wait until it has them."""
    page.evaluate("fields => Easel.form.apply('txt2img', fields)", fields)
    page.wait_for_function(
        "fields => Object.entries(fields).every(([name, value]) =>"
        " JSON.stringify(Easel.form.values('txt2img')[name]) === JSON.stringify(value))",
        arg=fields,
    )


@pytest.fixture
def generate(page: Page) -> Callable[[], None]:
    """``generate()`` presses the button and waits until that job is done and shown."""

    def press_and_wait() -> None:
        shown = "document.querySelector('easel-output').job"
        before = page.evaluate(f"{shown}?.id ?? ''")
        page.click("#txt2img_generate")
        page.wait_for_function(
            f"before => {shown} && {shown}.id !== before"
            f" && !['queued', 'running'].includes({shown}.state)",
            arg=before,
        )

    return press_and_wait


@pytest.fixture
def until() -> Callable[[Callable[[], bool]], None]:
    """``until(condition)`` waits until what the server says is as wanted."""

    def wait(condition: Callable[[], bool]) -> None:
        end = time.monotonic() + PATIENCE / 1000
        while not condition():
            assert time.monotonic() < end, "the server did not get there in time"
            time.sleep(0.1)

    return wait


@pytest.fixture
def picture() -> Callable[[str], bytes]:
    """``picture(text)`` is a PNG that carries an infotext."""
    return picture_with


def picture_with(text: str) -> bytes:
    """A PNG with an infotext and one more chunk."""
    chunks = PngImagePlugin.PngInfo()
    chunks.add_text("parameters", text)
    chunks.add_text("Comment", "made by a test")
    stream = io.BytesIO()
    Image.new("RGB", (24, 16), "teal").save(stream, "PNG", pnginfo=chunks)
    return stream.getvalue()
