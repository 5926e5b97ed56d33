"""Every registered route stands in the table of gates, and behaves as its line there says."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from dataclasses import replace

import pytest
from starlette.routing import Mount, WebSocketRoute

from modules.settings.flags import parse_flags
from modules.web.app import create_app
from modules.web.compose import build_context
from modules.web.exposure import gate_config
from modules.web.gate import local_only
from modules.web.gate.attempts import Attempts
from modules.web.gradio_door import GradioDoor
from tests.support.coroutines import finish
from tests.web import gates

FAR = ("192.0.2.7", 40000)
HOST = "192.0.2.1:7860"
PAGE_USER, API_USER = "ann:page-password", "bob:api-password"


@pytest.fixture(scope="module")
def gate(tmp_path_factory):
    """The whole application as ``--listen`` with both kinds of login serves it."""
    data = str(tmp_path_factory.mktemp("gates"))
    flags = ["--data-dir", data, "--no-hashing", "--listen", "--api-server-stop"]
    flags += ["--gradio-auth", PAGE_USER, "--api-auth", API_USER]
    context = build_context(parse_flags(flags))
    yield create_app(context, gate_config(context.flags))
    context.jobs.stop()
    context.lock.release()


def innermost(app):
    while not hasattr(app, "routes"):
        app = next(getattr(app, name) for name in ("app", "_plain", "_app") if hasattr(app, name))
    return app


def walk(routes, before="") -> Iterator[tuple[str, str]]:
    for route in routes:
        if isinstance(route, Mount):
            inner = innermost(route.app.app if isinstance(route.app, GradioDoor) else route.app)
            yield from walk(inner.routes, before + route.path)
        elif hasattr(route, "effective_candidates"):  # a router that FastAPI has included
            yield from walk(route.effective_candidates(), before)
        else:
            known = getattr(route, "original_route", None) or route
            path = getattr(route, "path", "") or getattr(known, "path", "")
            if isinstance(known, WebSocketRoute) or not getattr(route, "methods", None):
                yield "WS", before + (path or "/live/ws")
            for method in getattr(route, "methods", None) or ():
                yield method, before + path


def test_every_route_stands_in_the_table_and_the_table_names_no_other(gate):
    found = set(walk(innermost(gate).routes))
    known = set(gates.ALL)
    assert len(gates.ALL) == len(known), "a route stands in the table twice"
    assert found - known == set(), "write the new route into tests/web/gates.py"
    assert known - found == set(), "these routes are gone: take them out of tests/web/gates.py"
    assert len(found) > 150


def filled(path):
    return re.sub(r"\{[^}]*\}", "x", path)


def ask(gate, method, path, client=FAR, **headers):
    """The status; 0 when the application itself was reached and its answer did not matter."""
    given = {"host": HOST, **{name.replace("_", "-"): value for name, value in headers.items()}}
    scope = {
        "type": "websocket" if method == "WS" else "http",
        "method": method,
        "path": filled(path),
        "raw_path": filled(path).encode(),
        "root_path": "",
        "query_string": b"",
        "scheme": "ws" if method == "WS" else "http",
        "client": client,
        "server": ("192.0.2.1", 7860),
        "headers": [(k.encode(), v.encode()) for k, v in given.items() if v is not None],
    }
    reached, sent = [], []

    async def inner(scope, receive, send):
        reached.append(True)

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        sent.append(message)

    app, gate.app = gate.app, inner
    gate.clients._buckets.clear()
    gate.door.attempts = Attempts()
    try:
        finish(gate(scope, receive, send))
    finally:
        gate.app = app
    if reached:
        return 0
    return sent[0].get("status", 403 if sent[0]["type"] == "websocket.close" else None)


def basic(text):
    return "Basic " + base64.b64encode(text.encode()).decode()


def every(gate, routes, **headers):
    return {ask(gate, method, path, **headers) for method, path in routes}


OPEN = gates.lines(gates.OPEN_READ)
BEHIND_PAGE = gates.lines(
    gates.PAGE_READ,
    gates.PAGE_ASKS,
    gates.PAGE_CHANGES,
    gates.GRADIO_READ,
    gates.GRADIO_CHANGES,
    gates.CLOSED,
)
BEHIND_API = gates.lines(gates.API_READ, gates.API_ASKS, gates.API_CHANGES)


def test_without_a_login_only_the_open_ones_answer(gate):
    assert every(gate, OPEN) == {0}
    assert every(gate, BEHIND_PAGE) <= {401, 403}
    assert every(gate, BEHIND_API) == {401}


def test_the_login_of_the_page_opens_everything_and_that_of_the_api_only_the_api(gate):
    everything = [*OPEN, *BEHIND_PAGE, *BEHIND_API]
    assert every(gate, everything, authorization=basic(PAGE_USER)) == {0}
    assert every(gate, BEHIND_API, authorization=basic(API_USER)) == {0}
    assert every(gate, BEHIND_PAGE, authorization=basic(API_USER)) <= {401, 403}
    assert every(gate, everything[1:], authorization=basic("ann:wrong")) <= {401, 403}


def test_no_route_answers_to_a_foreign_name_even_with_the_password(gate):
    for host in ("evil.test", "evil.test:7860", None):
        given = {"authorization": basic(PAGE_USER), "host": host}
        assert every(gate, gates.ALL, **given) == {403}


def test_no_route_answers_other_websites_even_with_the_password(gate):
    login = {"authorization": basic(PAGE_USER)}
    assert every(gate, gates.ALL, **login, sec_fetch_site="cross-site") == {403}
    assert every(gate, gates.ALL, **login, origin="https://evil.test") == {403}
    assert every(gate, gates.ALL, **login, origin="null") == {403}
    assert every(gate, gates.ALL, **login, origin="http://192.0.2.1:3000") == {403}


def test_a_stolen_visit_changes_nothing(gate):
    """A cookie comes along by itself; what changes something needs a browser's word besides."""
    cookie = gate.config.login.sessions.begin(False).partition(";")[0]
    assert every(gate, gates.CHANGES, cookie=cookie) == {403}
    own = {"cookie": cookie, "origin": f"http://{HOST}"}
    assert every(gate, gates.CHANGES, **own) == {0}


