"""A1111's ``errors``: reporting what went wrong."""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Callable
from typing import Any

log = logging.getLogger("easel.addons")

exception_records: list[Any] = []
_told: set[str] = set()


def report(message: str, *, exc_info: bool = False) -> None:
    """Log a message, with the exception being handled if asked."""
    log.error("%s", message, exc_info=exc_info)


def print_error_explanation(message: str) -> None:
    """Log a message."""
    log.error("%s", message)


def display(e: BaseException, task: str, *, full_traceback: bool = False) -> None:
    """Log an exception."""
    log.error("%s: %s", task, "".join(traceback.format_exception(e)))


def display_once(e: BaseException, task: str) -> None:
    """Log an exception once for a task."""
    if task not in _told:
        _told.add(task)
        display(e, task)


def run(code: Callable[[], Any], task: str) -> None:
    """Call a function; what it does wrong is logged."""
    try:
        code()
    except Exception as error:
        display(error, task)


def print_exception(message: str = "") -> None:
    """Log the exception being handled."""
    error = sys.exc_info()[1]
    if error is not None:
        display(error, message)


def check_versions() -> None:
    """The program checks its own packages."""
