"""Settings of the page: prompt editing, gallery, previews, system."""

from __future__ import annotations

from modules.settings.tables.rows import Section

_prompt = Section("Prompt editing")
_gallery = Section("Gallery")
_ui = Section("User interface")
_preview = Section("Live previews")
_api = Section("API")
_system = Section("System")

OPTIONS = (
    _prompt.number(
        "keyedit_precision_attention",
        "Precision for (attention:1.1) with Ctrl+up/down",
        0.1,
        0.01,
        0.2,
        0.001,
    ),
    _prompt.number(
        "keyedit_precision_extra",
        "Precision for <extra networks:0.9> with Ctrl+up/down",
        0.05,
        0.01,
        0.2,
        0.001,
    ),
    _prompt.text("keyedit_delimiters", "Word delimiters for Ctrl+up/down", r".,\/!?%^*;:{}=`~() "),
    _prompt.flag("keyedit_move", "Alt+left/right moves prompt elements", True),
    _prompt.flag("disable_token_counters", "Disable prompt token counters", False),
    _prompt.flag("include_styles_into_token_counters", "Count tokens of enabled styles", True),
    _gallery.flag("return_grid", "Show grid in gallery", True),
    _gallery.flag("do_not_show_images", "Do not show any images in gallery", False),
    _gallery.flag("js_modal_lightbox", "Full page image viewer: enable", True),
    _gallery.flag(
        "js_modal_lightbox_initially_zoomed", "Full page image viewer: zoom in by default", True
    ),
    _ui.choice(
        "localization",
        "Language",
        "None",
        "None|en|zh-Hans",
        help="None: the browser's language.",
        restart=False,
    ),
    _ui.choice("gradio_theme", "Colors", "dark", "dark|light|system"),
    _ui.multi(
        "quicksettings_list",
        "Quick settings at the top of the page",
        ["sd_model_checkpoint", "sd_vae", "CLIP_stop_at_last_layers"],
        dynamic="options",
        restart=True,
    ),
    _ui.multi("hidden_tabs", "Hidden tabs", [], dynamic="tabs", restart=True),
    _ui.flag("show_progress_in_title", "Show generation progress in window title", True),
    _ui.flag("send_seed", "Send seed when sending prompt or image to other interface", True),
    _ui.flag("send_size", "Send size when sending prompt or image to another interface", True),
    _ui.flag(
        "interrupt_after_current",
        "Don't interrupt in the middle of a batch on the first click",
        True,
    ),
    _ui.flag(
        "use_model_defaults",
        "Take size, steps and CFG from the model's own defaults when it is chosen",
        True,
    ),
    _ui.flag(
        "hires_fix_show_sampler",
        "Hires fix: show hires checkpoint and sampler selection",
        False,
    ),
    _ui.flag(
        "hires_fix_show_prompts",
        "Hires fix: show hires prompt and negative prompt",
        False,
    ),
    _preview.flag("show_progressbar", "Show progressbar", True),
    _preview.flag("live_previews_enable", "Show live previews of the created image", True),
    _preview.choice(
        "live_previews_image_format", "Live preview file format", "jpeg", "jpeg|png|webp"
    ),
    _preview.flag(
        "show_progress_grid", "Show previews of all images generated in a batch as a grid", True
    ),
    _preview.whole(
        "show_progress_every_n_steps",
        "Live preview display period, in steps",
        1,
        -1,
        32,
        help="-1: never",
    ),
    _preview.choice(
        "show_progress_type",
        "Live preview method",
        "Approx NN",
        "Full|Approx NN|Approx cheap|TAESD",
        help="Full: slow but true. Approx NN and Approx cheap: fitted colours of this model. "
        "TAESD: a tiny decoder, when its file is there.",
    ),
    _preview.choice(
        "live_preview_content", "Live preview subject", "Prompt", "Combined|Prompt|Negative prompt"
    ),
    _preview.whole(
        "live_preview_refresh_period",
        "Progressbar and preview update period, in milliseconds",
        1000,
        100,
        10000,
        hidden=True,
    ),
    _preview.flag(
        "prevent_screen_sleep_during_generation", "Keep the screen awake while generating", True
    ),
    _api.flag(
        "api_enable_requests",
        "Allow http:// and https:// URLs for input images in API",
        False,
        help="Public addresses only, unless the next setting is switched off.",
    ),
    _api.flag("api_forbid_local_requests", "Forbid URLs to local resources", True),
    _api.text("api_useragent", "User agent for requests", ""),
    _system.choice(
        "auto_launch_browser", "Open the browser at start", "Local", "Disable|Local|Remote"
    ),
    _system.whole(
        "engine_stall_seconds",
        "Replace an engine that hangs after so many seconds",
        60,
        0,
        3600,
        10,
        help="Without progress, on top of the time of ten usual steps. 0: never.",
    ),
    _system.flag(
        "list_hidden_files", "Load models and files in hidden directories", True, hidden=True
    ),
    _system.flag(
        "samples_log_stdout",
        "Always print all generation info to standard output",
        False,
        hidden=True,
    ),
)
