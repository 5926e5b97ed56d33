"""The REST routes, in this process and without an engine, and requests made from their OpenAPI."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from hypothesis import strategies as st

from modules.settings.flags import parse_flags
from modules.web.app import create_app
from modules.web.compose import build_context
from tests.fuzz.targets import Target

LEFT_OUT = (
    "/easel/v1/safe-mode",  # replaces this process
    "/easel/v1/selftest",  # starts programs
    "/easel/v1/downloads",  # looks hosts up
    "/easel/v1/extensions",
    "/sdapi/v1/options",  # would make room in the queue
    "/easel/v1/settings",
    "/easel/v1/queue",
    "/sdapi/v1/unload-checkpoint",  # wait for an engine
    "/sdapi/v1/reload-checkpoint",
    "/easel/v1/models/",
)
PATIENCE = 10.0
"""Seconds for one answer."""
NASTY = (
    *("", "\x00", "\ud800", "../../etc/passwd", "/etc/passwd", "a" * 5000, "<img src=x onerror=a>"),
    *(
        "NaN",
        "-1",
        "1e999",
        "null",
        "input:" + "0" * 64,
        "http://127.0.0.1/x",
        "file:///etc/passwd",
    ),
    *("%00", "..%2f", "\u202e", "{{7*7}}", "'; DROP TABLE jobs; --", "[a:b:0.5]" * 500, "😀" * 300),
)
NUMBERS = (0, -1, 1, 2**31, 2**63, 2**70, -(2**63), 1e308, -0.0, 0.5, 10**400)


class Rest:
    """The application, as a client of its own process sees it."""

    def __init__(self, app: Any, gate: Any) -> None:
        self._client = httpx.AsyncClient(
            transport=httpx.ASGITransport(app=gate, raise_app_exceptions=False),
            base_url="http://127.0.0.1:7860",
        )
        self._loop = asyncio.new_event_loop()
        # A thread of its own: in a test's thread Playwright's loop may still be running.
        self._thread = ThreadPoolExecutor(1)
        self.openapi: dict[str, Any] = app.openapi()

    def send(self, method: str, path: str, **how: Any) -> httpx.Response | None:
        """The answer; None where the route waits for a picture that nobody draws."""
        asked = self._client.request(method, path, **how)
        try:
            return self._finish(asyncio.wait_for(asked, PATIENCE))
        except asyncio.TimeoutError:
            return None

    def close(self) -> None:
        """End the client."""
        self._finish(self._client.aclose())
        self._loop.close()
        self._thread.shutdown()

    def _finish(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self._thread.submit(self._loop.run_until_complete, work).result()


@contextmanager
def rest_without_engine(data: Path) -> Iterator[Rest]:
    """The application over an empty data folder; its queue is full, so that nothing waits."""
    logging.getLogger("easel").setLevel(logging.CRITICAL)
    flags = parse_flags(["--data-dir", str(data), "--test-mode", "--nowebui"])
    context = build_context(flags)
    gate = create_app(context)
    app = gate
    while not hasattr(app, "openapi"):
        app = next(value for value in vars(app).values() if callable(value) and value is not app)
    made = Rest(app, gate)
    try:
        waiting = made.send("POST", "/easel/v1/jobs", json={"prompt": "a", "steps": 1})
        assert waiting is not None and waiting.status_code == 200, waiting and waiting.text
        context.options.set_many({"max_queued_jobs": 1}, save=False)
        yield made
    finally:
        made.close()
        context.jobs.store.close()


def operations(openapi: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    """Method, path and description of every route that is fuzzed."""
    return [
        (method.upper(), path, told)
        for path, methods in openapi["paths"].items()
        if not path.startswith(LEFT_OUT)
        for method, told in methods.items()
    ]


def values(schema: dict[str, Any], root: dict[str, Any], depth: int = 0) -> st.SearchStrategy[Any]:
    """Values that fit a JSON schema, near enough, and now and then ones that do not."""
    schema = _resolved(schema, root)
    fitting = _fitting(schema, root, depth)
    if depth > 3:
        return fitting
    return st.one_of(fitting, fitting, fitting, _any_value())


def _any_value() -> st.SearchStrategy[Any]:
    return st.one_of(
        st.sampled_from(NASTY),
        st.sampled_from(NUMBERS),
        st.none(),
        st.booleans(),
        st.just([[]] * 3),
        st.just({"a": {"b": []}}),
    )


def _resolved(schema: dict[str, Any], root: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in schema:
        schema = root["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema


def _fitting(schema: dict[str, Any], root: dict[str, Any], depth: int) -> st.SearchStrategy[Any]:
    several = schema.get("anyOf") or schema.get("oneOf")
    if several:
        return st.one_of([values(one, root, depth + 1) for one in several])
    if "enum" in schema or "const" in schema:
        return st.sampled_from(schema.get("enum") or [schema["const"]])
    kind = schema.get("type")
    if kind == "object" and schema.get("properties") and depth < 4:
        return _objects(schema, root, depth)
    if kind == "object":
        return st.dictionaries(
            st.sampled_from(("a", "sd_vae", *NASTY[:5])), _any_value(), max_size=2
        )
    if kind == "array":
        inner = values(schema.get("items") or {}, root, depth + 1)
        return st.lists(inner, max_size=2)
    if kind == "integer":
        return st.one_of(st.integers(-1, 100), st.sampled_from(NUMBERS))
    if kind == "number":
        return st.one_of(st.floats(allow_nan=False, allow_infinity=False), st.integers(-1, 9))
    if kind == "boolean":
        return st.booleans()
    return st.one_of(st.sampled_from(NASTY), st.text(max_size=6))


def _objects(schema: dict[str, Any], root: dict[str, Any], depth: int) -> st.SearchStrategy[Any]:
    """A few of an object's fields; all of the required ones, mostly."""
    named: dict[str, Any] = schema["properties"]
    required = [name for name in schema.get("required", []) if name in named]

    @st.composite
    def made(draw: st.DrawFn) -> dict[str, Any]:
        chosen = draw(st.lists(st.sampled_from(sorted(named)), max_size=4, unique=True))
        return {
            name: draw(values(named[name], root, depth + 1))
            for name in dict.fromkeys([*required, *chosen])
        }

    return made()


