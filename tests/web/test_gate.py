"""The gate alone: what passes, what is refused, and what every answer carries."""

from __future__ import annotations

import asyncio
import base64
import json

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from modules.settings.flags import Flags
from modules.web.exposure import StartRefused, first_url, gate_config
from modules.web.gate import Gate, GateConfig
from modules.web.gate.headers import page_policy, without_external_parts
from modules.web.gate.hosts import HostList
from modules.web.gate.login import Links, Login, parse_users
from modules.web.gate.origins import OriginRule
from tests.support.coroutines import finish

LOCAL = {"host": "127.0.0.1:7860"}


async def echo(scope, receive, send):
    """Reads the whole body and answers with its length."""
    size = 0
    while True:
        message = await receive()
        size += len(message.get("body", b""))
        if message["type"] == "http.disconnect":
            raise RuntimeError("the client went away")
        if not message.get("more_body"):
            break
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(size).encode()})


def config(**changes):
    return GateConfig(**{"hosts": HostList(frozenset()), **changes})


def call(method="GET", path="/", headers=None, body=(b"",), gate=None, query=b"", delay=0.0):
    """(status, headers, body) of one request through a gate around ``echo``."""
    given = {**LOCAL, **(headers or {})}
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": query,
        "scheme": "http",
        "headers": [(k.encode(), v.encode("latin-1")) for k, v in given.items() if v is not None],
    }
    parts, sent = list(body), []

    async def receive():
        await asyncio.sleep(delay)
        part = parts.pop(0)
        return {"type": "http.request", "body": part, "more_body": bool(parts)}

    async def send(message):
        sent.append(message)

    door = gate if isinstance(gate, Gate) else Gate(echo, gate or config())
    finish(door(scope, receive, send))
    found = {k.decode(): v.decode() for k, v in sent[0]["headers"]}
    return sent[0]["status"], found, b"".join(m.get("body", b"") for m in sent[1:])


def connect(headers=None, gate=None, path="/live/ws"):
    """Whether a WebSocket handshake reaches the application."""
    reached = []

    async def app(scope, receive, send):
        reached.append(True)

    given = {**LOCAL, **(headers or {})}
    scope = {
        "type": "websocket",
        "path": path,
        "scheme": "ws",
        "headers": [(k.encode(), v.encode()) for k, v in given.items()],
    }

    async def send(message):
        assert message["type"] == "websocket.close"

    async def receive():
        return {"type": "websocket.connect"}

    door = gate if isinstance(gate, Gate) else Gate(app, gate or config())
    door.app = app
    finish(door(scope, receive, send))
    return bool(reached)


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:7860", "127.0.0.1", "127.0.0.1:1", "[::1]", "[::1]:7860"],
)
def test_local_hosts_are_ours(host):
    assert call(headers={"host": host})[0] == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.test",
        "evil.test:7860",
        "127.0.0.1.evil.test",
        "localhost.evil.test",
        "evil.test@localhost",
        "localhost:99999",
        "localhost:",
        "local host",
        "192.168.1.5:7860",
        "0.0.0.0:7860",
        "[::1",
        "127.0.0.1/x",
        "",
        None,
    ],
)
def test_other_hosts_are_refused(host):
    assert call(headers={"host": host})[0] == 403


