"""`python -m modules.addons.manager list`, what `launch.py extension list` runs."""

from __future__ import annotations

import sys

from modules.addons.manager.command import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
