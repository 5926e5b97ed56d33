"""The checks before an installation: each failure is one sentence that says what to do."""

from __future__ import annotations

import http.server
import os
import socket
import threading

import pytest

from modules.setup import checks
from modules.setup.errors import SetupError


def one_sentence(error: pytest.ExceptionInfo[SetupError]) -> str:
    text = str(error.value)
    assert "\n" not in text
    assert text.endswith(".")
    return text


@pytest.fixture
def listener():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        yield taken.getsockname()[1]


def test_a_free_port_passes(listener):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    checks.check_port("127.0.0.1", port)


def test_a_busy_port_is_named_with_another_to_try(listener):
    with pytest.raises(SetupError) as error:
        checks.check_port("127.0.0.1", listener)
    text = one_sentence(error)
    assert f"Port {listener} is in use" in text
    assert f"--port {listener + 1}" in text


def test_a_running_easel_is_recognised_on_its_port():
    class Ping(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200 if self.path == "/internal/ping" else 404)
            self.end_headers()

        def log_message(self, *_):
            """Quiet."""

    with http.server.HTTPServer(("127.0.0.1", 0), Ping) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        port = server.server_address[1]
        with pytest.raises(SetupError) as error:
            checks.check_port("127.0.0.1", port)
        server.shutdown()
    assert f"http://127.0.0.1:{port}" in one_sentence(error)


def test_an_address_of_another_machine_is_refused():
    with pytest.raises(SetupError) as error:
        checks.check_port("192.0.2.1", 7860)
    assert "192.0.2.1" in one_sentence(error)


def test_port_0_lets_the_system_choose():
    checks.check_port("127.0.0.1", 0)


def test_too_little_disk_space_tells_how_much_is_needed(tmp_path):
    checks.check_disk_space(tmp_path, 0.0)
    with pytest.raises(SetupError) as error:
        checks.check_disk_space(tmp_path, 1e9)
    assert "GB free" in one_sentence(error)
    assert str(tmp_path) in one_sentence(error)


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    missing = tmp_path / "not-there"
    with pytest.raises(SetupError) as error:
        checks.check_writable(missing)
    assert str(missing) in one_sentence(error)


@pytest.mark.skipif(
    os.name != "posix" or os.geteuid() == 0, reason="the administrator may write anywhere"
)
def test_a_read_only_folder_is_refused(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(SetupError):
        checks.check_writable(tmp_path)


def test_a_python_without_venv_says_which_package_brings_it(monkeypatch):
    find = checks.importlib.util.find_spec
    monkeypatch.setattr(
        checks.importlib.util, "find_spec", lambda n: None if n == "ensurepip" else find(n)
    )
    with pytest.raises(SetupError) as error:
        checks.check_venv_available()
    assert "ensurepip" in one_sentence(error)
    assert "-venv" in one_sentence(error)