def test_two_host_headers_are_refused():
    scope_headers = [(b"host", b"localhost"), (b"host", b"evil.test")]
    sent = []

    async def run():
        scope = {
            "type": "http",
            "method": "GET",
            "path": "/",
            "scheme": "http",
            "headers": scope_headers,
        }

        async def send(message):
            sent.append(message)

        await Gate(echo, config())(scope, None, send)

    finish(run())
    assert sent[0]["status"] == 400


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": "http://127.0.0.1:7860"},
        {"origin": "http://127.0.0.1:7860", "sec-fetch-site": "same-origin"},
        {"sec-fetch-site": "none"},
    ],
)
def test_our_page_and_programs_may_change_things(headers):
    assert call("POST", headers=headers)[0] == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.test"},
        {"origin": "null"},
        {"origin": "http://localhost:3000"},
        {"origin": "http://127.0.0.1:7861"},
        {"origin": "http://127.0.0.1:7860.evil.test"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {
            "sec-fetch-site": "cross-site",
            "sec-fetch-mode": "navigate",
            "sec-fetch-dest": "document",
        },
        {"origin": "http://127.0.0.1:7860", "sec-fetch-site": "cross-site"},
    ],
)
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_other_websites_may_not_change_anything(method, headers):
    assert call(method, "/sdapi/v1/interrupt", headers)[0] == 403


def test_a_link_from_another_site_opens_the_page():
    link = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    assert call(headers={**link, "sec-fetch-dest": "document"})[0] == 200


@pytest.mark.parametrize("destination", ["image", "script", "iframe", "empty"])
def test_another_site_may_not_embed_or_read_anything(destination):
    headers = {"sec-fetch-site": "cross-site", "sec-fetch-dest": destination}
    assert call(headers=headers)[0] == 403
    assert call(headers={**headers, "sec-fetch-mode": "navigate"})[0] == 403


def test_a_preflight_from_another_site_gets_no_grant():
    status, headers, _ = call("OPTIONS", headers={"origin": "https://evil.test"})
    assert status == 403
    assert not [name for name in headers if name.startswith("access-control")]


def test_an_origin_that_the_user_allowed_passes():
    gate = config(
        origins=OriginRule.build("https://a.test, https://b.test", r"https://\w+\.ok\.test")
    )
    for origin in ("https://a.test", "https://B.test", "https://x.ok.test"):
        headers = {"origin": origin, "sec-fetch-site": "cross-site"}
        assert call("POST", headers=headers, gate=gate)[0] == 200
        assert connect({"origin": origin}, gate)
    assert call("POST", headers={"origin": "https://x.ok.test.evil"}, gate=gate)[0] == 403


def test_sockets_are_for_our_page_and_programs_only():
    assert connect()
    assert connect({"origin": "http://127.0.0.1:7860"})
    assert not connect({"origin": "https://evil.test"})
    assert not connect({"origin": "null"})
    assert not connect({"host": "evil.test"})
    assert not connect({"sec-fetch-site": "cross-site"})


def test_every_answer_carries_the_security_headers():
    for status, headers in ((200, None), (403, {"host": "evil.test"})):
        found = call(headers=headers)
        assert found[0] == status
        assert found[1]["x-content-type-options"] == "nosniff"
        assert "frame-ancestors 'none'" in found[1]["content-security-policy"]
        assert found[1]["referrer-policy"] == "no-referrer"
        assert found[1]["cross-origin-resource-policy"] == "same-origin"
        assert found[1]["cross-origin-opener-policy"] == "same-origin"
        assert float(found[1]["x-process-time"]) >= 0


def test_a_refusal_says_why_in_the_shape_clients_know():
    body = json.loads(call(headers={"host": "evil.test"})[2])
    assert set(body) == {"error", "detail", "body", "errors"}
    assert "evil.test" in body["detail"]


def test_a_body_that_says_it_is_too_large_is_refused_unread():
    gate = config(max_body_bytes=1000)
    assert call("POST", headers={"content-length": "1001"}, gate=gate)[0] == 413
    assert call("POST", headers={"content-length": "9" * 40}, gate=gate)[0] == 413
    assert call("POST", headers={"content-length": "-1"}, gate=gate)[0] == 400
    assert call("POST", headers={"content-length": "1000"}, body=[b"x" * 1000], gate=gate)[0] == 200


def test_a_body_that_grows_too_large_is_stopped_while_it_arrives():
    gate = config(max_body_bytes=1000)
    status, _, body = call("POST", body=[b"x" * 600] * 100, gate=gate)
    assert status == 413
    assert "larger than" in json.loads(body)["detail"]


