"""Serve Easel: the gate, the API, the live channel and the page. ``launch.py`` starts this file."""

from __future__ import annotations

import sys

from modules.addons.compose import find_plugins
from modules.addons.manager.compose import build_desk
from modules.addons.scripts.registry import PLANNED
from modules.settings.flags import parse_flags
from modules.web.serve import serve

if __name__ == "__main__":
    sys.exit(serve(parse_flags(sys.argv[1:]), PLANNED, build_desk, find_plugins))
