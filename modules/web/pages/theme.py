"""Easel's colours, dark and light alike, over Gradio's theme variables; no fetched fonts."""

from __future__ import annotations

import gradio as gr
from gradio.themes.utils import colors, sizes

IRIS = colors.Color(
    name="iris",
    c50="#f4f1fe",
    c100="#e9e3fd",
    c200="#d4c8fb",
    c300="#b8a4f8",
    c400="#9a7cf3",
    c500="#7c52ec",
    c600="#6434e8",
    c700="#5426c9",
    c800="#431fa0",
    c900="#331a78",
    c950="#1f1048",
)
SLATE = colors.Color(
    name="slate",
    c50="#f7f7fa",
    c100="#eff0f4",
    c200="#e1e3ea",
    c300="#c8ccd7",
    c400="#9aa1b2",
    c500="#6a7183",
    c600="#4c5263",
    c700="#353a48",
    c800="#20232c",
    c900="#16181e",
    c950="#0e0f13",
)
SANS = (
    "Inter Easel",
    "ui-sans-serif",
    "system-ui",
    "Segoe UI",
    "Roboto",
    "Noto Sans",
    "PingFang SC",
    "Microsoft YaHei",
    "Noto Sans CJK SC",
    "sans-serif",
)
MONO = (
    "ui-monospace",
    "SF Mono",
    "Cascadia Mono",
    "Menlo",
    "Consolas",
    "DejaVu Sans Mono",
    "monospace",
)

_PAIRS: dict[str, tuple[str, str]] = {
    # variable: (light, dark)
    "body_background_fill": ("#f3f4f8", "#0e0f13"),
    "body_text_color": ("#1b1d26", "#e8e9ef"),
    "body_text_color_subdued": ("#5a6072", "#a2a8b8"),
    "background_fill_primary": ("#ffffff", "#16181e"),
    "background_fill_secondary": ("#f3f4f8", "#0e0f13"),
    "block_background_fill": ("#ffffff", "#16181e"),
    "block_border_color": ("#e1e3ea", "#252933"),
    "block_label_background_fill": ("#ffffff", "#16181e"),
    "block_label_text_color": ("#5a6072", "#a2a8b8"),
    "block_title_text_color": ("#454a5a", "#b4bac8"),
    "block_info_text_color": ("#5a6072", "#a2a8b8"),
    "border_color_primary": ("#d9dce5", "#2b2f3a"),
    "border_color_accent": ("#7c52ec", "#9a7cf3"),
    "input_background_fill": ("#f3f4f8", "#0f1116"),
    "input_background_fill_focus": ("#ffffff", "#0f1116"),
    "input_border_color": ("#d9dce5", "#2b2f3a"),
    "input_border_color_focus": ("#7c52ec", "#9a7cf3"),
    "input_placeholder_color": ("#666d7e", "#8b92a4"),
    "button_primary_background_fill": (
        "linear-gradient(100deg, #6434e8, #8b2fd6)",
        "linear-gradient(100deg, #6434e8, #8b2fd6)",
    ),
    "button_primary_background_fill_hover": (
        "linear-gradient(100deg, #5426c9, #7a25be)",
        "linear-gradient(100deg, #7145ef, #9a42e2)",
    ),
    "button_primary_border_color": ("transparent", "transparent"),
    "button_primary_text_color": ("#ffffff", "#ffffff"),
    "button_secondary_background_fill": ("#e9ebf1", "#232731"),
    "button_secondary_background_fill_hover": ("#dde0e9", "#2e3340"),
    "button_secondary_border_color": ("transparent", "transparent"),
    "button_secondary_text_color": ("#1b1d26", "#e8e9ef"),
    "checkbox_background_color": ("#ffffff", "#0f1116"),
    "checkbox_border_color": ("#9aa1b2", "#4c5263"),
    "checkbox_background_color_selected": ("#6434e8", "#7c52ec"),
    "checkbox_border_color_selected": ("#6434e8", "#7c52ec"),
    "checkbox_label_background_fill": ("transparent", "transparent"),
    "checkbox_label_background_fill_hover": ("transparent", "transparent"),
    "checkbox_label_background_fill_selected": ("transparent", "transparent"),
    "checkbox_label_border_color": ("transparent", "transparent"),
    "color_accent_soft": ("#efeafd", "#251d40"),
    "slider_color": ("#6434e8", "#8b6bf2"),
    "link_text_color": ("#5426c9", "#b8a4f8"),
    "link_text_color_hover": ("#431fa0", "#d4c8fb"),
    "link_text_color_visited": ("#5426c9", "#b8a4f8"),
    "panel_background_fill": ("#ffffff", "#16181e"),
    "accordion_text_color": ("#1b1d26", "#e8e9ef"),
    "error_background_fill": ("#fdeef0", "#33161c"),
    "error_text_color": ("#9f1430", "#ffb4c1"),
    "error_border_color": ("#d93a5b", "#a8324c"),
    "table_text_color": ("#1b1d26", "#e8e9ef"),
}
_SHARED: dict[str, str] = {
    "color_accent": "#7c52ec",
    "block_border_width": "0px",
    "block_shadow": "none",
    "block_padding": "10px 12px",
    "block_radius": "10px",
    "block_title_text_size": "12.5px",
    "block_title_text_weight": "500",
    "block_info_text_size": "12px",
    "body_text_size": "13px",
    "input_text_size": "13px",
    "input_border_width": "1px",
    "input_padding": "7px 10px",
    "input_radius": "8px",
    "layout_gap": "8px",
    "form_gap_width": "0px",
    "button_large_radius": "9px",
    "button_medium_radius": "8px",
    "button_small_radius": "8px",
    "button_large_text_size": "14px",
    "button_medium_text_size": "13px",
    "button_small_text_size": "12.5px",
    "button_small_text_weight": "500",
    "button_border_width": "0px",
    "checkbox_label_padding": "4px 2px",
    "shadow_drop": "none",
    "shadow_drop_lg": "0 12px 32px rgb(0 0 0 / 0.28)",
    "shadow_spread": "0px",
}


def make_theme() -> gr.themes.Base:
    """The Easel theme; names no font that would have to be fetched from elsewhere."""
    theme = gr.themes.Base(
        primary_hue=IRIS,
        secondary_hue=colors.pink,
        neutral_hue=SLATE,
        spacing_size=sizes.spacing_sm,
        radius_size=sizes.radius_md,
        text_size=sizes.text_sm,
        font=SANS,
        font_mono=MONO,
    )
    values = dict(_SHARED)
    for name, (light, dark) in _PAIRS.items():
        values[name] = light
        values[f"{name}_dark"] = dark
    return theme.set(**values)
