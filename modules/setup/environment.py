"""The folder `.venv`: making it, filling it, and knowing when neither is needed."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from modules.setup import checks, pins, torch_build
from modules.setup.errors import DISK_FULL, SetupError, UnreachableError
from modules.setup.progress import PipReport, ProgressLine

RUNTIME_STAMP = "easel-installed"
DEV_STAMP = "easel-dev-installed"


@dataclass(frozen=True)
class Environment:
    """A virtual environment below the program's folder."""

    root: Path

    @property
    def folder(self) -> Path:
        """Where it is."""
        return self.root / ".venv"

    @property
    def python(self) -> Path:
        """Its interpreter."""
        if os.name == "nt":
            return self.folder / "Scripts" / "python.exe"
        return self.folder / "bin" / "python"

    @property
    def log(self) -> Path:
        """pip's own words about the last installation."""
        return self.folder / "install.log"

    def version(self) -> str | None:
        """Its Python as "3.11", read from its config; None when there is no working environment."""
        try:
            config = (self.folder / "pyvenv.cfg").read_text(encoding="utf-8")
        except OSError:
            return None
        match = re.search(r"^version\s*=\s*(\d+\.\d+)", config, re.MULTILINE)
        return match[1] if match and self.python.exists() else None

    def runtime_stamp(self) -> str:
        """What the stamp file says when everything the program needs is installed."""
        files = [self.root / pins.REQUIREMENTS, self.root / pins.OVERRIDES]
        return pins.stamp(files, self.version() or "", *_wishes())

    def dev_stamp(self) -> str:
        """The same for the tests' needs."""
        return pins.stamp([self.root / pins.DEV], self.version() or "")

    def is_ready(self) -> bool:
        """Whether there is nothing to install; reads four small files, starts no process."""
        return self._stamped(RUNTIME_STAMP, self.runtime_stamp())

    def is_ready_for_tests(self) -> bool:
        """Whether the tests' needs are installed too."""
        return self.is_ready() and self._stamped(DEV_STAMP, self.dev_stamp())

    def _stamped(self, name: str, expected: str) -> bool:
        if self.version() is None:
            return False
        try:
            return (self.folder / name).read_text(encoding="utf-8") == expected
        except OSError:
            return False


def _wishes() -> tuple[str, str]:
    return os.environ.get("TORCH_COMMAND", ""), os.environ.get("TORCH_INDEX_URL", "")


def prepare(environment: Environment, *, for_tests: bool, reinstall_torch: bool = False) -> None:
    """Make and fill the environment as far as that is needed.

    Raises:
        SetupError: it cannot be done; the message says why.
    """
    ready = environment.is_ready_for_tests() if for_tests else environment.is_ready()
    if ready and not reinstall_torch:
        return
    checks.check_writable(environment.root)
    with _only_one(environment.root / ".venv.lock"):
        _make(environment)
        if reinstall_torch or not environment.is_ready():
            _install_runtime(environment, reinstall_torch)
        if for_tests and not environment.is_ready_for_tests():
            _install(
                environment,
                "Installing what the tests need",
                pins.read_pins(environment.root / pins.DEV),
                ["--no-deps"],
            )
            _write_stamp(environment, DEV_STAMP, environment.dev_stamp())