NEAR = ("127.0.0.1", 40000)
HERE = "127.0.0.1:7860"


def test_extensions_are_changed_from_this_machine_alone(gate):
    login = {"authorization": basic(PAGE_USER)}
    assert every(gate, gates.LOCAL, **login) == {403}
    assert every(gate, gates.LOCAL, **login, host=HERE) == {403}
    assert every(gate, gates.LOCAL, client=NEAR, host=HERE) == {401}
    assert every(gate, gates.LOCAL, **login, client=NEAR, host=HERE) == {0}
    assert every(gate, gates.LOCAL, **login, client=NEAR, host="localhost") == {0}


@pytest.mark.parametrize("header", local_only.PROXIES)
def test_extensions_are_not_changed_through_a_proxy_on_this_machine(gate, header):
    given = {"authorization": basic(PAGE_USER), "client": NEAR, "host": HERE, header: "x"}
    assert every(gate, gates.LOCAL, **given) == {403}


def test_extensions_are_not_changed_by_a_name_or_page_of_another_machine(gate):
    login = {"authorization": basic(PAGE_USER), "client": NEAR}
    assert every(gate, gates.LOCAL, **login, host=HOST) == {403}
    assert every(gate, gates.LOCAL, **login, host=HERE, origin="http://192.0.2.1") == {403}
    assert every(gate, gates.LOCAL, **login, host=HERE, origin=f"http://{HERE}") == {0}


def test_a_flag_lets_others_change_extensions(gate):
    kept = gate.config
    gate.config = replace(kept, extensions_from_anywhere=True)
    try:
        assert every(gate, gates.LOCAL, authorization=basic(PAGE_USER)) == {0}
        assert every(gate, gates.LOCAL) == {401}
    finally:
        gate.config = kept


def test_reads_are_reads_and_changes_are_none():
    """Browsers send reads for other websites and with cookies: they must change nothing."""
    assert {method for method, _ in gates.READS} <= {"GET", "HEAD", "WS"}
    assert {method for method, _ in gates.LOCAL} <= {"POST", "PUT", "DELETE", "PATCH"}
    assert {method for method, _ in gates.CHANGES} <= {"POST", "PUT", "DELETE", "PATCH"}


def test_the_closed_ones_are_closed(gate):
    door = next(route.app for route in innermost(gate).routes if isinstance(route, Mount))
    assert isinstance(door, GradioDoor)
    for method, path in gates.lines(gates.CLOSED):
        scope = {"type": "http", "method": method, "path": filled(path)}
        assert not door._known(scope), f"{method} {path}"
    for method, path in gates.lines(gates.GRADIO_READ, gates.GRADIO_CHANGES):
        scope = {"type": "http", "method": method, "path": filled(path)}
        assert door._known(scope), f"{method} {path}"
