"""The whole server behind its gate, over real HTTP: every route, and Gradio's own."""

from __future__ import annotations

import json
import socket

import pytest

EVIL = {"Origin": "https://evil.test", "Sec-Fetch-Site": "cross-site"}


def routes(client):
    for path, methods in client.get("/openapi.json").json()["paths"].items():
        for method in methods:
            yield method.upper(), path.replace("{", "").replace("}", "")


def test_every_state_changing_route_refuses_other_websites(client):
    checked = [
        (method, path, client.send(method, path, headers=EVIL).status)
        for method, path in routes(client)
        if method != "GET"
    ]
    assert len(checked) > 25
    assert [entry for entry in checked if entry[2] != 403] == []


def test_every_route_refuses_foreign_host_names(client):
    checked = [
        client.send(method, path, headers={"Host": "evil.test"}).status
        for method, path in [*routes(client), ("GET", "/"), ("GET", "/config"), ("GET", "/docs")]
    ]
    assert set(checked) == {403}


@pytest.mark.parametrize(
    "path", ["/gradio_api/upload", "/gradio_api/queue/join", "/gradio_api/run/x"]
)
def test_gradios_own_routes_stand_behind_the_gate(client, path):
    assert client.post(path, b"x", headers=EVIL).status == 403
    assert client.post(path, b"x", headers={"Origin": "null"}).status == 403


def test_no_answer_grants_other_origins_anything(client):
    for path in ("/", "/sdapi/v1/options", "/config"):
        for headers in ({}, {"Origin": f"http://127.0.0.1:{client.port}"}):
            found = client.get(path, headers=headers).headers
            assert found.get("access-control-allow-origin") in (None, headers.get("Origin"))
    preflight = {**EVIL, "Access-Control-Request-Method": "POST"}
    assert client.send("OPTIONS", "/sdapi/v1/txt2img", headers=preflight).status == 403


def test_the_page_carries_its_policy_and_fetches_nothing_from_elsewhere(client):
    answer = client.get("/")
    policy = answer.headers["content-security-policy"]
    assert answer.status == 200
    assert "frame-ancestors 'none'" in policy
    assert "connect-src 'self'" in policy
    scripts = policy.partition("script-src")[2].partition(";")[0]
    assert "'unsafe-inline'" not in scripts
    assert "'sha256-" in scripts
    assert b'src="http' not in answer.body
    assert b'<link rel="preconnect"' not in answer.body


def test_the_page_is_compressed(client):
    plain = client.get("/")
    packed = client.get("/", headers={"Accept-Encoding": "gzip"})
    assert packed.headers["content-encoding"] == "gzip"
    assert len(packed.body) < len(plain.body) / 4


def test_a_path_that_was_not_uploaded_is_no_input_for_gradio(client, server):
    """Mounted Gradio skips this check unless it believes that it was launched."""
    secret = server.data_dir / "config.json"
    config = client.get("/config").json()
    payload = {"path": str(secret), "meta": {"_type": "gradio.FileData"}}
    for function in config["dependencies"]:
        body = {
            "data": [payload] * len(function["inputs"]),
            "fn_index": function["id"],
            "session_hash": "x",
        }
        answer = client.post("/gradio_api/run/predict", body)
        assert str(secret).encode() not in answer.body.replace(b"\\", b"") or answer.status >= 400
    cached = list((server.data_dir / "cache").rglob("config.json"))
    assert cached == []


def test_the_server_never_loads_torch(server):
    with open(f"/proc/{server.process.pid}/maps", encoding="utf-8") as maps:
        assert "libtorch" not in maps.read()


def test_a_request_that_never_finishes_its_headers_holds_up_no_one(client):
    sockets = [socket.create_connection(("127.0.0.1", client.port)) for _ in range(40)]
    try:
        for open_socket in sockets:
            open_socket.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ")
        assert client.get("/internal/ping").seconds < 2
    finally:
        for open_socket in sockets:
            open_socket.close()


def test_reads_stay_fast_while_a_job_runs(client):
    job_id = client.submit(steps=40, n_iter=10)
    times = []
    while len(times) < 100:
        state = json.loads(client.get("/sdapi/v1/progress").body)["state"]
        times.append(client.get("/sdapi/v1/progress").seconds)
        if not state["job_count"] and len(times) > 20:
            break
    client.post(f"/easel/v1/jobs/{job_id}/cancel")
    times.sort()
    assert times[len(times) // 2] < 0.1
