"""The entry point: which interpreters it takes and what it does with its arguments."""

from __future__ import annotations

import ast
import errno
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import launch
from modules.setup import command

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("version", [(3, 10, 0), (3, 11, 7), (3, 12, 1)])
def test_supported_pythons_get_no_complaint(version):
    assert launch.python_complaint(version) is None


@pytest.mark.parametrize(
    ("version", "word"), [((2, 7, 18), "old"), ((3, 9, 18), "old"), ((3, 13, 0), "new")]
)
def test_other_pythons_get_one_sentence_with_their_version(version, word):
    complaint = launch.python_complaint(version)
    assert f"too {word}" in complaint
    assert ".".join(map(str, version)) in complaint
    assert "\n" not in complaint


def test_launch_py_can_be_read_by_old_pythons():
    source = (ROOT / "launch.py").read_text(encoding="utf-8")
    ast.parse(source, feature_version=(3, 4))
    assert "f'" not in source
    assert 'f"' not in source


@pytest.mark.parametrize("name", ["python3.8", "python3.9", "python3.13"])
def test_a_real_unsuitable_python_ends_with_the_sentence(name):
    interpreter = _find(name)
    if interpreter is None:
        pytest.skip(f"{name} is not installed")
    finished = subprocess.run(
        [interpreter, str(ROOT / "launch.py")], capture_output=True, text=True, check=False
    )
    assert finished.returncode == 1
    assert finished.stderr.startswith("Easel needs Python 3.10, 3.11 or 3.12")
    assert finished.stderr.count("\n") == 1
    assert "Traceback" not in finished.stderr


def _find(name):
    """On the path, or among pyenv's."""
    version = name.removeprefix("python")
    pyenvs = (Path.home() / ".pyenv" / "versions").glob(f"{version}.*/bin/python")
    for candidate in (shutil.which(name), *map(str, sorted(pyenvs))):
        if candidate and _runs(candidate):
            return candidate
    return None


def _runs(interpreter):
    return subprocess.run([interpreter, "--version"], capture_output=True).returncode == 0


def test_set_up_uses_the_standard_library_only():
    allowed = sys.stdlib_module_names | {"modules"}
    for path in [ROOT / "launch.py", *sorted((ROOT / "modules" / "setup").glob("*.py"))]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            assert {name.split(".")[0] for name in names} <= allowed, path.name


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], ("serve", [])),
        (["--port", "8000"], ("serve", ["--port", "8000"])),
        (["serve", "--listen"], ("serve", ["--listen"])),
        (["test", "-k", "x"], ("test", ["-k", "x"])),
        (["--help"], ("help", [])),
        (["txt2img", "--help"], ("txt2img", ["--help"])),
    ],
)
def test_the_first_word_is_the_command(arguments, expected):
    assert command.split_command(arguments) == expected


def test_an_unknown_command_is_named_with_those_there_are(capsys):
    with pytest.raises(SystemExit) as ended:
        command.split_command(["paint"])
    assert ended.value.code == 2
    message = capsys.readouterr().err
    assert "'paint'" in message
    assert "txt2img" in message


def test_set_ups_own_flags_do_not_reach_the_command():
    own, rest = command.take_own_flags(["--skip-install", "--port", "1", "--reinstall-torch"])
    assert own == {"--skip-install", "--reinstall-torch"}
    assert rest == ["--port", "1"]


def test_help_lists_every_command(capsys):
    assert command.run(["help"]) == 0
    text = capsys.readouterr().out
    assert all(f"  {name} " in text for name in command.COMMANDS)


def test_a_mistyped_flag_ends_before_anything_is_installed(capsys):
    with pytest.raises(SystemExit):
        command.run(["--prot", "8000"])
    assert "--prot" in capsys.readouterr().err


def test_set_up_refuses_flags_it_does_not_know(capsys):
    assert command.run(["setup", "--fast"]) == 1
    assert "--fast" in capsys.readouterr().err


@pytest.mark.full
def test_long_tests_run_when_asked_for(request):
    assert request.config.getoption("--full") or request.config.getoption("markexpr")


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ([], "deselected"),
        pytest.param(["--full"], "1 passed", marks=pytest.mark.full),
        pytest.param(["-m", "full"], "1 passed", marks=pytest.mark.full),
    ],
)
def test_long_tests_are_left_out_unless_asked_for(words, found):
    words = ["-k", "test_long_tests_run_when", "-p", "no:cacheprovider", *words]
    finished = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "tests/setup/test_launch.py", *words],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert found in finished.stdout


def test_the_wrappers_are_three_lines():
    for name in ("webui.sh", "webui.bat"):
        assert len((ROOT / name).read_text().splitlines()) == 3


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "install.log"), "The disk is full"),
        (OSError(errno.EIO, "Input/output error", "install.log"), "install.log (Input/output"),
    ],
)
def test_a_disk_that_fails_while_installing_gives_one_sentence(monkeypatch, capsys, reason, words):
    def fail(_):
        raise reason

    monkeypatch.setitem(command.COMMANDS, "setup", fail)
    assert command.run(["setup"]) == 1
    message = capsys.readouterr().err
    assert words in message
    assert message.count("\n") == 1


@pytest.mark.parametrize("arguments", [["tests/setup"], ["-s"], ["-n", "0"], ["--pdb", "-x"]])
def test_a_named_part_of_the_suite_runs_in_one_process(arguments):
    assert command.side_by_side(arguments) == []


def test_the_whole_suite_is_spread_over_at_most_four_workers(monkeypatch):
    monkeypatch.setattr(command.os, "cpu_count", lambda: 64)
    assert command.side_by_side(["-q"]) == ["-n", "4", "--dist", "loadfile"]
    monkeypatch.setattr(command.os, "cpu_count", lambda: 1)
    assert command.side_by_side(["-q"]) == []
