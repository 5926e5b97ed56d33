"""No address and no field of any request gives a file that is not a picture of ours."""

from __future__ import annotations

import json
import re
from urllib.parse import quote

import pytest

from tests.web import gates

CANARY = b"canary-4f1e9d that must never leave"


@pytest.fixture(scope="module")
def canaries(server):
    """Files that nobody may have: beside the program's own, hidden, and among the results."""
    data = server.data_dir
    (data / "outputs").mkdir(exist_ok=True)
    planted = [
        data / "canary.txt",
        data / ".canary",
        data / "outputs" / "canary.html",
        data / "outputs" / "canary.svg",
        data / "outputs" / ".canary.png",
    ]
    for path in planted:
        path.write_bytes(CANARY)
    yield planted
    for path in planted:
        path.unlink(missing_ok=True)


def spellings(path):
    """Ways to write a path that some server once fell for."""
    name = str(path)
    climb = "../" * 12 + name.lstrip("/")
    return [
        name,
        climb,
        quote(climb, safe=""),
        climb.replace("../", "..%2f"),
        climb.replace("../", "....//"),
        climb.replace("..", "%252e%252e"),
        climb.replace("/", "\\"),
        f"file://{name}",
        f"{name}%00.png",
        "//" + name.lstrip("/"),
    ]


STREAMS = ("queue/data", "heartbeat", "upload_progress", "startup-events", "/call/")
WITH_PATHS = sorted(
    {
        path
        for method, path in gates.READS
        if method == "GET" and "{" in path and not any(name in path for name in STREAMS)
    }
)


@pytest.mark.parametrize("route", WITH_PATHS)
def test_no_path_in_an_address_leads_to_a_file(client, canaries, route):
    asked = 0
    for path in (canaries[0], canaries[2]):
        for spelling in spellings(path):
            address = re.sub(r"\{[^}]*\}", lambda _, s=spelling: s, route)
            if not address.isascii() or " " in address:
                continue
            answer = client.get(address)
            asked += 1
            assert CANARY not in answer.body, address
            assert answer.status < 500, address
    assert asked >= 15


def queries(client):
    """(path, name) of every text that an address may carry."""
    for path, methods in client.get("/openapi.json").json()["paths"].items():
        for parameter in methods.get("get", {}).get("parameters", ()):
            kinds = json.dumps(parameter.get("schema", {}))
            if parameter["in"] == "query" and "string" in kinds:
                yield re.sub(r"\{[^}]*\}", "lora", path), parameter["name"]


def test_no_text_behind_an_address_leads_to_a_file(client, canaries):
    asked = 0
    for path, name in queries(client):
        for spelling in (str(canaries[0]), "../" * 12 + str(canaries[0]).lstrip("/")):
            answer = client.get(f"{path}?{name}={quote(spelling, safe='')}")
            asked += 1
            assert CANARY not in answer.body, (path, name)
            assert answer.status < 500, (path, name)
    assert asked > 10


def fields(schema, part):
    """Names of the properties of a body."""
    for option in part.get("anyOf", ()):
        if "$ref" in option:
            part = option
    reference = part.get("$ref", "")
    if reference:
        part = schema["components"]["schemas"][reference.rsplit("/", 1)[1]]
    return part.get("properties", {})


SLOW = ("/interrogate", "refresh", "/models/", "checkpoint", "server-")


def test_no_field_of_a_body_leads_to_a_file(client, canaries, server):
    schema = client.get("/openapi.json").json()
    asked = 0
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            content = operation.get("requestBody", {}).get("content", {})
            part = content.get("application/json", {}).get("schema")
            if method == "get" or part is None or any(name in path for name in SLOW):
                continue
            for name, field in fields(schema, part).items():
                given = str(canaries[0])
                value = [given] if '"array"' in json.dumps(field) else given
                body = {"steps": 1, "width": 64, "height": 64, name: value}
                answer = client.send(method.upper(), re.sub(r"\{[^}]*\}", "x", path), body)
                asked += 1
                assert CANARY not in answer.body, (path, name)
                assert answer.status < 500, (path, name, answer.body[:200])
    client.send("DELETE", "/easel/v1/styles/x")
    assert asked > 100
    copies = [
        path
        for path in server.data_dir.rglob("*")
        if path.is_file() and path not in canaries and CANARY in path.read_bytes()
    ]
    assert copies == []


def test_results_that_are_no_pictures_are_not_served_as_what_they_claim(client, canaries):
    for path in ("/outputs/canary.html", "/outputs/canary.svg", "/outputs/.canary.png"):
        for address in (path, f"/gradio_api/file={path}", f"/static{path}", f"/image{path}"):
            answer = client.get(address)
            assert answer.status in (403, 404), address
            assert CANARY not in answer.body
