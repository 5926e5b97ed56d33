"""What Gradio is told to read must have been uploaded to it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import gradio
import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from modules.web.app import mount_page


def read(path: str) -> str:
    return Path(path).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A page with one function that shows the file it is given."""
    with gradio.Blocks(analytics_enabled=False) as blocks:
        given, shown = gradio.File(), gradio.Textbox()
        gradio.Button().click(read, given, shown, api_name="read", queue=False)
    app = FastAPI()
    uploads = tmp_path_factory.mktemp("uploads")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(uploads))
        mount_page(app, blocks, uploads)
        yield TestClient(app)


def ask(page: TestClient, path: str) -> tuple[int, str]:
    given = {"path": path, "meta": {"_type": "gradio.FileData"}}
    answer = page.post("/gradio_api/run/read", json={"data": [given]})
    return answer.status_code, answer.text


def test_a_file_of_the_server_is_not_read(page, tmp_path):
    secret = tmp_path / "secret.txt"
    secret.write_text("the secret")
    for path in (str(secret), f"{tmp_path}/../{tmp_path.name}/secret.txt", "/etc/passwd"):
        status, text = ask(page, path)
        assert status >= 400
        assert "the secret" not in text
        assert "root:" not in text


def test_an_uploaded_file_is_read(page):
    uploaded = page.post("/gradio_api/upload", files={"files": ("a.txt", b"my own text")}).json()
    status, text = ask(page, uploaded[0])
    assert status == 200
    assert "my own text" in text


HOSTILE = (
    "/etc/passwd",
    "/proc/self/environ",
    "//etc/passwd",
    "{}/.hidden",
    "{}/../../x",
    "{}/link",
)


def test_what_gradio_serves_was_uploaded_and_is_no_hidden_file(page, tmp_path):
    uploaded = page.post("/gradio_api/upload", files={"files": ("a.txt", b"my own text")}).json()
    folder = Path(uploaded[0]).parent
    (folder / ".hidden").write_text("the secret")
    (tmp_path / "secret.txt").write_text("the secret")
    (folder / "link").symlink_to(tmp_path / "secret.txt")
    (folder.parent.parent / "x").write_text("the secret")
    assert page.get(f"/gradio_api/file={uploaded[0]}").content == b"my own text"
    for path in HOSTILE:
        given = path.format(folder)
        for spelling in (given, given.replace("/", "%2F"), given.replace(".", "%2e")):
            answer = page.get(f"/gradio_api/file={spelling}")
            assert answer.status_code in (403, 404), spelling
            assert b"the secret" not in answer.content
        assert ask(page, given)[0] >= 400


@pytest.mark.parametrize(
    "path",
    [
        "http://127.0.0.1:1/x",
        "https://example.org/",
        "file:///etc/passwd",
        "//169.254.169.254/",
        "",
    ],
)
def test_gradio_fetches_nothing_for_anyone(page, path):
    assert page.get(f"/gradio_api/file={path}").status_code in (403, 404)
    assert page.get(f"/gradio_api/proxy={path}").status_code == 404
    given = {"path": "x", "url": path, "meta": {"_type": "gradio.FileData"}}
    assert page.post("/gradio_api/run/read", json={"data": [given]}).status_code == 403


@pytest.mark.parametrize(
    "path",
    ["/monitoring", "/monitoring/summary", "/gradio_api/openapi.json", "/gradio_api/token",
     "/gradio_api/runs", "/gradio_api/vibe-code", "/gradio_api/dev/reload", "/manifest.json",
     "/gradio_api/deep_link", "/svelte/x", "/logout", "/gradio_api/profiling/traces"],
)  # fmt: skip
def test_what_the_page_does_not_need_of_gradio_is_not_there(page, path):
    assert page.get(path).status_code == 404
    assert page.post(path).status_code == 404


def test_paths_are_found_however_deep_they_are_hidden_in_a_request(page):
    found = {"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}
    for wrapped in ([[found]], {"a": {"b": [found]}}, {"path": "", "x": found}):
        body = {"data": [wrapped], "event_data": None}
        assert page.post("/gradio_api/run/read", json=body).status_code == 403
        assert page.post("/gradio_api/queue/join", json=body).status_code == 403
        assert page.post("/gradio_api/component_server", json=body).status_code == 403
    deep = "[" * 5000 + "]" * 5000
    assert page.post("/gradio_api/run/read", content=deep.encode()).status_code in (403, 422)
