"""Downloads: from an address to a checked file in its folder, and nowhere else."""

from __future__ import annotations

import hashlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from modules.catalog import download
from modules.catalog.downloads import DownloadManager, DownloadOrder, TokenStore, sources
from modules.catalog.downloads.kinds import guess_kind, safe_folder, safe_name
from modules.catalog.downloads.manager import DONE, FAILED, STOPPED
from modules.catalog.guarded_http import AddressRules, open_client
from modules.catalog.hashes import HashCache
from modules.catalog.user_metadata import read_user_metadata
from modules.requests.errors import RequestError
from modules.settings.flags import parse_flags
from modules.settings.paths import Paths

CONTENT = bytes(range(256)) * 16_000  # 4 MB
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@dataclass
class Site:
    """A web server with files, JSON answers and redirects; it remembers what it was asked."""

    url: str = ""
    answers: dict[str, object] = field(default_factory=dict)
    """Path → JSON object, or ("redirect", address)."""
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    block: Callable[[], None] = lambda: None
    """Called between the pieces of a file."""


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setattr(download, "PAUSE", 0.01)
    state = Site()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            state.asked.append((self.path, dict(self.headers)))
            answer = state.answers.get(path)
            if isinstance(answer, tuple):
                self.send_response(302)
                self.send_header("Location", answer[1])
                self.end_headers()
            elif answer is not None:
                self._send(json.dumps(answer).encode(), "application/json")
            elif "file" in path:
                self._file()
            else:
                self.send_error(404)

        def _file(self) -> None:
            asked = self.headers.get("Range")
            begin = int(asked.removeprefix("bytes=").split("-")[0]) if asked else 0
            self.send_response(206 if asked else 200)
            self.send_header("Content-Length", str(len(CONTENT) - begin))
            self.send_header("ETag", '"v1"')
            self.send_header("Content-Disposition", 'attachment; filename="named lora.safetensors"')
            self.end_headers()
            for at in range(begin, len(CONTENT), 512 * 1024):
                try:
                    self.wfile.write(CONTENT[at : at + 512 * 1024])
                except OSError:
                    return
                state.block()

        def _send(self, body: bytes, kind: str) -> None:
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{httpd.server_port}"
    threading.Thread(target=httpd.serve_forever, args=(0.02,), daemon=True).start()
    yield state
    httpd.shutdown()
    httpd.server_close()


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    found = Paths.from_flags(parse_flags(["--data-dir", str(tmp_path)]))
    found.ensure()
    return found


@pytest.fixture
def make(paths: Paths) -> Iterator[Callable[..., DownloadManager]]:
    made: list[DownloadManager] = []

    def build(private: bool = True) -> DownloadManager:
        hashes = HashCache(paths.cache / "hashes.json")
        made.append(DownloadManager(paths, hashes, allow_private=lambda: private))
        return made[-1]

    yield build
    for manager in made:
        manager.stop()


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def ended(manager: DownloadManager, download_id: str):
    return manager.wait(download_id, lambda one: None)


# ---- where files go


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("a.safetensors", "a.safetensors"),
        ("../../a.CKPT", "a.ckpt"),
        ("C:\\x\\a b.pt", "a b.pt"),
        ("..hidden.gguf", "hidden.gguf"),
        ('a"<b>.bin', "a__b_.bin"),
    ],
)
def test_a_name_stays_in_its_folder(given: str, name: str) -> None:
    assert safe_name(given) == name


@pytest.mark.parametrize("given", ["x.py", "a.safetensors.exe", "..", "", "con.ckpt", ".pt", "a/"])
def test_what_is_no_models_name_is_refused(given: str) -> None:
    with pytest.raises(RequestError):
        safe_name(given)


@pytest.mark.parametrize("below", ["..", "a/../..", "/etc", "a\\..\\b", ".git", "a/" * 9])
def test_a_folder_lies_below_its_kinds(tmp_path: Path, below: str) -> None:
    if below == "/etc":
        assert safe_folder(tmp_path, below) == tmp_path / "etc"
        return
    with pytest.raises(RequestError):
        safe_folder(tmp_path, below)


def test_names_suggest_kinds() -> None:
    assert guess_kind("nice_LoRA_v2.safetensors") == "lora"
    assert guess_kind("sdxl_vae.safetensors") == "vae"
    assert guess_kind("model.safetensors", 4_000_000_000) == "checkpoint"
    assert guess_kind("word.pt", 20_000) == "embedding"


