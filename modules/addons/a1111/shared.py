"""A1111's ``shared``: settings, flags, what runs, and the lists of models and styles."""

from __future__ import annotations

import sys
from typing import Any

from modules.addons import host
from modules.addons.a1111 import shared_options
from modules.addons.a1111.cmd_args import namespace
from modules.addons.a1111.option_info import OptionDiv, OptionHTML, OptionInfo, options_section
from modules.addons.a1111.options import Options
from modules.addons.a1111.paths_internal import data_path, models_path, script_path
from modules.addons.a1111.shared_state import State
from modules.addons.a1111.shared_total_tqdm import TotalTQDM
from modules.addons.a1111.util import (
    html,
    html_path,
    ldm_print,
    listfiles,
    natural_sort_key,
    truncate_path,
    walk_files,
)

__all__ = [
    "OptionDiv",
    "OptionHTML",
    "OptionInfo",
    "Options",
    "State",
    "data_path",
    "html",
    "html_path",
    "ldm_print",
    "listfiles",
    "models_path",
    "natural_sort_key",
    "options_section",
    "script_path",
    "truncate_path",
    "walk_files",
]

options_templates: dict[str, OptionInfo] = {}
opts = Options(options_templates, fallback=shared_options.FALLBACK)
restricted_opts: set[str] = set()
cmd_opts = namespace()
parser: Any = None
hide_dirs = {"visible": not getattr(cmd_opts, "hide_ui_dir_config", False)}
state = State()
total_tqdm = TotalTQDM()
demo: Any = None
log: Any = None
settings_components: dict[str, Any] = {}
tab_names: list[str] = []
batch_cond_uncond = True
parallel_processing_allowed = True
loaded_hypernetworks: list[Any] = []
hypernetworks: dict[str, str] = {}
gradio_theme: Any = None
xformers_available = False
weight_load_location = None
clip_model: Any = None
latent_upscale_default_mode = "Latent"
progress_print_out = sys.stdout
config_filename = str(host.get().paths.config_file)
styles_filename = str(host.get().paths.styles_file)

_ASKED = {
    "sd_model": None,
    "device": None,
    "interrogator": None,
    "mem_mon": None,
    "latent_upscale_modes": {},
    "sd_upscalers": [],
    "face_restorers": [],
    "prompt_styles": None,
}
"""What the program gives, and what it is where it has no such thing."""


def __getattr__(name: str) -> Any:
    if name in _ASKED:
        return host.get().ask(name, _ASKED[name])
    raise AttributeError(f"module 'modules.shared' has no attribute {name!r}")


def list_checkpoint_tiles(use_short: bool = False) -> list[str]:
    """Titles of all checkpoints."""
    from modules.addons.a1111 import shared_items

    return shared_items.list_checkpoint_tiles(use_short)


def refresh_checkpoints() -> None:
    """Look for checkpoints again."""
    from modules.addons.a1111 import shared_items

    shared_items.refresh_checkpoints()


def list_samplers() -> list[Any]:
    """All samplers."""
    from modules.addons.a1111 import shared_items

    return shared_items.list_samplers()


def reload_hypernetworks() -> None:
    """There are none."""