def _make(environment: Environment) -> None:
    version = environment.version()
    if version in ("3.10", "3.11", "3.12"):
        return
    checks.check_venv_available()
    command = [sys.executable, "-m", "venv", "--clear", str(environment.folder)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        reason = (result.stdout + result.stderr).strip().splitlines()
        raise SetupError(
            f"The environment {environment.folder} could not be made "
            f"({reason[-1] if reason else 'no reason given'})."
        )


def _install_runtime(environment: Environment, reinstall_torch: bool) -> None:
    wanted = pins.runtime_pins(environment.root)
    first, rest = pins.first_and_rest(wanted)
    attempts = torch_build.plan(torch_build.find_hardware(), [first["torch"], first["torchvision"]])
    if not _has_torch(environment):
        checks.check_disk_space(environment.root, attempts[0].size_gb)
    _install(environment, "Installing the build tools", [first["setuptools"]], [])
    build = _install_torch(environment, attempts, reinstall_torch)
    # basicsr exists as source only; its build must see the setuptools just installed, because an
    # isolated one would download torch a second time.
    _install(
        environment,
        "Installing the packages",
        rest,
        ["--no-deps", "--no-build-isolation", "--use-pep517"],
    )
    _write_stamp(environment, RUNTIME_STAMP, environment.runtime_stamp())
    (environment.folder / "easel-torch-build").write_text(build + "\n", encoding="utf-8")


def _has_torch(environment: Environment) -> bool:
    return any(environment.folder.glob("[Ll]ib/**/site-packages/torch/version.py"))


def _install_torch(
    environment: Environment, attempts: list[torch_build.Attempt], again: bool
) -> str:
    """Try the builds in turn; the label of the one that could be had.

    Only an index that cannot be reached, or lacks the build, is a reason to take the next: a full
    disk or a broken download would end the bigger plain build just the same.
    """
    force = ("--force-reinstall",) if again else ()
    for number, attempt in enumerate(attempts, 1):
        if number > 1 and not _has_torch(environment):
            checks.check_disk_space(environment.root, attempt.size_gb)
        arguments = (*attempt.arguments[:1], *force, *attempt.arguments[1:])
        try:
            _pip(environment, f"Installing torch ({attempt.label})", arguments, 2)
        except UnreachableError:
            if number == len(attempts):
                raise
            sys.stdout.write(
                f"The {attempt.label} build of torch cannot be reached; taking the plain one.\n"
            )
        else:
            return attempt.label
    raise SetupError("There is no way to install torch on this machine.")


def _install(environment: Environment, title: str, wanted: list[str], options: list[str]) -> None:
    listing = environment.folder / "easel-wanted.txt"
    listing.write_text("\n".join(wanted) + "\n", encoding="utf-8")
    _pip(environment, title, ("install", *options, "-r", str(listing)), len(wanted))


def _pip(environment: Environment, title: str, arguments: tuple[str, ...], total: int) -> None:
    """Run pip with a progress line; its full output goes to the log."""
    common = ("--no-input", "--progress-bar", "off", "--disable-pip-version-check")
    command = [str(environment.python), "-m", "pip", *arguments[:1], *common, *arguments[1:]]
    variables = {**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONNOUSERSITE": "1"}
    variables.pop("PYTHONHOME", None)
    before = _installed_count(environment)
    report = PipReport(total, lambda: _installed_count(environment) - before)
    with environment.log.open("a", encoding="utf-8") as log:
        log.write(f"$ pip {' '.join(arguments)}\n")
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env=variables,
        )
        said: list[str] = []
        with ProgressLine(title, report.describe), _ended(process):
            for line in process.stdout or ():
                log.write(line)
                said.append(line)
                report.read(line)
            code = process.wait()
            if code:
                raise pip_error("".join(said), environment.log)


@contextlib.contextmanager
def _ended(process: subprocess.Popen[str]) -> Iterator[None]:
    """Do not leave pip running when the person presses Ctrl+C."""
    try:
        yield
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()


def _installed_count(environment: Environment) -> int:
    return sum(1 for _ in environment.folder.glob("[Ll]ib/**/site-packages/*.dist-info/RECORD"))


NETWORK_SIGNS = (
    "NewConnectionError",
    "Failed to establish a new connection",
    "Temporary failure in name resolution",
    "Name or service not known",
    "ProxyError",
    "Max retries exceeded",
    "ConnectTimeout",
    "Read timed out",
    "Network is unreachable",
    "NameResolutionError",
    "CERTIFICATE_VERIFY_FAILED",
    "Connection broken",
)


MISSING = "No matching distribution found for"


def pip_error(output: str, log: Path) -> SetupError:
    """The error for what pip printed, told apart by whether another index could help."""
    sentence = explain_pip(output, log)
    signs = any(sign in output for sign in (*NETWORK_SIGNS, MISSING))
    return UnreachableError(sentence) if signs and not _is_full(output) else SetupError(sentence)


def _is_full(output: str) -> bool:
    return "No space left on device" in output or "[Errno 28]" in output


def explain_pip(output: str, log: Path) -> str:
    """One sentence for why pip gave up, from what it printed."""
    if _is_full(output):
        return DISK_FULL
    missing = re.search(rf"{MISSING} (\S+)", output)
    if any(sign in output for sign in NETWORK_SIGNS):
        host = re.search(r"host='([^']+)'|https?://([^/\s'\"]+)", output)
        where = next((part for part in host.groups() if part), "") if host else ""
        return (
            f"The package index{' ' + where if where else ''} cannot be reached: connect to the "
            "network (or set the proxy in pip's configuration) and run launch.py again."
        )
    if missing:
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        return (
            f"There is no {missing[1]} for Python {version} on this kind of machine; "
            f"the details are in {log}."
        )
    if "Permission denied" in output:
        return f"pip may not write into the environment; the details are in {log}."
    errors = [line for line in output.splitlines() if line.startswith("ERROR")]
    reason = errors[-1].removeprefix("ERROR: ") if errors else "it gave no reason"
    return f"pip could not install everything ({reason}); the details are in {log}."


def _write_stamp(environment: Environment, name: str, value: str) -> None:
    path = environment.folder / name
    temporary = path.with_suffix(".tmp")
    temporary.write_text(value, encoding="utf-8")
    temporary.replace(path)


@contextlib.contextmanager
def _only_one(path: Path) -> Iterator[None]:
    """Hold a lock while installing, so that two starts at once do not mix; waits for the other."""
    with path.open("a+") as handle:
        told = False
        while not _locked(handle):
            if not told:
                sys.stdout.write("Another start is installing; waiting for it.\n")
                sys.stdout.flush()
                told = True
            time.sleep(0.5)
        yield


def _locked(handle: TextIO) -> bool:
    """Take the lock, which ends with the file, unless another process has it."""
    # Never the waiting kinds of lock: Windows' one gives up with an error after ten seconds.
    try:
        if os.name == "nt":
            import msvcrt

            handle.seek(0)
            msvcrt.locking(handle.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True
