"""A1111's ``infotext_utils``: reading parameters, and buttons that send pictures to tabs."""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Callable
from typing import Any

from modules.addons.a1111 import gradio_shim as gr
from modules.addons.a1111 import script_callbacks

type_of_gr_update = dict
paste_fields: dict[str, Any] = {}
registered_param_bindings: list[ParamBinding] = []


class ParamBinding:
    """A button that sends parameters from one place to another."""

    def __init__(
        self,
        paste_button: Any,
        tabname: str,
        source_text_component: Any = None,
        source_image_component: Any = None,
        source_tabname: str | None = None,
        override_settings_component: Any = None,
        paste_field_names: Any = None,
    ) -> None:
        self.paste_button = paste_button
        self.tabname = tabname
        self.source_text_component = source_text_component
        self.source_image_component = source_image_component
        self.source_tabname = source_tabname
        self.override_settings_component = override_settings_component
        self.paste_field_names = paste_field_names or []


class PasteField(tuple):
    """A component and the label of infotext that fills it."""

    def __new__(cls, component: Any, target: Any, *, api: str | None = None) -> PasteField:
        """A pair with an API name."""
        return super().__new__(cls, (component, target))

    def __init__(self, component: Any, target: Any, *, api: str | None = None) -> None:
        super().__init__()
        self.api = api
        self.component = component
        self.label = target if isinstance(target, str) else None
        self.function = target if callable(target) else None


def reset() -> None:
    """Forget all bindings."""
    paste_fields.clear()
    registered_param_bindings.clear()


def quote(text: Any) -> str:
    """A value as infotext has it."""
    import json

    if "," not in str(text) and "\n" not in str(text) and ":" not in str(text):
        return str(text)
    return json.dumps(text, ensure_ascii=False)


def unquote(text: str) -> Any:
    """The value behind a quoted text."""
    import json

    if len(text) < 2 or text[0] != '"' or text[-1] != '"':
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


def image_from_url_text(filedata: Any) -> Any:
    """A PIL image from what a gallery or a script of the page hands over."""
    from PIL import Image

    if filedata is None:
        return None
    if isinstance(filedata, list):
        return image_from_url_text(filedata[0]) if filedata else None
    if isinstance(filedata, dict):
        filedata = filedata.get("path") or filedata.get("name") or ""
    if isinstance(filedata, tuple):
        filedata = filedata[0]
    if not isinstance(filedata, str):
        return filedata
    if filedata.startswith("data:image/"):
        content = base64.b64decode(filedata.split(",", 1)[1])
        return Image.open(io.BytesIO(content))
    path = filedata.split("file=")[-1].split("?")[0]
    return Image.open(path) if os.path.isfile(path) else None


def add_paste_fields(
    tabname: str, init_img: Any, fields: Any, override_settings_component: Any = None
) -> None:
    """Note a tab's fields."""
    paste_fields[tabname] = {
        "init_img": init_img,
        "fields": fields,
        "override_settings_component": override_settings_component,
    }


def create_buttons(tabs_list: list[str]) -> dict[str, Any]:
    """A button for each tab."""
    return {tab: gr.Button(f"Send to {tab}", elem_id=f"{tab}_tab") for tab in tabs_list}


def bind_buttons(buttons: dict[str, Any], send_image: Any, send_generate_info: Any) -> None:
    """Let buttons send a picture and its parameters."""
    for tabname, button in buttons.items():
        text = send_generate_info if hasattr(send_generate_info, "change") else None
        source = send_generate_info if isinstance(send_generate_info, str) else None
        register_paste_params_button(
            ParamBinding(
                paste_button=button,
                tabname=tabname,
                source_text_component=text,
                source_image_component=send_image,
                source_tabname=source,
            )
        )


def register_paste_params_button(binding: ParamBinding) -> None:
    """Note a button; the page's own script sends what it is given."""
    registered_param_bindings.append(binding)
    inputs = [one for one in (binding.source_image_component, binding.source_text_component) if one]
    binding.paste_button.click(
        None,
        inputs,
        None,
        js=f"(...given) => window.a1111Send?.({binding.tabname!r}, given)",
        queue=False,
    )


def connect_paste_params_buttons() -> None:
    """They are connected as they are registered."""


def send_image_and_dimensions(x: Any) -> tuple[Any, int, int]:
    """A picture and its size."""
    image = image_from_url_text(x)
    return (image, image.width, image.height) if image is not None else (None, 0, 0)


def parse_generation_parameters(x: str, skip_fields: list[str] | None = None) -> dict[str, Any]:
    """Label → value of an infotext, prompts included."""
    from modules.gallery.dialects import parse_any

    parsed = parse_any(x)
    found: dict[str, Any] = {
        "Prompt": parsed.prompt,
        "Negative prompt": parsed.negative,
        **parsed.parameters,
    }
    size = str(found.get("Size", ""))
    if "x" in size:
        found["Size-1"], _, found["Size-2"] = size.partition("x")
    for name in skip_fields or ():
        found.pop(name, None)
    script_callbacks.infotext_pasted_callback(x, found)
    return found


infotext_to_setting_name_mapping: list[tuple[str, str]] = []


def get_override_settings(params: dict[str, Any], *, skip_fields: Any = None) -> list[Any]:
    """Settings that an infotext names and that differ from those in force."""
    return []


def create_override_settings_dict(text_pairs: list[str]) -> dict[str, Any]:
    """``["Name: value"]`` as settings."""
    found: dict[str, str] = {}
    for pair in text_pairs or []:
        name, _, value = pair.partition(":")
        found[name.strip()] = value.strip()
    return found


def connect_paste(
    button: Any,
    paste_fields: Any,
    input_comp: Any,
    override_settings_component: Any,
    tabname: str,
    filter: Callable[..., Any] | None = None,
) -> None:
    """Filling forms is done by the page."""
