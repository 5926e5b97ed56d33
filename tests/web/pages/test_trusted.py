"""No text becomes a script on the page: what Gradio would evaluate is served as a file."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import gradio as gr
import pytest

from modules.web.gate.headers import page_policy
from modules.web.pages import TrustedScripts
from modules.web.pages.assets import STATIC

NODE = shutil.which("node")

PROBE = """
const window = globalThis;
window.Easel = {};
require("node:vm").runInThisContext(require("node:fs").readFileSync(0, "utf8"));
const AsyncFunction = Object.getPrototypeOf(async function () {}).constructor;
// As Gradio's page makes a function of the text of an event.
const made = (text) => {
  const inner = new AsyncFunction(`return (\\n${text.trim().replace(/;+$/, "")}\\n);`);
  return async (...values) => (await inner())(...values);
};
const refused = (make) => { try { make(); return false; } catch (e) { return e.name; } };
(async () => {
  console.log(JSON.stringify({
    swapped: await made("(w, h) => [h, w];")(1, 2),
    loaded: Function("element", "trigger", "props", "server", "upload", "watch",
      "element.seen = 1")({}) === undefined,
    template: Function("value", "label", "return `${value}`;")("<b>x</b>", "y"),
    constant: Function.apply(null, ["container", "depth0", '    return "${value}";\\n'])(),
    refused: [
      refused(() => new AsyncFunction("return (\\nalert(1)\\n);")),
      refused(() => Function("alert(1)")),
      refused(() => new Function("a", "return a.b")),
      refused(() => (() => {}).constructor("alert(1)")),
      refused(() => (async () => {}).constructor("alert(1)")),
      refused(() => Function("value", "return `${value + alert(1)}`;")),
    ],
    kind: (() => {}) instanceof Function,
  }));
})();
"""


def page(**html) -> TrustedScripts:
    with gr.Blocks(analytics_enabled=False) as blocks:
        field = gr.Number()
        gr.Button().click(None, [field, field], [field, field], js="(w, h) => [h, w];")
        gr.HTML("x", **{"js_on_load": "element.seen = 1", **html})
    return TrustedScripts.of(blocks)


@pytest.mark.skipif(NODE is None, reason="needs node")
def test_gradio_gets_the_functions_that_were_served_and_no_others():
    done = subprocess.run(
        [NODE, "-e", PROBE], input=page().text, capture_output=True, text=True, timeout=60
    )
    assert done.stderr == ""
    assert json.loads(done.stdout) == {
        "swapped": [2, 1],
        "loaded": True,
        "template": "<b>x</b>",
        "constant": "${value}",
        "refused": ["EvalError"] * 6,
        "kind": True,
    }


def test_every_event_of_the_page_is_served(context):
    from modules.web.pages import build

    blocks = build(context)
    scripts = TrustedScripts.of(blocks)
    assert {function.js.strip().rstrip(";") for function in blocks.fns.values()} == set(
        scripts.events
    )
    assert scripts.foreign == ()
    for event in scripts.events:
        assert json.dumps(event) in scripts.text


def test_the_address_changes_with_the_scripts():
    assert page().url == page().url
    assert page().url != page(js_on_load="element.seen = 2").url


def test_a_template_with_expressions_is_named_and_the_policy_says_so():
    assert page(html_template="<b>{{#each value}}{{this}}{{/each}}</b>").foreign
    assert "unsafe-eval" in page_policy(b"", evaluates=True)
    assert "unsafe-eval" not in page_policy(b"")


def test_no_script_of_ours_evaluates_text():
    for path in Path(STATIC).glob("*.js"):
        text = path.read_text(encoding="utf-8")
        if path.name != "trusted.js":
            for word in ("new Function", "eval(", 'setTimeout("', "javascript:"):
                assert word not in text, path.name
