"""Safe mode: a start without what may have broken the ones before, and the way out of it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import replace

from fastapi import APIRouter
from fastapi.responses import Response

from modules.settings.flags import Flags
from modules.settings.notices import Notice
from modules.settings.start_record import StartRecord
from modules.web.context import AppContext
from modules.web.rest.answers import SafeJSON, error_answer

FLAG = "--safe-mode"
_WITHOUT = "without extensions and your own style sheet and script, and with default settings"


def safely(flags: Flags, record: StartRecord | None) -> Flags:
    """The flags with safe mode switched on when the last starts failed."""
    return replace(flags, safe_mode=True) if record is not None and record.safe else flags


def safe_mode_notice(record: StartRecord | None) -> Notice:
    """Why the program is in safe mode, for the banner."""
    if record is None or not record.safe:
        text = f"Safe mode: Easel runs {_WITHOUT}; changes last until it ends."
        return Notice("safe-mode", text, "safe_mode", action="leave_safe_mode", lasting=True)
    text = (
        f"The last {record.failed} starts did not finish, so Easel runs in safe mode: {_WITHOUT}. "
        "Changes last until it ends. What failed is in the log."
    )
    return Notice(
        "safe-mode",
        text,
        "safe_mode_failed",
        {"count": str(record.failed)},
        action="leave_safe_mode",
        lasting=True,
    )


def safe_mode_router(context: AppContext) -> APIRouter:
    """The button of the banner."""
    router = APIRouter(prefix="/easel/v1/safe-mode", tags=["server"])

    @router.post("/leave")
    async def leave() -> Response:
        """Start the program again without safe mode; waiting jobs stay stored."""
        if not context.flags.safe_mode:
            return error_answer(409, "NotSafeMode", "Easel is not in safe mode.")
        return begin_again(context)

    return router


def begin_again(context: AppContext) -> Response:
    """End the server as soon as this answer is sent, and start it anew without safe mode."""
    if os.name != "posix":
        return error_answer(501, "NotImplemented", "Stop Easel and start it again by hand.")
    context.starts_again = True
    # As Ctrl+C does: this answer is still sent.
    asyncio.get_running_loop().call_soon(signal.raise_signal, signal.SIGINT)
    return SafeJSON("Starting again.")


def start_again(arguments: Sequence[str] | None = None) -> None:
    """Become the same program without safe mode; does not return."""
    words = list(sys.orig_argv if arguments is None else arguments)
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, *(word for word in words[1:] if word != FLAG)])
