"""A1111's ``paths_internal``: where the program's folders are, as text."""

from __future__ import annotations

import os

from modules.addons import host
from modules.settings.paths import ROOT

_paths = host.get().paths

modules_path = str(ROOT / "modules")
script_path = str(ROOT)
data_path = str(_paths.data)
models_path = str(_paths.models)
extensions_dir = str(_paths.extensions)
extensions_builtin_dir = str(ROOT / "extensions-builtin")
config_states_dir = str(_paths.data / "config_states")
default_output_dir = str(_paths.outputs)
roboto_ttf_file = ""
cwd = os.getcwd()
sd_configs_path = str(_paths.configs)
sd_default_config = ""
sd_model_file = ""
default_sd_model_file = ""
commandline_args = ""
normalized_filepath = os.path.normpath
