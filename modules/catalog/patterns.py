"""Regular expressions from outside: some take for ever, so they run in a process of their own."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import warnings
from collections.abc import Iterable

from modules.requests.errors import RequestError

MAX_LENGTH = 1000
SECONDS = 10.0
"""For all names of a model; a usual pattern takes some milliseconds."""

_SCRIPT = """
import json, re, sys
pattern, names = json.load(sys.stdin)
search = re.compile(pattern).search
json.dump([name for name in names if search(name)], sys.stdout)
"""


def check_pattern(pattern: str, field: str) -> None:
    """Refuse what is no regular expression.

    Raises:
        RequestError: it is none, or too long.
    """
    if len(pattern) > MAX_LENGTH:
        raise RequestError(field, pattern, f"it is too long; allowed: {MAX_LENGTH} letters.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        raise RequestError(field, pattern, f"it is no regular expression ({error}).") from None


def matching(pattern: str, names: Iterable[str], field: str) -> frozenset[str]:
    """The names in which a pattern is found; none for an empty pattern.

    Raises:
        RequestError: it is no regular expression, or takes for ever.
    """
    if not pattern:
        return frozenset()
    check_pattern(pattern, field)
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-W", "ignore", "-c", _SCRIPT],
            input=json.dumps([pattern, list(names)]).encode("ascii"),
            capture_output=True,
            check=True,
            timeout=SECONDS,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
    except subprocess.TimeoutExpired:
        reason = "it takes too long to search names with; write it more simply."
        raise RequestError(field, pattern, reason) from None
    except (OSError, subprocess.CalledProcessError):
        raise RequestError(field, pattern, "it cannot be searched with.") from None
    return frozenset(json.loads(done.stdout))
