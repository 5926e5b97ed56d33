"""`python -m modules.cli txt2img …`, what `launch.py txt2img …` runs inside the environment."""

from __future__ import annotations

import sys

from modules.cli.txt2img import main

COMMANDS = {"txt2img": main}

if __name__ == "__main__":
    name, *arguments = sys.argv[1:] or [""]
    if name not in COMMANDS:
        sys.stderr.write(f"There is no command {name!r}; there are: {', '.join(COMMANDS)}.\n")
        sys.exit(2)
    sys.exit(COMMANDS[name](arguments))
