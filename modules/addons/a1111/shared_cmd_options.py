"""A1111's ``shared_cmd_options``."""

from __future__ import annotations

from modules.addons.a1111.cmd_args import parser
from modules.addons.a1111.shared import cmd_opts

__all__ = ["cmd_opts", "parser"]