# ---- where they come from


@pytest.mark.parametrize(
    "address",
    [
        "http://127.0.0.1:1/x.safetensors",
        "http://localhost/x.safetensors",
        "http://[::1]/x.safetensors",
        "http://2130706433/x.safetensors",
        "http://169.254.169.254/x.safetensors",
        "http://router.local/x.safetensors",
        "http://intranet/x.safetensors",
        "ftp://example.com/x.safetensors",
        "file:///etc/passwd",
        "https://user:word@example.com/x.safetensors",
        "javascript:alert(1)",
        "",
    ],
)
def test_addresses_of_this_network_are_refused_at_once(make, address: str) -> None:
    begun = time.monotonic()
    with pytest.raises(RequestError):
        make(private=False).start(DownloadOrder(address))
    assert time.monotonic() - begun < 2


def test_a_name_with_one_private_address_is_refused_whole(monkeypatch) -> None:
    def both(host: str, port: int, **_: object):
        kind = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
        return [(*kind, ("93.184.216.34", port)), (*kind, ("10.0.0.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", both)
    with open_client(AddressRules()) as client, pytest.raises(RequestError, match="local network"):
        client.get("http://files.example/x.safetensors")


def test_a_page_of_hugging_face_offers_its_files(site: Site, make, monkeypatch) -> None:
    monkeypatch.setattr(sources, "HUGGING_FACE", site.url)
    listed = [
        {"rfilename": "README.md", "size": 5},
        {"rfilename": "deep/b.safetensors", "size": 7, "lfs": {"sha256": DIGEST}},
        {"rfilename": "a.safetensors", "size": 9},
        {"rfilename": "m-00001-of-00002.safetensors", "size": 9},
    ]
    site.answers["/api/models/some/model/revision/main"] = {
        "siblings": listed,
        "cardData": {"license": "openrail"},
    }
    manager = make()
    found = manager.inspect("https://huggingface.co/some/model")
    assert [choice.file for choice in found.choices] == ["a.safetensors", "deep/b.safetensors"]
    assert (found.url, found.licence) == ("", "openrail")
    one = manager.inspect("https://huggingface.co/some/model/blob/main/deep/b.safetensors")
    assert one.url == f"{site.url}/some/model/resolve/main/deep/b.safetensors"
    assert (one.file, one.size, one.sha256) == ("b.safetensors", 7, DIGEST)


def test_a_page_of_civitai_gives_its_primary_file(site: Site, make, monkeypatch) -> None:
    monkeypatch.setattr(sources, "CIVITAI_API", site.url)
    version = {
        "modelId": 5,
        "trainedWords": ["fx fox"],
        "files": [
            {"name": "other.safetensors", "downloadUrl": "https://civitai.com/api/download/2"},
            {
                "name": "fox.safetensors",
                "primary": True,
                "downloadUrl": "https://civitai.com/api/download/1",
                "hashes": {"SHA256": DIGEST.upper()},
            },
        ],
    }
    site.answers["/models/5"] = {"name": "Fox", "type": "LORA", "modelVersions": [version]}
    found = make().inspect("https://civitai.com/models/5/fox")
    assert (found.file, found.kind, found.sha256) == ("fox.safetensors", "lora", DIGEST)
    assert (found.words, found.page) == (("fx fox",), "https://civitai.com/models/5")
    evil = {**version, "files": [{"name": "x.pt", "downloadUrl": "http://10.0.0.1/x.pt"}]}
    site.answers["/model-versions/6"] = evil
    with pytest.raises(RequestError, match="another site"):
        make().inspect("https://civitai.com/models/5?modelVersionId=6")


def test_an_address_without_a_name_is_asked_for_it(site: Site, make) -> None:
    found = make().inspect(f"{site.url}/file/123")
    assert (found.file, found.kind) == ("named lora.safetensors", "lora")


def test_no_network_is_said_with_the_folders(make, paths: Paths, monkeypatch) -> None:
    def nothing(*_: object, **__: object):
        raise socket.gaierror("no network")

    monkeypatch.setattr(socket, "getaddrinfo", nothing)
    with pytest.raises(RequestError, match="cannot be reached") as refusal:
        make(private=False).inspect("https://civitai.com/models/5")
    assert str(paths.lora) in refusal.value.sentence
    manager = make(private=False)
    begun = manager.start(DownloadOrder("https://models.example/some_lora.safetensors"))
    failed = ended(manager, begun.id)
    assert failed.state == FAILED
    assert f"put it into {paths.lora}" in failed.error


# ---- fetching


def test_a_file_arrives_checked_with_its_origin_noted(site: Site, make, paths: Paths) -> None:
    manager = make()
    order = DownloadOrder(f"{site.url}/file/fox.safetensors", "lora", "style", sha256=DIGEST)
    done = ended(manager, manager.start(order).id)
    target = paths.lora / "style" / "fox.safetensors"
    assert (done.state, done.checked, done.target) == (DONE, True, target)
    assert target.read_bytes() == CONTENT
    assert read_user_metadata(target).source == order.address
    assert HashCache(paths.cache / "hashes.json").known(target) == DIGEST
    with pytest.raises(RequestError, match="already"):
        manager.start(order)


def test_a_wrong_hash_leaves_nothing_behind(site: Site, make, paths: Paths) -> None:
    manager = make()
    order = DownloadOrder(f"{site.url}/file/fox.safetensors", "lora", sha256="0" * 64)
    failed = ended(manager, manager.start(order).id)
    assert failed.state == FAILED and "not the expected file" in failed.error
    assert list(paths.lora.iterdir()) == []


def test_a_stopped_download_goes_on_even_after_a_restart(site: Site, make, paths: Paths) -> None:
    reached, go = threading.Event(), threading.Event()

    sent = iter(range(100))

    def hold() -> None:
        if next(sent) == 3:  # 2 MB: what is received is reported by the megabyte
            reached.set()
            go.wait(20)

    site.block = hold
    manager = make()
    order = DownloadOrder(f"{site.url}/file/fox.safetensors", "lora", sha256=DIGEST)
    begun = manager.start(order)
    assert reached.wait(20)
    until(lambda: manager.get(begun.id).received > 0)
    assert manager.cancel(begun.id)
    go.set()
    assert ended(manager, begun.id).state == STOPPED
    assert not (paths.lora / "fox.safetensors").exists()
    manager.stop()
    second = make()
    assert second.get(begun.id).state == STOPPED
    assert second.resume(begun.id)
    assert ended(second, begun.id).state == DONE
    assert (paths.lora / "fox.safetensors").read_bytes() == CONTENT
    assert any(headers.get("Range") for _, headers in site.asked)


def test_forgetting_a_stopped_download_removes_its_part(site: Site, make, paths: Paths) -> None:
    manager = make()
    order = DownloadOrder(f"{site.url}/missing/fox.safetensors", "lora")
    failed = ended(manager, manager.start(order).id)
    assert "answered 404" in failed.error
    (paths.lora / "fox.safetensors.part").write_bytes(b"x")
    assert manager.forget(failed.id)
    assert list(paths.lora.iterdir()) == [] and manager.list() == []


def test_a_damaged_list_is_made_anew(make, paths: Paths) -> None:
    (paths.cache / "downloads.json").write_text('{"downloads": [5]}')
    assert make().list() == []


# ---- tokens


def test_a_token_goes_to_its_own_site_alone(tmp_path: Path) -> None:
    tokens = TokenStore(tmp_path / "tokens.json")
    tokens.set("huggingface", " hf_secret ")
    sent = {"Authorization": "Bearer hf_secret"}
    assert tokens.headers_for("https://huggingface.co/a/b") == sent
    for other in (
        "http://huggingface.co/a",
        "https://huggingface.co.evil.example/a",
        "https://evilhuggingface.co/",
        "https://civitai.com/a",
    ):
        assert tokens.headers_for(other) == {}
    assert tokens.known()["huggingface"] is True
    assert (tmp_path / "tokens.json").stat().st_mode & 0o077 == 0
    tokens.set("huggingface", "")
    assert TokenStore(tmp_path / "tokens.json").get("huggingface") is None
    with pytest.raises(RequestError):
        tokens.set("huggingface", "a\nb")


def test_a_redirect_to_another_host_takes_no_token_along(site: Site) -> None:
    other = site.url.replace("127.0.0.1", "localhost")
    site.answers["/first"] = ("redirect", f"{other}/file")
    with open_client(AddressRules(allow_private=True)) as client:
        client.get(f"{site.url}/first", headers={"Authorization": "Bearer secret"})
    (_, first), (_, second) = site.asked
    assert first["Authorization"] == "Bearer secret"
    assert "Authorization" not in second
