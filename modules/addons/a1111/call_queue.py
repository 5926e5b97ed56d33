"""A1111's ``call_queue``: wrappers round a button's function."""

from __future__ import annotations

import functools
import html
import threading
import time
from collections.abc import Callable
from typing import Any

from modules.addons import host

queue_lock = threading.Lock()


def wrap_queued_call(func: Callable[..., Any]) -> Callable[..., Any]:
    """One call at a time."""

    @functools.wraps(func)
    def f(*args: Any, **kwargs: Any) -> Any:
        with queue_lock:
            return func(*args, **kwargs)

    return f


def wrap_gradio_gpu_call(func: Callable[..., Any], extra_outputs: Any = None) -> Callable[..., Any]:
    """One call at a time, marked as a job; the last output is HTML that tells of it."""

    @functools.wraps(func)
    def f(*args: Any, **kwargs: Any) -> Any:
        from modules.addons.a1111 import shared

        with queue_lock:
            shared.state.begin(job=str(args[0]) if args else "")
            try:
                return func(*args, **kwargs)
            finally:
                shared.state.end()

    return wrap_gradio_call(f, extra_outputs=extra_outputs, add_stats=True)


def wrap_gradio_call(
    func: Callable[..., Any], extra_outputs: Any = None, add_stats: bool = False
) -> Callable[..., Any]:
    """What it does wrong becomes the last output, as text."""

    @functools.wraps(func)
    def f(*args: Any, **kwargs: Any) -> Any:
        started = time.perf_counter()
        try:
            res = list(func(*args, **kwargs))
        except Exception as error:
            code = getattr(func, "__code__", None)
            host.get().report(code.co_filename if code else "", "a button", error)
            given = extra_outputs or [None, ""]
            message = html.escape(f"{type(error).__name__}: {error}")
            return [*given, f"<div class='error'>{message}</div>"]
        if add_stats and res:
            took = time.perf_counter() - started
            res[-1] = f"{res[-1] or ''}<div class='performance'>{took:.1f} sec.</div>"
        return tuple(res)

    return f


wrap_gradio_call_no_job = wrap_gradio_call
