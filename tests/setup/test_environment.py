"""When installing is needed, how it reports, and what its failures sound like."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from modules.setup import environment as room
from modules.setup import pins
from modules.setup.environment import Environment, explain_pip
from modules.setup.errors import SetupError
from modules.setup.progress import PipReport, ProgressLine, duration
from modules.setup.torch_build import Attempt

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def made(tmp_path, monkeypatch):
    """A program folder with requirement files and an environment that claims to be filled."""
    monkeypatch.delenv("TORCH_COMMAND", raising=False)
    monkeypatch.delenv("TORCH_INDEX_URL", raising=False)
    for name in (pins.REQUIREMENTS, pins.OVERRIDES, pins.DEV):
        shutil.copy(ROOT / name, tmp_path / name)
    environment = Environment(tmp_path)
    subprocess.run(
        [sys.executable, "-m", "venv", "--without-pip", str(environment.folder)], check=True
    )
    (environment.folder / room.RUNTIME_STAMP).write_text(environment.runtime_stamp())
    return environment


def test_a_filled_environment_needs_nothing(made):
    assert made.is_ready()
    started = time.perf_counter()
    room.prepare(made, for_tests=False)
    assert time.perf_counter() - started < 0.5


def test_changed_requirements_need_an_installation(made):
    path = made.root / pins.REQUIREMENTS
    path.write_text(path.read_text() + "zipp==1.0\n")
    assert not made.is_ready()


def test_another_torch_command_needs_an_installation(made, monkeypatch):
    monkeypatch.setenv("TORCH_COMMAND", "pip install torch==2.12.0")
    assert not made.is_ready()


def test_an_environment_whose_python_is_gone_is_no_environment(made):
    made.python.unlink()
    assert made.version() is None
    assert not made.is_ready()


def test_the_tests_needs_have_their_own_stamp(made):
    assert not made.is_ready_for_tests()
    (made.folder / room.DEV_STAMP).write_text(made.dev_stamp())
    assert made.is_ready_for_tests()


def test_an_interrupted_installation_leaves_no_stamp(made, monkeypatch):
    """pip is missing in this environment, so filling it fails; nothing may claim otherwise."""
    (made.folder / room.RUNTIME_STAMP).unlink()
    monkeypatch.setattr(room.checks, "check_disk_space", lambda *_: None)
    with pytest.raises(SetupError, match="pip"):
        room.prepare(made, for_tests=False)
    assert not made.is_ready()


def test_a_lost_network_is_named_with_the_index(tmp_path):
    output = (
        "WARNING: Retrying after connection broken by 'NewConnectionError(\"<pip._vendor.urllib3"
        ".connection.HTTPSConnection(host='index.example.org', port=443): Failed to establish\"\n"
        "ERROR: Could not find a version that satisfies the requirement numpy==2 (from none)\n"
        "ERROR: No matching distribution found for numpy==2\n"
    )
    sentence = explain_pip(output, tmp_path)
    assert "index.example.org cannot be reached" in sentence
    assert sentence.count(".\n") == 0


def test_a_full_disk_is_named(tmp_path):
    assert "disk is full" in explain_pip("OSError: [Errno 28] No space left on device", tmp_path)


def test_a_missing_build_names_the_package_and_the_python(tmp_path):
    sentence = explain_pip("ERROR: No matching distribution found for torch==2.13.0\n", tmp_path)
    assert "torch==2.13.0" in sentence
    assert f"{sys.version_info.major}.{sys.version_info.minor}" in sentence


def test_anything_else_gives_pips_reason_and_the_log(tmp_path):
    sentence = explain_pip("ERROR: the moon is in the way\n", tmp_path / "install.log")
    assert "the moon is in the way" in sentence
    assert "install.log" in sentence


def test_the_report_follows_pip():
    report = PipReport(3, lambda: 2)
    report.read("Collecting numpy==2.4.6 (from -r wanted.txt (line 1))\n")
    report.read("  Downloading numpy-2.4.6-cp311-linux_x86_64.whl (16.8 MB)\n")
    assert report.describe() == "package 1 of 3: numpy (16.8 MB)"
    report.read("Requirement already satisfied: scipy==1 in ./lib\n")
    assert report.describe() == "package 2 of 3: scipy"
    report.read("Processing /opt/links/torch-2.13.0+cpu-cp311-linux_x86_64.whl\n")
    assert report.describe() == "package 3 of 3: torch"
    report.read("  Building wheel for basicsr (pyproject.toml): started\n")
    assert report.describe() == "package 3 of 3: building basicsr"
    report.read("Installing collected packages: a, b\n")
    assert report.describe() == "unpacking package 2 of 3"


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_terminal_sees_one_line_rewritten():
    stream = Terminal()
    with ProgressLine("Installing", lambda: "package 1 of 2: a", stream):
        pass
    text = stream.getvalue()
    assert text.count("\n") == 1
    assert text.startswith("\rInstalling: package 1 of 2: a, 0 s")
    assert text.rstrip().endswith("done after 0 s")


def test_a_log_sees_whole_lines():
    stream = io.StringIO()
    with pytest.raises(SetupError), ProgressLine("Installing", lambda: "a", stream):
        raise SetupError("no")
    assert "\r" not in stream.getvalue()
    assert stream.getvalue().splitlines()[-1] == "Installing: stopped after 0 s"


def test_durations_read_like_speech():
    assert duration(8.2) == "8 s"
    assert duration(200) == "3 min 20 s"


def attempts(*labels):
    return [Attempt(label, ("install", label), 0.0) for label in labels]


@pytest.fixture
def with_pip(tmp_path, monkeypatch):
    """An environment whose pip says and returns what a test wants; `tried` lists its calls."""
    environment = Environment(tmp_path)
    environment.python.parent.mkdir(parents=True)

    def answer(said):
        environment.python.write_text(
            "#!/bin/sh\n"
            f'echo "$*" >> {tmp_path}/tried\n'
            f'case "$*" in *special*) echo "{said}"; exit 1;; esac\n'
        )
        environment.python.chmod(0o755)
        return environment

    return answer


posix_only = pytest.mark.skipif(os.name != "posix", reason="the stand-in for pip is a shell script")


@posix_only
@pytest.mark.parametrize(
    "said",
    ["ERROR: No matching distribution found for torch==2.13.0", "Max retries exceeded with url"],
)
def test_an_index_out_of_reach_is_followed_by_the_plain_build(with_pip, said):
    environment = with_pip(said)
    assert room._install_torch(environment, attempts("special", "plain"), False) == "plain"


@posix_only
@pytest.mark.parametrize(
    "said", ["ERROR: [Errno 28] No space left on device", "ERROR: Hashes do not match"]
)
def test_any_other_failure_of_a_build_ends_the_installation(with_pip, tmp_path, said):
    with pytest.raises(SetupError):
        room._install_torch(with_pip(said), attempts("special", "plain"), False)
    assert len((tmp_path / "tried").read_text().splitlines()) == 1


@posix_only
def test_the_plain_build_is_not_begun_on_a_disk_too_small_for_it(with_pip, tmp_path):
    environment = with_pip("Max retries exceeded with url")
    special, plain = attempts("special", "plain")
    with pytest.raises(SetupError, match="GB free"):
        room._install_torch(environment, [special, replace(plain, size_gb=1e6)], False)
    assert len((tmp_path / "tried").read_text().splitlines()) == 1


def test_a_second_start_waits_until_the_first_has_installed(tmp_path, capsys):
    path = tmp_path / "lock"
    order = []

    def second():
        with room._only_one(path):
            order.append("second")

    with room._only_one(path):
        thread = threading.Thread(target=second)
        thread.start()
        time.sleep(0.2)
        order.append("first")
    thread.join(timeout=30)
    assert order == ["first", "second"]
    assert "waiting for it" in capsys.readouterr().out
