"""Strangers' texts on the page: wherever one is shown it is text, and nothing in it ever runs.

The visitor's content security policy is off here, so that a mistake would show; that the policy
would stop it too is for test_policy.py.
"""

from __future__ import annotations

import csv
import io
import json
import shutil
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image, PngImagePlugin
from playwright.sync_api import Page, expect

from tests.browser.conftest import fill_form
from tests.catalog.files import write_tensors

pytestmark = pytest.mark.browser

DOWN = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k.lora_down.weight"
PAYLOADS = (
    "<img src=x onerror=ran.push({0})>",
    '"><svg onload=ran.push({0})>',
    "' onmouseover=ran.push({0}) autofocus onfocus=ran.push({0}) '",
    "${{ran.push({0})}}{{{{ran.push({0})}}}}",
    "<style onload=ran.push({0})>",
)
IN_TEXT = (
    "<script>ran.push({0})</script>",
    "<iframe srcdoc='<script>parent.ran.push({0})</script>'></iframe>",
    "[a](javascript:ran.push({0}))",
    "</textarea></title><img src=x onerror=ran.push({0})>",
)
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
NETWORKS = ("txt2img_lora", "txt2img_checkpoints", "txt2img_textual_inversion")

FOUND = """() => {
  const bad = [];
  const look = (root) => {
    for (const element of root.querySelectorAll("*")) {
      const names = element.getAttributeNames();
      if (names.some((name) => /^on(error|load|mouseover|focus)$/.test(name)))
        bad.push(element.outerHTML.slice(0, 200));
      for (const name of ["href", "src", "action", "srcdoc"])
        if (/^\\s*javascript:/i.test(element.getAttribute(name) ?? "")
            || (name === "srcdoc" && names.includes(name)))
          bad.push(element.outerHTML.slice(0, 200));
      if (element.shadowRoot) look(element.shadowRoot);
      if (element.localName === "template") look(element.content);
    }
  };
  look(document);
  return [...bad, ...window.ran.map((number) => `ran ${number}`)];
}"""
"""Elements that only a payload makes, and payloads that ran."""


class Hostile:
    """Numbered payloads, and where each was put."""

    def __init__(self) -> None:
        self.places: list[str] = []

    def name(self, place: str) -> str:
        """For a name: no slash, short."""
        return self._next(place, PAYLOADS)

    def text(self, place: str) -> str:
        """For a text of any kind."""
        return " ".join(self._next(place, (form,)) for form in (*PAYLOADS, *IN_TEXT))

    def _next(self, place: str, forms: tuple[str, ...]) -> str:
        self.places.append(place)
        number = len(self.places)
        return forms[number % len(forms)].format(number)


@pytest.fixture(scope="module")
def hostile(server) -> Iterator[Hostile]:
    """A data folder in which every name and text that may come from others does."""
    made = Hostile()
    models = server.data_dir / "models"
    kept = [_networks(made, models), _styles(made, server), _wildcards(made, server.data_dir)]
    server.post("/easel/v1/models/refresh")
    server.post("/easel/v1/cards/refresh")
    yield made
    for undo in kept:
        undo()
    server.post("/easel/v1/models/refresh")
    server.post("/easel/v1/cards/refresh")


