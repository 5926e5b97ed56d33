"""What stops a start, with one sentence, and when the page is opened by itself."""

from __future__ import annotations

import io
import socket
import sys

import pytest

from modules.jobs.compose import DataFolderInUse
from modules.settings.flags import parse_flags
from modules.web.compose import build_context
from modules.web.exposure import StartRefused, check_tls
from modules.web.serve import _listen, _wants_browser, serve
from tests.conftest import free_port


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("flags", "setting", "wanted"),
    [
        ([], "Local", True),
        (["--listen"], "Local", False),
        (["--server-name", "0.0.0.0"], "Local", False),
        (["--listen"], "Remote", True),
        ([], "Disable", False),
        (["--autolaunch"], "Disable", True),
        (["--no-browser"], "Local", False),
        (["--nowebui"], "Local", False),
    ],
)
def test_a_person_at_a_terminal_gets_the_page(monkeypatch, flags, setting, wanted):
    monkeypatch.setattr(sys, "stdout", Terminal())
    assert _wants_browser(parse_flags(flags), setting) is wanted


def test_a_service_without_a_terminal_opens_nothing(monkeypatch):
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    assert not _wants_browser(parse_flags([]), "Local")


def flags_for(folder, *more):
    port = str(free_port())
    return parse_flags(["--data-dir", str(folder), "--port", port, "--no-browser", *more])


@pytest.mark.parametrize("name", ["easel.lock", "easel.sqlite"])
def test_a_file_that_cannot_be_used_stops_the_start_with_one_sentence(tmp_path, capsys, name):
    (tmp_path / name).mkdir()
    assert serve(flags_for(tmp_path)) == 1
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert name in said
    assert said.endswith(".")
    assert "Traceback" not in said


def test_a_second_server_touches_none_of_the_firsts_files(tmp_path):
    first = build_context(flags_for(tmp_path))
    first.paths.config_file.write_text("not yet whole")
    with pytest.raises(DataFolderInUse):
        build_context(flags_for(tmp_path))
    assert first.paths.config_file.read_text() == "not yet whole"
    first.jobs.stop()
    first.lock.release()


def test_a_start_that_fails_gives_the_data_folder_back(tmp_path):
    (tmp_path / "easel.sqlite").mkdir()
    for _ in range(2):
        with pytest.raises(OSError, match=r"easel\.sqlite"):
            build_context(flags_for(tmp_path))


def test_the_port_is_taken_and_answers_before_anything_is_loaded(tmp_path):
    flags = flags_for(tmp_path)
    listener = _listen(flags)
    socket.create_connection(("127.0.0.1", flags.port), timeout=5).close()
    with pytest.raises(StartRefused, match="--port"):
        _listen(flags)
    listener.close()


def test_certificates_that_cannot_be_used_stop_the_start(tmp_path):
    rubbish = tmp_path / "rubbish.pem"
    rubbish.write_text("no certificate")
    gone = str(tmp_path / "gone.pem")
    check_tls(parse_flags([]))
    for given in (
        ["--tls-certfile", gone],
        ["--tls-keyfile", gone],
        ["--tls-certfile", gone, "--tls-keyfile", gone],
        ["--tls-certfile", str(rubbish), "--tls-keyfile", str(rubbish)],
    ):
        with pytest.raises(StartRefused, match="--tls-certfile"):
            check_tls(parse_flags(given))
