"""`python -m modules.cli txt2img …`, what `launch.py txt2img …` runs inside the environment."""

from __future__ import annotations

import sys

from modules.cli import (
    convert,
    download,
    extras,
    img2img,
    merge,
    outpaint,
    replay,
    strip,
    txt2img,
    verify,
)
from modules.cli.selftest import command as selftest

COMMANDS = {
    "txt2img": txt2img.main,
    "img2img": img2img.main,
    "outpaint": outpaint.main,
    "extras": extras.main,
    "merge": merge.main,
    "convert": convert.main,
    "replay": replay.main,
    "download": download.main,
    "verify": verify.main,
    "strip": strip.main,
    "selftest": selftest.main,
}

if __name__ == "__main__":
    name, *arguments = sys.argv[1:] or [""]
    if name not in COMMANDS:
        sys.stderr.write(f"There is no command {name!r}; there are: {', '.join(COMMANDS)}.\n")
        sys.exit(2)
    sys.exit(COMMANDS[name](arguments))
