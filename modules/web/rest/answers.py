"""JSON answers and error shapes that A1111's clients expect, with one sentence for people."""

from __future__ import annotations

import errno
import json
import logging
import math
import sqlite3
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from modules.jobs.records import QueueFull, UnknownJob
from modules.requests.errors import RequestError, shorten
from modules.settings.options import OptionError

log = logging.getLogger("easel.api")

NO_SPACE = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))
DISK_ERRORS = (*NO_SPACE, errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO)
"""What a disk or a folder says that refuses; every other fault is the program's."""


class SafeJSON(JSONResponse):
    """JSON that can always be written: no NaN, and half characters as escapes."""

    def render(self, content: Any) -> bytes:
        try:
            return json.dumps(
                content, ensure_ascii=False, allow_nan=False, separators=(",", ":")
            ).encode("utf-8")
        except (ValueError, UnicodeEncodeError):
            return json.dumps(finite(content), allow_nan=False, separators=(",", ":")).encode()


def finite(value: Any) -> Any:
    """The same structure with NaN and infinities as ``null``."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {str(key): finite(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(entry) for entry in value]
    return value


def error_answer(
    status: int, kind: str, sentence: str, headers: dict[str, str] | None = None, **more: Any
) -> Response:
    """A1111's shape of an error: ``error``, ``detail``, ``body``, ``errors``, and what we add."""
    body = {"error": kind, "detail": sentence, "body": "", "errors": sentence, **more}
    return SafeJSON(body, status_code=status, headers=headers)


def install_error_answers(app: FastAPI) -> None:
    """Turn every exception into an answer of that shape; only true faults are logged."""

    @app.exception_handler(HTTPException)
    async def http_error(request: Request, error: HTTPException) -> Response:
        headers = dict(error.headers or {})
        return error_answer(error.status_code, "HTTPException", str(error.detail), headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        return validation_answer(error.errors())

    @app.exception_handler(RequestError)
    async def refused(request: Request, error: RequestError) -> Response:
        return request_error_answer(error)

    @app.exception_handler(OptionError)
    async def bad_option(request: Request, error: OptionError) -> Response:
        return error_answer(
            422,
            "OptionError",
            error.sentence,
            field=error.key,
            value=shorten(error.value),
            allowed=error.allowed,
        )

    @app.exception_handler(UnknownJob)
    async def unknown(request: Request, error: UnknownJob) -> Response:
        return error_answer(404, "UnknownJob", f"There is no such job: {shorten(error.job_id)!r}.")

    @app.exception_handler(QueueFull)
    async def full(request: Request, error: QueueFull) -> Response:
        retry = {"Retry-After": str(error.retry_after)}
        return error_answer(429, "QueueFull", str(error), retry)

    @app.exception_handler(sqlite3.OperationalError)
    async def refused_row(request: Request, error: sqlite3.OperationalError) -> Response:
        log.error("%s %s: %s", request.method, request.url.path, error)
        return disk_answer("The queue", str(error), full="full" in str(error))

    @app.exception_handler(OSError)
    async def refused_file(request: Request, error: OSError) -> Response:
        if error.errno not in DISK_ERRORS:
            return await fault(request, error)
        log.error("%s %s: %s", request.method, request.url.path, error)
        name = Path(str(error.filename)).name if error.filename else "A file"
        return disk_answer(name, error.strerror or "", full=error.errno in NO_SPACE)

    @app.exception_handler(Exception)
    async def fault(request: Request, error: Exception) -> Response:
        log.error("%s %s failed", request.method, request.url.path, exc_info=error)
        sentence = "An unexpected error; the server's log has the details."
        return error_answer(500, type(error).__name__, sentence)


def disk_answer(what: str, reason: str, *, full: bool) -> Response:
    """Something could not be written: 507 when no space is left, else 503. Nothing was changed."""
    if full:
        sentence = (
            f"{what} could not be written: no space is left on the disk. Nothing was changed."
        )
        return error_answer(507, "DiskFull", sentence)
    sentence = f"{what} could not be written: {reason}. Nothing was changed."
    return error_answer(503, "DiskRefuses", sentence)


def request_error_answer(error: RequestError) -> Response:
    """422 with the field, the value and what is allowed; scripts as A1111 words them."""
    sentence = error.sentence
    if error.field in ("script_name", "alwayson_scripts"):
        sentence = sentence.partition(": ")[2]
    return error_answer(
        422,
        type(error).__name__,
        sentence,
        field=error.field,
        value=error.value,
        allowed=getattr(error, "allowed", None),
    )


def validation_answer(errors: Any) -> Response:
    """422 for values of the wrong type or range, without echoing the values back."""
    detail = [
        {
            "loc": [shorten(part) if isinstance(part, str) else part for part in entry["loc"]],
            "msg": shorten(entry["msg"], 500),
            "type": entry["type"],
        }
        for entry in list(errors)[:50]
    ]
    field, sentence = None, "The request is not valid."
    if detail:
        names = [str(part) for part in detail[0]["loc"] if part != "body"]
        field = ".".join(names) or None
        sentence = f"{field or 'body'}: {detail[0]['msg']}"
    return SafeJSON(
        {
            "detail": detail,
            "error": "ValidationError",
            "errors": sentence,
            "body": "",
            "field": field,
        },
        status_code=422,
    )
