"""What Gradio is told to read must have been uploaded to it."""

from __future__ import annotations

from pathlib import Path

import gradio
import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from modules.web.app import mount_page


def read(path: str) -> str:
    return Path(path).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page() -> TestClient:
    """A page with one function that shows the file it is given."""
    with gradio.Blocks(analytics_enabled=False) as blocks:
        given, shown = gradio.File(), gradio.Textbox()
        gradio.Button().click(read, given, shown, api_name="read", queue=False)
    app = FastAPI()
    mount_page(app, blocks)
    return TestClient(app)


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