def _networks(made: Hostile, models: Path) -> Callable[[], None]:
    places = {"Lora": {DOWN: (4, 768)}, "embeddings": {"emb_params": (2, 768)}, "VAE": {"x": (1,)}}
    folders = []
    for number, payload in enumerate(PAYLOADS):
        for kind, tensors in places.items():
            parent = models.parent / kind if kind == "embeddings" else models / kind
            folder = parent / f"hostile {payload.format(800 + number)}"
            metadata = {
                key: made.text(f"{kind} metadata {key}")
                for key in (
                    *("ss_output_name", "modelspec.title", "modelspec.description"),
                    *("modelspec.author", "modelspec.license", "ss_sd_model_name"),
                )
            }
            tags = {made.text("dataset"): {made.text(f"tag {one}"): 3 for one in range(3)}}
            metadata["ss_tag_frequency"] = json.dumps(tags)
            path = folder / f"{made.name(f'{kind} file')}.safetensors"
            write_tensors(path, tensors, metadata=metadata)
            notes = {
                key: made.text(f"{kind} {key}")
                for key in ("description", "notes", "activation text", "negative text")
            }
            path.with_suffix(".json").write_text(json.dumps(notes))
            about = {
                "name": made.text("civitai"),
                "trainedWords": [made.text("word")],
                "model": {"name": made.text("civitai model"), "tags": [made.text("civitai tag")]},
                "description": f"<p>{made.text('civitai description')}</p>",
            }
            path.with_suffix(".civitai.info").write_text(json.dumps(about))
            folders.append(folder)

    def undo() -> None:
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)

    return undo


def _styles(made: Hostile, server) -> Callable[[], None]:
    names = [made.name("style name") for _ in PAYLOADS]

    def send(method: str, name: str, body: object = None) -> None:
        address = f"{server.url}/easel/v1/styles/{urllib.parse.quote(name, safe='')}"
        request = urllib.request.Request(address, method=method)
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
        urllib.request.urlopen(request, timeout=60).close()

    for name in names:
        send("PUT", name, {"prompt": made.text("style"), "negative_prompt": made.text("style")})
    return lambda: [send("DELETE", name) for name in names] and None


def _wildcards(made: Hostile, data: Path) -> Callable[[], None]:
    path = data / "wildcards" / "hostile.txt"
    path.parent.mkdir(exist_ok=True)
    path.write_text(made.text("wildcard") + "\n")
    return path.unlink


@pytest.fixture
def watched(page: Page, hostile: Hostile) -> Iterator[Page]:
    """A page on which payloads would leave a trace; looked at once more when the test ends."""
    page.add_init_script("window.ran = [];")
    page.evaluate("window.ran = []")
    yield page
    nothing_ran(page)


def nothing_ran(page: Page) -> None:
    assert page.evaluate(FOUND) == []


def test_the_look_finds_payloads(page: Page) -> None:
    """What the tests below rely on."""
    page.evaluate("window.ran = []")
    page.evaluate(
        "document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=ran.push(1)>')"
    )
    page.wait_for_function("window.ran.length > 0")
    found = page.evaluate(FOUND)
    assert len(found) == 2
    page.evaluate("document.querySelector('[onerror]').remove(); window.ran = []")


def test_models_networks_and_styles(watched: Page, hostile: Hostile) -> None:
    page = watched
    for panel in NETWORKS:
        page.click(f"#{panel}-button")
        page.wait_for_timeout(300)
        nothing_ran(page)
    page.click("#txt2img_lora-button")
    page.fill("#txt2img_lora_extra_search", "ran.push")
    faces = page.locator("#txt2img_lora_cards .card .face")
    expect(faces).to_have_count(len(PAYLOADS))
    for number in range(2):
        faces.nth(number).focus()
        page.keyboard.press("e")
        window = page.locator(".easel-card-window")
        expect(window).to_be_visible()
        expect(window).to_contain_text("ran.push")
        nothing_ran(page)
        page.keyboard.press("Escape")
        expect(window).to_have_count(0)
    page.click("#txt2img_generation-button")
    page.click("#txt2img_styles input")
    expect(page.get_by_role("option").filter(has_text="ran.push").first).to_be_visible()
    page.keyboard.press("Escape")
    page.click("#txt2img_styles_edit_button")
    page.wait_for_timeout(200)
    nothing_ran(page)
    page.keyboard.press("Escape")
    for tab in TABS:
        page.click(f"#tab_{tab}-button")
        page.wait_for_timeout(250)
        nothing_ran(page)


