"""Run a coroutine to its end, also where another event loop already runs in this thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any


def finish(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """The coroutine's result; what it raises is raised here.

    ``asyncio.run`` in the test's own thread refuses once a browser test has run there: Playwright
    keeps its loop running until the end.
    """
    results: list[Any] = []
    errors: list[BaseException] = []

    def work() -> None:
        try:
            results.append(asyncio.run(coroutine))
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]
