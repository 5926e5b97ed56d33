"""`launch.py strip`: pictures without what their files say."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from modules.gallery.errors import ImageReadError
from modules.gallery.stripping import Stripped, strip_metadata
from modules.settings import atomic

FAILURE = 1


def build_parser() -> argparse.ArgumentParser:
    """The parser of `launch.py strip`."""
    parser = argparse.ArgumentParser(
        prog="launch.py strip",
        allow_abbrev=False,
        description="Write pictures without their metadata: parameters, EXIF, credentials, "
        "comments. PNG, JPEG, WebP and GIF keep every pixel; AVIF is encoded again. Copies are "
        "called NAME-clean and lie beside the files; their paths go to stdout. An invisible "
        "watermark stays.",
    )
    parser.add_argument("files", nargs="+", metavar="FILE")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--outdir", metavar="DIR", help="put the copies here, under their names")
    where.add_argument("--in-place", action="store_true", help="replace the files themselves")
    return parser


def main(arguments: list[str]) -> int:
    """Strip every file; the exit code: 0, or 1 when one could not be done."""
    asked = build_parser().parse_args(arguments)
    code = 0
    for name in asked.files:
        path = Path(name)
        try:
            clean = strip_metadata(path.read_bytes())
            written = _write(path, clean, asked.outdir, asked.in_place)
        except ImageReadError as error:
            code = _failed(name, error.sentence)
        except FileExistsError as error:
            code = _failed(name, f"{error} is there already.")
        except OSError as error:
            code = _failed(name, f"{error.strerror}.")
        else:
            sys.stdout.write(f"{written}\n")
    return code


def _write(path: Path, clean: Stripped, outdir: str | None, in_place: bool) -> Path:
    if in_place:
        atomic.write_bytes(path, clean.data)
        return path
    folder = Path(outdir) if outdir else path.parent
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / (path.name if outdir else f"{path.stem}-clean{path.suffix}")
    atomic.write_new(target, clean.data)
    return target


def _failed(name: str, sentence: str) -> int:
    sys.stderr.write(f"{name}: {sentence}\n")
    return FAILURE
