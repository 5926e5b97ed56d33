"""A1111's older name of ``infotext_utils``."""

from __future__ import annotations

from modules.addons.a1111.infotext_utils import (
    ParamBinding,
    PasteField,
    add_paste_fields,
    bind_buttons,
    connect_paste,
    connect_paste_params_buttons,
    create_buttons,
    create_override_settings_dict,
    get_override_settings,
    image_from_url_text,
    infotext_to_setting_name_mapping,
    parse_generation_parameters,
    paste_fields,
    quote,
    register_paste_params_button,
    registered_param_bindings,
    reset,
    send_image_and_dimensions,
    unquote,
)

__all__ = [
    "ParamBinding",
    "PasteField",
    "add_paste_fields",
    "bind_buttons",
    "connect_paste",
    "connect_paste_params_buttons",
    "create_buttons",
    "create_override_settings_dict",
    "get_override_settings",
    "image_from_url_text",
    "infotext_to_setting_name_mapping",
    "parse_generation_parameters",
    "paste_fields",
    "quote",
    "register_paste_params_button",
    "registered_param_bindings",
    "reset",
    "send_image_and_dimensions",
    "unquote",
]
