"""A website in the same browser, at another origin: what it tries comes to nothing."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Browser

if TYPE_CHECKING:
    from tests.conftest import RunningServer

ATTACK = """
async (target) => {
  const seen = {};
  const tried = async (name, action) => {
    seen[name] = await Promise.race([
      action().then((value) => value, (error) => `blocked`),
      new Promise((resolve) => setTimeout(resolve, 5000, "silent")),
    ]);
  };
  const pause = `${target}/easel/v1/queue/pause`;
  const opaque = (method, body, type) => fetch(pause, {
    method, mode: "no-cors", body, headers: type ? { "Content-Type": type } : {},
  }).then((answer) => answer.type);
  await tried("no-cors", () => opaque("POST"));
  await tried("text", () => opaque("POST", "{}", "text/plain"));
  await tried("beacon", async () => navigator.sendBeacon(pause, "{}"));
  await tried("cors", () => fetch(pause, { method: "POST" }).then((answer) => answer.status));
  await tried("json", () => fetch(pause, {
    method: "POST", body: "{}", headers: { "Content-Type": "application/json" },
  }).then((answer) => answer.status));
  await tried("read", () => fetch(`${target}/sdapi/v1/options`).then((answer) => answer.text()));
  await tried("upload", () => {
    const form = new FormData();
    form.append("files", new File(["of another site"], "foreign.txt"));
    return fetch(`${target}/gradio_api/upload`, { method: "POST", mode: "no-cors", body: form })
      .then((answer) => answer.type);
  });
  await tried("form", () => new Promise((resolve) => {
    const frame = document.createElement("iframe");
    frame.name = "hidden";
    const form = document.createElement("form");
    Object.assign(form, { method: "POST", action: pause, target: "hidden" });
    document.body.append(frame, form);
    form.submit();
    setTimeout(resolve, 800, "sent");
  }));
  await tried("socket", () => new Promise((resolve) => {
    const socket = new WebSocket(`${target.replace("http", "ws")}/live/ws`);
    socket.onmessage = () => resolve("told");
    socket.onerror = () => resolve("blocked");
  }));
  const loads = (tag, source) => () => new Promise((resolve) => {
    const node = document.createElement(tag);
    node.onload = () => resolve("loaded");
    node.onerror = () => resolve("blocked");
    node.src = source;
    document.body.append(node);
  });
  await tried("image", loads("img", `${target}/favicon.ico`));
  await tried("script", loads("script", `${target}/easel/boot.js`));
  await tried("frame", () => new Promise((resolve) => {
    const frame = document.createElement("iframe");
    frame.src = target;
    frame.onload = () => {
      try { resolve(frame.contentWindow.length >= 0 && frame.contentDocument ? "read" : "shut"); }
      catch { resolve("shut"); }
    };
    document.body.append(frame);
  }));
  return seen;
}
"""


class Site(BaseHTTPRequestHandler):
    """An empty page, all that an attacker needs."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>another site</title><body></body>")

    def log_message(self, *given: object) -> None:
        """Keep quiet."""


@pytest.fixture
def other_site() -> Iterator[str]:
    """Another origin; by its host it is even the same site."""
    served = HTTPServer(("127.0.0.1", 0), Site)
    thread = threading.Thread(target=served.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{served.server_port}/"
    served.shutdown()
    served.server_close()


@pytest.mark.parametrize("origin", ["same site, other port", "http://evil.test/"])
def test_another_website_changes_reads_and_embeds_nothing(
    browser: Browser, server: RunningServer, other_site: str, origin: str
) -> None:
    visitor = browser.new_context()
    page = visitor.new_page()
    uploads = server.data_dir / "cache" / "gradio"
    try:
        if origin.startswith("http"):
            page.route(origin, lambda route: route.fulfill(body="<!doctype html><body></body>"))
            page.goto(origin)
        else:
            page.goto(other_site)
        seen = page.evaluate(ATTACK, server.url)
    finally:
        visitor.close()
    assert server.get("/easel/v1/state")["paused"] is False
    assert not [path for path in uploads.rglob("*") if path.name == "foreign.txt"]
    for name in ("cors", "json", "read", "socket", "image", "script"):
        assert seen[name] == "blocked", (name, seen)
    assert seen["frame"] in ("shut", "silent")


def test_the_same_attack_from_our_own_origin_has_an_effect(
    browser: Browser, server: RunningServer
) -> None:
    """Or the test above would show nothing."""
    visitor = browser.new_context()
    page = visitor.new_page()
    try:
        page.goto(server.url)
        seen = page.evaluate(ATTACK, server.url)
        assert server.get("/easel/v1/state")["paused"] is True
        assert seen["cors"] == 200
        assert seen["socket"] == "told"
        assert "samples_format" in seen["read"]
    finally:
        visitor.close()
        server.post("/easel/v1/queue/resume")
        for path in (server.data_dir / "cache" / "gradio").rglob("foreign.txt"):
            path.unlink()
