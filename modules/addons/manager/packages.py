"""Python packages that an extension asks for, installed so that Easel's own stay as they are.

Every package that Easel came with is pinned to the version it has; the installation is planned
first, shown, done in one step, and can be taken back.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modules.requests.errors import RequestError, shorten

SECONDS = 900.0
LISTS = ("requirements.txt", "requirements-overrides.txt", "requirements-dev.txt")
MOST_REQUIREMENTS = 200

_SNAPSHOT = (
    "import json, importlib.metadata as m;"
    "print(json.dumps({d.metadata['Name']: d.version for d in m.distributions()"
    " if d.metadata['Name']}))"
)


class PackageError(RuntimeError):
    """pip failed; the message is one sentence for people."""


@dataclass(frozen=True)
class Change:
    """One package before and after; an empty version means that it is not there."""

    name: str
    before: str
    after: str

    def to_json(self) -> dict[str, str]:
        """For the page and the record."""
        return {"name": self.name, "before": self.before, "after": self.after}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Change:
        """Read it back."""
        return cls(str(data["name"]), str(data["before"]), str(data["after"]))


@dataclass(frozen=True)
class Packages:
    """The environment that Easel runs in."""

    root: Path
    """The program's folder, for the lists of its own packages."""
    python: Path = Path(sys.executable)
    pip_options: tuple[str, ...] = ()
    """Where packages come from, if not from pip's own index."""

    def plan(self, requirements: Sequence[str], *, build: bool = False) -> list[Change]:
        """What installing would change, found out without changing anything.

        Raises:
            PackageError: it cannot be done without changing packages of Easel's, or not at all.
            RequestError: a line is no plain requirement.
        """
        wanted = plain_requirements(requirements)
        if not wanted:
            return []
        report = self._pip(wanted, build, "--dry-run", "--quiet", "--report", "-")
        before = self.installed()
        changes = []
        for entry in json.loads(report)["install"]:
            name, version = entry["metadata"]["name"], entry["metadata"]["version"]
            changes.append(Change(name, before.get(canonical(name), ""), version))
        return sorted(changes, key=lambda change: change.name.lower())

    def install(self, requirements: Sequence[str], *, build: bool = False) -> list[Change]:
        """Install them; if that fails half-way, what was there before is there again.

        Args:
            build: packages may be built from source, which runs their code.

        Raises:
            PackageError: it cannot be done.
            RequestError: a line is no plain requirement.
        """
        wanted = plain_requirements(requirements)
        if not wanted:
            return []
        before = self.installed()
        try:
            self._pip(wanted, build, "--quiet")
        except PackageError:
            self.roll_back(self.changes_since(before))
            raise
        return self.changes_since(before)

    def roll_back(self, changes: Iterable[Change]) -> None:
        """Take changes back: newcomers leave, changed packages get their former version again.

        Raises:
            PackageError: a former version cannot be had any more.
        """
        changes = list(changes)
        gone = [change.name for change in changes if change.after and not change.before]
        old = [f"{change.name}=={change.before}" for change in changes if change.before]
        if gone:
            self._run("uninstall", "--yes", "--quiet", *gone)
        if old:
            self._run("install", "--no-deps", "--no-input", "--quiet", *self.pip_options, *old)

    def changes_since(self, before: dict[str, str]) -> list[Change]:
        """The difference between then and now."""
        now = self.installed()
        return [
            Change(name, before.get(name, ""), now.get(name, ""))
            for name in sorted(before.keys() | now.keys())
            if before.get(name) != now.get(name)
        ]

    def installed(self) -> dict[str, str]:
        """Canonical name → version, as a fresh process sees them."""
        done = subprocess.run(
            [str(self.python), "-I", "-c", _SNAPSHOT],
            capture_output=True,
            timeout=60,
            check=False,
        )
        if done.returncode:
            raise PackageError("The installed packages cannot be listed.")
        return {canonical(name): version for name, version in json.loads(done.stdout).items()}

    def constraints(self) -> str:
        """pip's constraints: each of Easel's own packages at the version that is installed."""
        now = self.installed()
        names = {canonical(name) for path in LISTS for name in _listed(self.root / path)}
        names |= {"pip", "setuptools", "wheel"}
        return "".join(f"{name}=={now[name]}\n" for name in sorted(names & now.keys()))

    # -- pip -------------------------------------------------------------------------------------

    def _pip(self, wanted: Sequence[str], build: bool, *options: str) -> str:
        with tempfile.TemporaryDirectory() as folder:
            constraints = Path(folder, "constraints.txt")
            constraints.write_text(self.constraints(), encoding="utf-8")
            source = () if build else ("--only-binary", ":all:")
            words = ["install", "--no-input", "--constraint", str(constraints), *source, *options]
            return self._run(*words, *self.pip_options, "--", *wanted)

    def _run(self, *words: str) -> str:
        command = [sys.executable, "-m", "pip", "--python", str(self.python)]
        command += ["--disable-pip-version-check", "--isolated", *words]
        try:
            done = subprocess.run(
                command,
                capture_output=True,
                stdin=subprocess.DEVNULL,
                timeout=SECONDS,
                check=False,
                env={**os.environ, "PIP_NO_INPUT": "1"},
            )
        except subprocess.TimeoutExpired:
            raise PackageError(f"pip took more than {SECONDS:g} s.") from None
        if done.returncode:
            raise PackageError(_told(done.stderr))
        return done.stdout.decode("utf-8", "replace")


def plain_requirements(lines: Iterable[str]) -> list[str]:
    """The lines of a requirements file that name packages, each checked.

    Raises:
        RequestError: a line is an option, a path or an address; those could make pip do anything.
    """
    from packaging.requirements import InvalidRequirement, Requirement

    wanted = []
    for line in lines:
        text = line.split(" #")[0].strip()
        if not text or text.startswith("#"):
            continue
        try:
            parsed = Requirement(text)
        except InvalidRequirement:
            raise _bad(text) from None
        if parsed.url:
            raise _bad(text)
        wanted.append(str(parsed))
    if len(wanted) > MOST_REQUIREMENTS:
        raise RequestError(
            "requirements", len(wanted), f"{len(wanted)} packages; allowed: {MOST_REQUIREMENTS}."
        )
    return wanted


def canonical(name: str) -> str:
    """A package's name as indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _listed(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    found = (re.match(r"[A-Za-z0-9][A-Za-z0-9._-]*", line.strip()) for line in lines)
    return [match[0] for match in found if match]


def _bad(text: str) -> RequestError:
    return RequestError(
        "requirements",
        shorten(text),
        f"{shorten(text)!r} is not installed for an extension; allowed: names of packages with "
        "versions, as dynamicprompts>=0.30.",
    )


def _told(stderr: bytes) -> str:
    """pip's reason in one line."""
    lines = stderr.decode("utf-8", "replace").splitlines()
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    text = " ".join(errors[:2]) or "no reason given"
    if "Cannot install" in text or "conflicting dependencies" in text:
        text = f"{text} Easel's own packages stay as they are."
    if any("connection" in line.lower() or "resolve host" in line.lower() for line in lines):
        text = f"the package index cannot be reached; is this machine online? {text}"
    return f"pip: {''.join(one for one in text if one.isprintable())[:600]}"
