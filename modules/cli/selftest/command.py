"""`launch.py selftest`: tries every capability and prints a table, or one JSON object a line."""

from __future__ import annotations

import argparse
import json
import logging
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from modules.cli.selftest.bench import Absent, Bench, Failure
from modules.cli.selftest.cases import Case, all_cases
from modules.cli.session import Session
from modules.requests.errors import RequestError
from modules.settings.flags import parse_flags
from modules.settings.paths import Paths

OK, FAILED, SKIPPED = "ok", "failed", "skipped"


@dataclass(frozen=True)
class Row:
    """How one capability did."""

    group: str
    name: str
    state: str
    """ok, failed or skipped."""
    seconds: float
    reason: str = ""


def main(arguments: list[str]) -> int:
    """Try everything; the exit code: 1 when something failed."""
    asked, rest = build_parser().parse_known_args(arguments)
    own = Paths.from_flags(parse_flags(rest))  # a mistyped flag is told before anything is made
    # Weights that nobody can make up are taken from the user's folders.
    rest += ["--gfpgan-models-path", str(own.gfpgan)]
    rest += ["--codeformer-models-path", str(own.codeformer)]
    logging.basicConfig(level=logging.CRITICAL)
    signal.signal(signal.SIGTERM, _end)
    cases = [case for case in all_cases() if _is_wanted(case, asked.only)]
    tell: Callable[[dict[str, Any]], None] = _tell_json if asked.json else _tell
    tell({"event": "begin", "total": len(cases)})
    with tempfile.TemporaryDirectory(prefix="easel-selftest-", dir=asked.folder) as folder:
        rows = try_all(cases, [*rest, "--data-dir", folder], tell)
    counts = {state: sum(row.state == state for row in rows) for state in (OK, FAILED, SKIPPED)}
    tell({"event": "end", **counts, "seconds": round(sum(row.seconds for row in rows), 2)})
    return 1 if counts[FAILED] else 0


def build_parser() -> argparse.ArgumentParser:
    """The parser of `launch.py selftest`."""
    parser = argparse.ArgumentParser(
        prog="launch.py selftest",
        allow_abbrev=False,
        description="Try every capability once, offline, on tiny random models that are made for "
        "it in a temporary folder. Your own files are not touched. --use-cpu, --no-half and the "
        "other engine flags of `launch.py serve` work too.",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument(
        "--only", metavar="GROUP", action="append", help="engine, sampler, img2img, …; repeatable"
    )
    parser.add_argument("--folder", type=Path, help="where the temporary folder is made")
    return parser


def try_all(
    cases: list[Case], flags: list[str], tell: Callable[[dict[str, Any]], None]
) -> list[Row]:
    """Carry the cases out, one after the other."""
    rows = []
    with Session.open(parse_flags(flags), None) as session:
        bench = Bench(session)
        for case in cases:
            row = _tried(case, bench)
            rows.append(row)
            tell({"event": "row", **asdict(row)})
    return rows


def _tried(case: Case, bench: Bench) -> Row:
    begun = time.perf_counter()
    state, reason = OK, ""
    try:
        case.run(bench)
    except Absent as error:
        state, reason = SKIPPED, str(error)
    except Failure as error:
        state, reason = FAILED, str(error)
    except RequestError as error:
        state, reason = FAILED, error.sentence
    except Exception as error:  # one capability must not end the table
        state, reason = FAILED, f"{type(error).__name__}: {error}"
    seconds = round(time.perf_counter() - begun, 3)
    return Row(case.group, case.name, state, seconds, " ".join(reason.split()))


def _is_wanted(case: Case, only: list[str] | None) -> bool:
    return not only or case.group in only or case.group == "engine"


def _tell_json(line: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def _tell(line: dict[str, Any]) -> None:
    if line["event"] == "row":
        text = f"{line['state']:8} {line['seconds']:7.2f} s  {line['group']}: {line['name']}"
        sys.stdout.write(text + (f"  {line['reason']}" if line["reason"] else "") + "\n")
    elif line["event"] == "end":
        text = "{ok} work, {failed} failed, {skipped} could not be tried, in {seconds} s.\n"
        sys.stdout.write(text.format(**line))
    sys.stdout.flush()


def _end(*_: object) -> None:
    raise SystemExit(130)
