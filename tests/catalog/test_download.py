"""Fetching model files from a real server on this machine that misbehaves on demand."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from modules.catalog import download
from modules.catalog.download import DownloadCancelled, DownloadFailed, fetch_model
from modules.catalog.upscalers import UpscalerInfo

CONTENT = bytes(range(256)) * 12_000  # 3 MB
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@dataclass
class Server:
    """What it serves, how it behaves, and what it was asked."""

    url: str = ""
    content: bytes = CONTENT
    tag: str = '"v1"'
    break_after: int | None = None
    """Bytes after which the connection is cut, once."""
    statuses: list[int] = field(default_factory=list)
    """Answers to give before behaving."""
    ranges: list[str | None] = field(default_factory=list)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A web server with one file."""
    monkeypatch.setattr(download, "PAUSE", 0.01)
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.ranges.append(self.headers.get("Range"))
            if state.statuses:
                self.send_error(state.statuses.pop(0))
                return
            begin = self._begin()
            body = state.content[begin:]
            self.send_response(206 if begin else 200)
            self.send_header("Content-Length", str(len(body)))
            if state.tag:
                self.send_header("ETag", state.tag)
            self.end_headers()
            if state.break_after is not None:
                body, state.break_after = body[: state.break_after], None
                self.wfile.write(body)
                self.wfile.flush()
                self.connection.close()
                return
            self.wfile.write(body)

        def _begin(self) -> int:
            asked = self.headers.get("Range")
            if not asked or self.headers.get("If-Range") != state.tag:
                return 0
            return int(asked.removeprefix("bytes=").rstrip("-"))

        def log_message(self, *_: object) -> None:
            """Quiet."""

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{httpd.server_port}/files/model.pth"
    thread = threading.Thread(target=httpd.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield state
    httpd.shutdown()
    httpd.server_close()


def info(server: Server, folder: Path) -> UpscalerInfo:
    return UpscalerInfo(
        "A model",
        "model",
        path=folder / "model_4x.pth",
        url=server.url,
        size=len(CONTENT),
        sha256=DIGEST,
    )


def left(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def test_a_file_is_fetched_and_gets_its_name_when_it_is_right(
    server: Server, tmp_path: Path
) -> None:
    told: list[float] = []
    path = fetch_model(info(server, tmp_path), tmp_path, told.append)
    assert path == tmp_path / "model_4x.pth"
    assert path.read_bytes() == CONTENT
    assert left(tmp_path) == ["model_4x.pth"]
    assert told[0] == 0.0 and told[-1] == 1.0 and told == sorted(told)


def test_a_file_that_is_there_is_not_fetched_again(server: Server, tmp_path: Path) -> None:
    (tmp_path / "model_4x.pth").write_bytes(b"mine")
    assert fetch_model(info(server, tmp_path), tmp_path).read_bytes() == b"mine"
    assert server.ranges == []


def test_a_broken_connection_is_taken_up_where_it_broke(server: Server, tmp_path: Path) -> None:
    server.break_after = 1_500_000
    path = fetch_model(info(server, tmp_path), tmp_path)
    assert path.read_bytes() == CONTENT
    first, second = server.ranges
    assert first is None
    assert second is not None and int(second[6:-1]) > 0


def test_a_cancelled_download_goes_on_the_next_time(server: Server, tmp_path: Path) -> None:
    told: list[float] = []
    with pytest.raises(DownloadCancelled):
        fetch_model(info(server, tmp_path), tmp_path, told.append, lambda: len(told) > 1)
    assert left(tmp_path) == ["model_4x.pth.part", "model_4x.pth.part.json"]
    begun = (tmp_path / "model_4x.pth.part").stat().st_size
    assert 0 < begun < len(CONTENT)
    assert fetch_model(info(server, tmp_path), tmp_path).read_bytes() == CONTENT
    assert server.ranges[-1] == f"bytes={begun}-"


def test_a_part_of_another_version_is_thrown_away(server: Server, tmp_path: Path) -> None:
    told: list[float] = []
    with pytest.raises(DownloadCancelled):
        fetch_model(info(server, tmp_path), tmp_path, told.append, lambda: len(told) > 1)
    server.tag = '"v2"'
    assert fetch_model(info(server, tmp_path), tmp_path).read_bytes() == CONTENT


def test_a_wrong_hash_is_said_and_nothing_stays(server: Server, tmp_path: Path) -> None:
    server.content = CONTENT[:-1] + b"x"
    with pytest.raises(DownloadFailed, match="is not the expected file") as caught:
        fetch_model(info(server, tmp_path), tmp_path)
    assert left(tmp_path) == []
    assert server.url in caught.value.sentence
    assert str(tmp_path) in caught.value.sentence


@pytest.mark.parametrize("content", [CONTENT[:-5], CONTENT + b"more", b"<html>log in</html>"])
def test_a_wrong_size_is_noticed_before_anything_is_kept(
    content: bytes, server: Server, tmp_path: Path
) -> None:
    server.content = content
    with pytest.raises(DownloadFailed, match=f"instead of {len(CONTENT)}"):
        fetch_model(info(server, tmp_path), tmp_path)
    assert left(tmp_path) == []


def test_without_size_and_hash_the_whole_answer_is_taken(server: Server, tmp_path: Path) -> None:
    unknown = replace(info(server, tmp_path), size=None, sha256=None)
    assert fetch_model(unknown, tmp_path).read_bytes() == CONTENT


def test_a_busy_server_is_asked_again_and_a_refusal_is_not(server: Server, tmp_path: Path) -> None:
    server.statuses = [503, 502]
    assert fetch_model(info(server, tmp_path), tmp_path).read_bytes() == CONTENT
    (tmp_path / "model_4x.pth").unlink()
    server.ranges.clear()
    server.statuses = [404]
    with pytest.raises(DownloadFailed, match="the server answered 404"):
        fetch_model(info(server, tmp_path), tmp_path)
    assert len(server.ranges) == 1


def test_a_server_that_never_recovers_is_given_up(server: Server, tmp_path: Path) -> None:
    server.statuses = [500] * 10
    with pytest.raises(DownloadFailed, match="the server answered 500"):
        fetch_model(info(server, tmp_path), tmp_path)
    assert len(server.ranges) == download.ATTEMPTS


def test_offline_the_sentence_says_which_file_goes_where(tmp_path: Path) -> None:
    offline = UpscalerInfo(
        "SwinIR 4x",
        "model",
        path=tmp_path / "SwinIR" / "SwinIR_4x.pth",
        url="http://127.0.0.1:9/SwinIR.pth",
    )
    with pytest.raises(DownloadFailed) as caught:
        fetch_model(offline, tmp_path / "SwinIR")
    sentence = caught.value.sentence
    assert "SwinIR_4x.pth (for SwinIR 4x) could not be downloaded" in sentence
    assert "http://127.0.0.1:9/SwinIR.pth yourself and put it into" in sentence
    assert sentence.endswith(f"{tmp_path / 'SwinIR'}.")


def test_a_model_without_an_address_is_asked_for(tmp_path: Path) -> None:
    homemade = UpscalerInfo("mine", "model", path=tmp_path / "mine.pth")
    with pytest.raises(DownloadFailed, match=r"mine\.pth is missing\. Put it into"):
        fetch_model(homemade, tmp_path)


def test_an_address_of_another_kind_is_never_opened(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("x")
    odd = UpscalerInfo("odd", "model", path=tmp_path / "odd.pth", url=secret.as_uri())
    with pytest.raises(DownloadFailed):
        fetch_model(odd, tmp_path)
    assert left(tmp_path) == ["secret"]
