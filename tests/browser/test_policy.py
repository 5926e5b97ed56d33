"""The page lives with its content security policy: no text becomes a script, nothing is fetched."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from playwright.sync_api import Browser, Page

from tests.browser.conftest import settle

if TYPE_CHECKING:
    from tests.conftest import RunningServer

TABS = (
    "img2img",
    "outpaint",
    "extras",
    "pnginfo",
    "modelmerger",
    "models",
    "queue",
    "extensions",
    "settings",
)
WATCH = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (event) =>
  window.violations.push(`${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}`));
"""
PAYLOADS = """
() => {
  window.ran = [];
  setTimeout("ran.push('text')", 0);
  for (const make of [
    () => new Function("ran.push('function')")(),
    () => (async () => {}).constructor("ran.push('async')")(),
    () => eval?.("ran.push('eval')"),
  ]) setTimeout(() => { try { make(); } catch { /* as it should be */ } }, 0);
  const box = document.createElement("div");
  box.innerHTML = `<img src=x onerror="ran.push('handler')">
    <iframe srcdoc="<script>parent.ran.push('frame')</script>"></iframe>
    <base href="https://evil.test/">`;
  document.body.append(box);
  for (const kind of ["text/javascript", "module"]) {
    const script = document.createElement("script");
    script.type = kind;
    script.textContent = "ran.push('inline')";
    document.body.append(script);
  }
  const blob = document.createElement("script");
  blob.src = URL.createObjectURL(new Blob(["ran.push('blob')"], { type: "text/javascript" }));
  const data = document.createElement("script");
  data.src = "data:text/javascript,ran.push('data')";
  document.body.append(blob, data);
  fetch("https://evil.test/").catch(() => null);
}
"""


def wait(page: Page, expression: str, seconds: float = 40.0) -> None:
    """Return when an expression is true; from outside, as the policy forbids it inside."""
    end = time.monotonic() + seconds
    while not page.evaluate(expression):
        assert time.monotonic() < end, expression
        page.wait_for_timeout(100)


def test_every_tab_works_under_the_policy_and_injected_scripts_do_not(
    browser: Browser, server: RunningServer
) -> None:
    visitor = browser.new_context(locale="en-US", viewport={"width": 1360, "height": 860})
    visitor.set_default_timeout(40_000)
    page = visitor.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda line: line.type == "error" and faults.append(line.text))
    page.add_init_script(WATCH)
    try:
        answer = page.goto(server.url)
        assert answer is not None
        policy = answer.headers["content-security-policy"]
        for word in ("unsafe-eval", "blob:", "data:"):
            assert word not in policy.partition("script-src")[2].partition(";")[0]
        page.wait_for_selector("#txt2img_prompt textarea")
        wait(page, "Boolean(window.Easel?.live?.ready && Easel.form?.values('txt2img')?.steps)")
        page.fill("#txt2img_prompt textarea", "a red apple")
        width = page.locator("#txt2img_width input").first
        height = page.locator("#txt2img_height input").first
        width.fill("64")
        width.press("Tab")
        before = height.input_value()
        page.click("#txt2img_res_switch_btn")
        wait(page, f"Easel.form.values('txt2img').width === {before}")
        page.evaluate("Easel.form.apply('txt2img', {width: 64, height: 64, steps: 2})")
        wait(page, "Easel.form.values('txt2img').steps === 2")
        page.click("#txt2img_generate")
        wait(page, "Easel.live.recent.length > 0")
        for tab in TABS:
            page.click(f"#tab_{tab}-button")
            page.wait_for_timeout(200)
        assert page.evaluate("window.violations") == []
        assert faults == []
        page.evaluate(PAYLOADS)
        page.wait_for_timeout(1500)
        assert page.evaluate("window.ran") == []
        assert page.evaluate("document.baseURI").startswith(server.url)
        blocked = " ".join(page.evaluate("window.violations"))
        for directive in ("script-src eval", "script-src-attr", "script-src-elem", "connect-src"):
            assert directive in blocked
    finally:
        visitor.close()
        settle(server)
