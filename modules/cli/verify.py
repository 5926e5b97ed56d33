"""`launch.py verify`: where pictures say that they come from."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from pathlib import Path

from modules.gallery.credentials import CredentialsError
from modules.gallery.credentials.report import BROKEN, INTACT, NONE, OWN
from modules.gallery.errors import ImageReadError
from modules.gallery.provenance import Provenance, verify_picture
from modules.settings.flags import parse_flags
from modules.settings.paths import Paths
from modules.settings.store import OptionStore
from modules.settings.tables import build_table

FOUND, CHANGED, USAGE, NOTHING = 0, 1, 2, 3
STATES = {
    NONE: "no Content Credentials",
    INTACT: "unchanged since somebody signed it whom nobody here vouches for",
    OWN: "unchanged since this installation signed it",
    BROKEN: "changed after it was signed, or its credentials are damaged",
}


def build_parser() -> argparse.ArgumentParser:
    """The parser of `launch.py verify`; flags it does not know may belong to the server."""
    parser = argparse.ArgumentParser(
        prog="launch.py verify",
        allow_abbrev=False,
        description="Read the Content Credentials (C2PA) and the invisible watermark of pictures. "
        "--data-dir and the other folder flags of `launch.py serve` work too. Ends with 0 when "
        "every picture has one of them and none is broken, 1 when one was changed after it was "
        "signed or cannot be read, 3 when one has neither.",
    )
    parser.add_argument("files", nargs="+", metavar="FILE")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    return parser


def main(arguments: list[str]) -> int:
    """Look at every file; the exit code: see the description."""
    asked, rest = build_parser().parse_known_args(arguments)
    logging.basicConfig(level=logging.ERROR, format="%(message)s", stream=sys.stderr)
    paths = Paths.from_flags(parse_flags(rest))
    options = OptionStore(paths.config_file, build_table()).as_dict()
    codes = set()
    for name in asked.files:
        try:
            found = verify_picture(Path(name).read_bytes(), paths, options)
        except (ImageReadError, CredentialsError) as error:
            sys.stderr.write(f"{name}: {error.sentence}\n")
            codes.add(CHANGED)
        except OSError as error:
            sys.stderr.write(f"{name}: {error.strerror}.\n")
            codes.add(CHANGED)
        else:
            sys.stdout.write(_line(name, found) if asked.json else _told(name, found))
            codes.add(_code(found))
    return next((code for code in (CHANGED, NOTHING) if code in codes), FOUND)


def _code(found: Provenance) -> int:
    if found.credentials.state == BROKEN:
        return CHANGED
    return NOTHING if found.credentials.state == NONE and found.watermark is None else FOUND


def _line(name: str, found: Provenance) -> str:
    return json.dumps({"file": name, **found.to_json()}, ensure_ascii=False) + "\n"


def _told(name: str, found: Provenance) -> str:
    told, mark = found.credentials, found.watermark
    rows = [("credentials", STATES[told.state])]
    if told.state != NONE:
        rows += [
            ("generated", "by AI, wholly or in part" if told.ai else "nothing is said of AI"),
            ("program", told.generator),
            ("signed by", told.signer),
            ("model", " ".join(filter(None, (told.model, told.model_hash)))),
            ("done", ", ".join(told.actions)),
            ("problems", ", ".join(told.problems)),
        ]
    sign = f"{mark.name} {mark.text}".strip() if mark is not None else "none known"
    rows.append(("watermark", sign if mark is None else f"{sign} ({mark.agreement:.0%})"))
    body = "".join(f"  {label + ':':13}{value}\n" for label, value in rows if value)
    return f"{name}\n{body}"