def requests_for(
    method: str, path: str, told: dict[str, Any], root: dict[str, Any]
) -> st.SearchStrategy[dict[str, Any]]:
    """Arguments for `Rest.send`."""

    @st.composite
    def made(draw: st.DrawFn) -> dict[str, Any]:
        place, query = path, {}
        for one in told.get("parameters", []):
            text = _text(draw(values(one.get("schema", {}), root, 2)))
            if one["in"] == "path":
                place = place.replace("{" + one["name"] + "}", _quoted(text))
            elif one["in"] == "query" and (one.get("required") or draw(st.booleans())):
                query[one["name"]] = text
        how: dict[str, Any] = {"method": method, "path": place, "params": query or None}
        body = told.get("requestBody", {}).get("content", {}).get("application/json")
        if body is not None:
            how["content"] = _json(draw(values(body.get("schema", {}), root)))
            how["headers"] = {"Content-Type": "application/json"}
        elif method in ("POST", "PUT"):
            how["content"] = draw(st.one_of(st.binary(max_size=30), st.just(b'{"image": "x"}')))
        return how

    return made()


def _text(value: Any) -> str:
    return str(value).encode("utf-8", "replace").decode()[:2000]


def _quoted(text: str) -> str:
    from urllib.parse import quote

    return quote(text, safe="") or "x"


def _json(value: Any) -> bytes:
    import json

    return json.dumps(value).encode("ascii")


def rest_target(rest: Rest) -> Target:
    """All routes as one thing to fuzz."""
    strategies = [requests_for(*route, rest.openapi) for route in operations(rest.openapi)]
    return Target("rest", st.one_of(strategies), lambda how: check(rest, how))


def check(rest: Rest, how: dict[str, Any]) -> None:
    """One request; nothing may go wrong on our side."""
    answer = rest.send(**how)
    if answer is None:  # it waits for its picture
        return
    unready = answer.status_code == 503 and answer.headers["content-type"] == "application/json"
    assert unready or answer.status_code < 500, (how, answer.status_code, answer.text[:300])
    if answer.headers.get("content-type", "").startswith("application/json"):
        answer.json()
    assert "Traceback" not in answer.text[:5000]