def test_a_picture_that_tells_things_about_itself(watched: Page, hostile: Hostile) -> None:
    page = watched
    chunks = PngImagePlugin.PngInfo()
    said = hostile.text("infotext")
    chunks.add_text(
        "parameters",
        f"{said} __hostile__ <lora:{hostile.name('unknown lora')}:1>\nNegative prompt: {said}\n"
        f"Steps: 3, Sampler: {hostile.name('sampler')}, Model: {hostile.name('model')}, Seed: 5, "
        f'Size: 64x64, Lora hashes: "{hostile.name("lora hash")}: abc", '
        f"{hostile.name('key')}: {hostile.name('value')}",
    )
    chunks.add_text("Comment", hostile.text("chunk"))
    chunks.add_text(hostile.name("keyword")[:79], hostile.text("chunk of that"))
    stream = io.BytesIO()
    Image.new("RGB", (32, 32), "teal").save(stream, "PNG", pnginfo=chunks)
    file = {
        "name": hostile.name("file") + ".png",
        "mimeType": "image/png",
        "buffer": stream.getvalue(),
    }
    page.click("#tab_pnginfo-button")
    page.set_input_files("#pnginfo_file", file)
    expect(page.locator("#pnginfo_result")).to_contain_text("<script>")
    nothing_ran(page)
    page.get_by_role("button", name="Send to txt2img").click()
    page.wait_for_function(
        "document.querySelector('#txt2img_prompt textarea').value.includes('ran.push')"
    )
    page.wait_for_timeout(800)  # remarks on the prompt come after a moment
    nothing_ran(page)


def test_jobs_their_errors_and_what_is_kept_of_them(
    watched: Page, hostile: Hostile, server
) -> None:
    page = watched
    prompt = hostile.text("job prompt") + " __hostile__ <lora:nobody" + hostile.name("net") + ":1>"
    fill_form(page, prompt=prompt, negative_prompt=hostile.text("negative"), steps=1)
    fill_form(page, width=64, height=64)
    page.click("#txt2img_generate")
    page.wait_for_function(
        "['done', 'failed'].includes(document.querySelector('easel-output').job?.state)"
    )
    nothing_ran(page)
    for tab in ("queue", "models"):
        page.click(f"#tab_{tab}-button")
        page.wait_for_timeout(300)
        nothing_ran(page)
    message = hostile.text("error")
    page.evaluate("text => Easel.toast.error(text)", message)
    expect(page.locator(".easel-toast").last).to_contain_text("ran.push")
    said = page.evaluate(
        """async (text) => {
          const answer = await fetch("/sdapi/v1/txt2img", {method: "POST",
            headers: {"Content-Type": "application/json"},
            body: JSON.stringify({sampler_name: text})});
          return [answer.status, answer.headers.get("content-type"), await answer.text()];
        }""",
        message,
    )
    assert said[:2] == [422, "application/json"]
    assert "ran.push" in said[2]


def test_answers_with_foreign_texts_are_never_pages(server, hostile: Hostile) -> None:
    name = urllib.parse.quote(hostile.name("address"), safe="")
    for path in (
        f"/image/{name}",
        f"/easel/v1/jobs/{name}",
        f"/easel/v1/cards/lora/card?name={name}",
        f"/sd_extra_networks/thumb?filename={name}",
        f"/{name}",
        f"/easel/v1/ledger?search={name}",
        "/easel/v1/ledger/file.csv",
        "/sdapi/v1/prompt-styles",
        "/sdapi/v1/loras",
        "/easel/v1/jobs",
    ):
        request = urllib.request.Request(server.url + path)
        try:
            answer = urllib.request.urlopen(request, timeout=60)
        except urllib.error.HTTPError as error:
            answer = error
        with answer:
            kind = answer.headers["content-type"]
            body = answer.read().decode("utf-8", "replace")
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert kind.startswith(("application/json", "text/plain", "text/csv", "image/")), path
            if path.endswith(".csv"):
                _no_formulas(body)


def _no_formulas(text: str) -> None:
    """What a spreadsheet would compute is not in a table of foreign names."""
    for row in csv.reader(io.StringIO(text)):
        assert not any(cell.startswith(("=", "@", "+", "\t")) for cell in row), row