def test_a_body_that_takes_too_long_is_given_up():
    gate = config(body_seconds=0.05)
    assert call("POST", body=[b"x"] * 100, gate=gate, delay=0.02)[0] == 408


def test_huge_headers_and_addresses_are_refused():
    assert call(headers={"x-long": "x" * 70000})[0] == 431
    assert call(query=b"x" * 20000)[0] == 414


def basic(text):
    return {"authorization": "Basic " + base64.b64encode(text.encode()).decode()}


def test_the_api_login_guards_the_api_only():
    gate = config(login=Login(api_users={"ann": "secret"}))
    assert call(path="/", gate=gate)[0] == 200
    status, headers, _ = call(path="/sdapi/v1/options", gate=gate)
    assert status == 401
    assert headers["www-authenticate"].startswith("Basic")
    for wrong in ("ann:wrong", "bob:secret", "ann:", ":", "nonsense"):
        assert call(path="/sdapi/v1/options", headers=basic(wrong), gate=gate)[0] == 401
    assert call(path="/sdapi/v1/options", headers=basic("ann:secret"), gate=gate)[0] == 200


def test_the_page_login_guards_everything_but_the_ping():
    gate = config(login=Login(page_users={"ann": "secret"}))
    for path in ("/", "/sdapi/v1/options", "/image/x", "/easel/v1/state", "/config", "/docs"):
        assert call(path=path, gate=gate)[0] == 401
    assert call(path="/internal/ping", gate=gate)[0] == 200
    assert not connect(gate=gate)
    status, headers, _ = call(path="/", headers=basic("ann:secret"), gate=gate)
    assert status == 200
    cookie = headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    session = {"cookie": cookie.partition(";")[0]}
    assert call(path="/sdapi/v1/options", headers=session, gate=gate)[0] == 200
    assert connect(session, gate)
    assert not connect({"cookie": "easel_session=guess"}, gate)


def routed(path, gate):
    """The status that a real router behind the gate answers with."""
    app = FastAPI()

    @app.get("/sdapi/v1/options")
    async def options():
        return {}

    guarded = TestClient(Gate(app, gate), base_url="http://127.0.0.1:7860")
    return guarded.get(path).status_code


@pytest.mark.parametrize(
    "path",
    [
        "/sub/sdapi/v1/options",
        "/sdapi/v1/options",
        "/sub/sub/sdapi/v1/options",
        "//sub/sdapi/v1/options",
        "/sub//sdapi/v1/options",
        "/sub/%73dapi/v1/options",
        "/%73ub/sdapi/v1/options",
        "/subsdapi/v1/options",
    ],
)
def test_no_spelling_of_the_subpath_gets_past_the_api_login(path):
    guarded = config(subpath="/sub", login=Login(api_users={"ann": "secret"}))
    assert routed(path, guarded) in (401, 404)
    assert routed("/sub/sdapi/v1/options", config(subpath="/sub")) == 200


def test_below_a_subpath_the_ping_is_open_and_sockets_ask_for_the_login():
    gate = config(subpath="/sub", login=Login(page_users={"ann": "secret"}))
    assert call(path="/sub/internal/ping", gate=gate)[0] == 200
    assert call(path="/internal/ping", gate=gate)[0] == 200
    assert call(path="/sub/sdapi/v1/options", gate=gate)[0] == 401
    assert not connect(gate=gate, path="/sub/live/ws")
    assert connect(basic("ann:secret"), gate, path="/sub/live/ws")


def test_below_a_subpath_the_start_up_link_leads_to_the_page_there():
    links = Links()
    gate = config(subpath="/sub", login=Login(token="t", links=links))
    for path in ("/sub/", "/"):
        query = f"token={links.current}".encode()
        assert call(path=path, query=query, gate=gate)[1]["location"] == "/sub/"


