"""A server that other machines can reach: who gets in, and where its secrets show."""

from __future__ import annotations

import http.client
import json
import os
import re
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.conftest import RunningServer, start_server, stop_server
from tests.web import gates

API_PASSWORD = "hunter2-of-the-api"
SITE_TOKEN = "hf_secret_of_the_environment"


@pytest.fixture(scope="module")
def open_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """Started with ``--listen`` and a login for the API alone: it makes tokens of its own."""
    data = tmp_path_factory.mktemp("open")
    (data / "tokens.json").write_text(json.dumps({"civitai": "civitai_secret_kept"}))
    os.environ["HF_TOKEN"] = SITE_TOKEN
    try:
        server = start_server(data, "--listen", "--api-auth", f"program:{API_PASSWORD}")
    finally:
        del os.environ["HF_TOKEN"]
    yield server
    stop_server(server)


def told(server: RunningServer, pattern: str) -> str:
    """What the console says, once it says it; of several lines the last."""
    end = time.monotonic() + 30
    while True:
        found = re.findall(pattern, server.log.read_text(errors="replace"))
        if found:
            return found[-1]
        assert time.monotonic() < end
        time.sleep(0.1)


def link(server: RunningServer) -> str:
    return told(server, r"http://\S+\?token=\S+")


def token(server: RunningServer) -> str:
    return told(server, r"for the login page: (\S+)")


def usable(page: Page) -> None:
    """Return when the page works; without ``wait_for_function``, which its policy forbids."""
    page.wait_for_selector("#txt2img_prompt textarea")
    end = time.monotonic() + 40
    while not page.evaluate("Boolean(window.Easel?.live?.ready)"):
        assert time.monotonic() < end
        page.wait_for_timeout(100)


def test_a_browser_gets_in_by_token_or_link_and_out_again(
    browser: Browser, open_server: RunningServer
) -> None:
    visitor = browser.new_context()
    visitor.set_default_timeout(40_000)
    page = visitor.new_page()
    try:
        page.goto(open_server.url)
        page.fill("input[name=password]", "a guess")
        page.click("button")
        assert "not right" in page.inner_text("[role=alert]")
        page.fill("input[name=password]", token(open_server))
        page.click("button")
        usable(page)
        page.click("#tab_settings-button")
        page.click("#settings_log_out")
        page.wait_for_selector("input[name=password]")
        first = link(open_server)
        page.goto(first)
        usable(page)
        assert "token" not in page.url
        assert link(open_server) != first
        visitor.clear_cookies()
        page.evaluate("void Easel.live.job('x').catch(() => null)")
        page.wait_for_selector("input[name=password]")  # the session is over: the login again
        page.goto(first)
        assert "has been used" in page.inner_text("[role=alert]")
    finally:
        visitor.close()


def fetch(server: RunningServer, path: str) -> bytes:
    request = urllib.request.Request(
        server.url + path, headers={"Authorization": f"Bearer {token(server)}"}
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.read()
    except urllib.error.HTTPError as error:
        return error.read()
    except http.client.IncompleteRead as part:  # a stream whose session there is not
        return part.partial


STREAMS = ("queue/data", "heartbeat", "upload_progress", "startup-events")


def test_no_answer_no_log_and_no_engine_holds_a_secret(open_server: RunningServer) -> None:
    link_token = link(open_server).partition("token=")[2]
    secrets = [API_PASSWORD, SITE_TOKEN, "civitai_secret_kept", token(open_server), link_token]
    asked = 0
    for method, path in gates.READS:
        if method != "GET" or any(name in path for name in STREAMS):
            continue
        answer = fetch(open_server, re.sub(r"\{[^}]*\}", "x", path))
        asked += 1
        for secret in secrets:
            assert secret.encode() not in answer, path
    assert asked > 60
    log = open_server.log.read_text(errors="replace")
    for secret in secrets[:3]:
        assert secret not in log
    for entry in open_server.data_dir.rglob("*"):
        if entry.is_file() and entry.name not in ("tokens.json", "server.log"):
            content = entry.read_bytes()
            assert not any(secret.encode() in content for secret in secrets), entry
    engine = child_of(open_server.process.pid)
    seen = (
        Path(f"/proc/{engine}/cmdline").read_bytes() + Path(f"/proc/{engine}/environ").read_bytes()
    )
    assert not any(secret.encode() in seen for secret in secrets)


def child_of(pid: int) -> int:
    """The engine's process."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for task in Path(f"/proc/{pid}/task").iterdir():
            children += (task / "children").read_text().split()
        for child in children:
            if b"modules.engine.process" in Path(f"/proc/{child}/cmdline").read_bytes():
                return int(child)
        time.sleep(0.1)
    raise AssertionError("no engine")
