"""An example extension: one script that always takes part, one tab, one setting, one JS file.

docs/extensions.md walks through it.
"""

import gradio as gr

from modules import script_callbacks, scripts, shared


class ExampleScript(scripts.Script):
    """Puts words before the prompt."""

    def title(self):
        return "Easel example"

    def show(self, is_img2img):
        return scripts.AlwaysVisible

    def ui(self, is_img2img):
        with gr.Accordion(self.title(), open=False, elem_id=self.elem_id("accordion")):
            enabled = gr.Checkbox(False, label="Put words first", elem_id=self.elem_id("enabled"))
            words = gr.Textbox("a painting of", label="Words", elem_id=self.elem_id("words"))
        self.infotext_fields = [(words, "Example words")]
        return [enabled, words]

    def process(self, p, enabled, words):
        if not enabled:
            return
        p.all_prompts = [f"{words} {prompt}" for prompt in p.all_prompts]
        p.extra_generation_params["Example words"] = words


def on_ui_settings():
    section = ("easel_example", "Easel example")
    shared.opts.add_option(
        "easel_example_greeting",
        shared.OptionInfo("Hello", "What the tab says", section=section),
    )


def on_ui_tabs():
    with gr.Blocks(analytics_enabled=False) as tab:
        name = gr.Textbox("world", label="Name", elem_id="easel_example_name")
        button = gr.Button("Greet", elem_id="easel_example_greet")
        answer = gr.Textbox(label="Answer", elem_id="easel_example_answer")
        button.click(greet, [name], [answer])
    return [(tab, "Example", "easel_example")]


def greet(name):
    return f"{shared.opts.easel_example_greeting}, {name}!"


script_callbacks.on_ui_settings(on_ui_settings)
script_callbacks.on_ui_tabs(on_ui_tabs)