@pytest.mark.parametrize(("given", "meant"), [("sub", "/sub"), ("/a/b/", "/a/b"), ("/", "")])
def test_a_subpath_may_be_written_with_or_without_slashes(given, meant):
    assert gate_config(Flags(subpath=given)).subpath == meant


def test_without_a_login_an_authorization_header_is_ignored():
    assert call(path="/sdapi/v1/options", headers={"authorization": ""})[0] == 200
    assert call(path="/sdapi/v1/options", headers=basic("a:b"))[0] == 200


def test_open_to_the_network_without_a_login_makes_a_start_up_link():
    flags = Flags(listen=True)
    gate = gate_config(flags)
    token, link = gate.login.token, gate.login.links.current
    assert token
    assert first_url(flags, gate, 7860).endswith(f"?token={link}")
    assert call(path="/", gate=gate)[0] == 401
    status, headers, _ = call(path="/", query=f"token={link}".encode(), gate=gate)
    assert (status, headers["location"]) == (303, "/")
    session = {"cookie": headers["set-cookie"].partition(";")[0]}
    assert call(path="/", headers=session, gate=gate)[0] == 200
    bearer = {"authorization": f"Bearer {token}"}
    assert call(path="/sdapi/v1/options", headers=bearer, gate=gate)[0] == 200
    assert call(path="/", query=b"token=guess", gate=gate)[0] == 401


def test_the_start_up_link_never_leads_elsewhere():
    links = Links()
    gate = config(login=Login(token="t", links=links))
    for path, led in (("//evil.test/x", "/evil.test/x"), ("/\\evil.test", "/evil.test")):
        query = f"token={links.current}".encode()
        assert call(path=path, query=query, gate=gate)[1]["location"] == led


def test_open_to_the_network_any_address_of_this_machine_is_ours_but_no_foreign_name():
    hosts = gate_config(Flags(listen=True, gradio_auth="a:b")).hosts
    assert hosts.allows("192.168.1.5:7860")
    assert not hosts.allows("evil.test")


def test_with_a_page_login_no_start_up_link_is_needed():
    assert gate_config(Flags(listen=True, gradio_auth="a:b")).login.token is None
    assert gate_config(Flags()).login.token is None


@pytest.mark.parametrize(
    "flags",
    [Flags(share=True), Flags(api_auth="nocolon"), Flags(cors_allow_origins_regex="(")],
)
def test_flags_that_cannot_be_served_safely_are_refused_with_a_sentence(flags):
    with pytest.raises(StartRefused) as caught:
        gate_config(flags)
    assert str(caught.value).endswith(".") or ":" in str(caught.value)


def test_servers_on_two_ports_of_a_host_keep_their_own_sessions():
    first, second = (
        gate_config(Flags(gradio_auth="ann:secret", port=port)) for port in (7860, 7861)
    )
    cookies = [
        call(headers=basic("ann:secret"), gate=gate)[1]["set-cookie"].partition(";")[0]
        for gate in (first, second)
    ]
    both = {"cookie": "; ".join(cookies)}
    assert call(headers=both, gate=first)[0] == call(headers=both, gate=second)[0] == 200


def test_several_logins_can_be_given():
    assert parse_users("a:1,b:2:3", "--api-auth") == {"a": "1", "b": "2:3"}


def test_the_pages_own_scripts_are_allowed_by_hash_and_no_others():
    html = b"<script>one()</script><script src='x.js'></script><script type=module>two()</script>"
    policy = page_policy(html)
    assert policy.count("'sha256-") == 2
    assert "'unsafe-inline'" not in policy.partition("script-src")[2].partition(";")[0]
    assert "connect-src 'self'" in policy


def test_what_would_be_fetched_from_elsewhere_is_taken_out_of_the_page():
    html = (
        b'<link rel="preconnect" href="https://fonts.example" /><link href="/own.css">'
        b'<script src="https://cdn.example/x.js" async></script><script src="/own.js"></script>'
    )
    assert without_external_parts(html) == b'<link href="/own.css"><script src="/own.js"></script>'
