"""Runs one extension's install.py with A1111's names, in a process of its own."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

from modules.addons import importer


def main(folder: Path) -> None:
    """Execute the file as a program of its own, its folder first on the path."""
    importer.install(lambda: [folder])
    sys.path.insert(0, str(folder))
    sys.argv = [str(folder / "install.py")]
    runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
