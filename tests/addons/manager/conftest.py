"""Repositories on this machine, as real as those on the internet."""

from __future__ import annotations

import subprocess
import sys
import zipfile

import pytest

from modules.addons.manager.address import Repository
from modules.addons.manager.git import Git
from modules.addons.manager.packages import Packages

FILE_GIT = Git(protocols=("file",))


class Upstream:
    """A repository that an extension comes from."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir()
        self.run("init", "--quiet", "--initial-branch", "main")

    def run(self, *words):
        who = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "protocol.file.allow=always"]
        done = subprocess.run(
            ["git", *who, *words], cwd=self.folder, capture_output=True, check=True, text=True
        )
        return done.stdout.strip()

    def commit(self, files, message="more"):
        for path, text in files.items():
            place = self.folder / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text)
        self.run("add", "--all")
        self.run("commit", "--quiet", "--message", message)
        return self.run("rev-parse", "HEAD")

    def repository(self, name="thing", branch=""):
        return Repository(self.folder.as_uri(), "here", name, branch)


@pytest.fixture
def upstream(tmp_path):
    made = Upstream(tmp_path / "upstream")
    made.commit({"scripts/x.py": "value = 1\n"}, "first")
    return made


def wheel(folder, name, version, needs=()):
    """A package of one line, as an index would give it."""
    info = f"{name}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    metadata += "".join(f"Requires-Dist: {need}\n" for need in needs)
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        archive.writestr(f"{name}.py", f"version = {version!r}\n")
        archive.writestr(f"{info}/METADATA", metadata)
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(
            f"{info}/RECORD", f"{name}.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n"
        )


@pytest.fixture(scope="session")
def environment(tmp_path_factory):
    """An environment with one package of "Easel's own", and an index of a few others."""
    folder = tmp_path_factory.mktemp("packages")
    index = folder / "index"
    index.mkdir()
    wheel(index, "ours", "1.0")
    wheel(index, "ours", "2.0")
    wheel(index, "plain", "1.0", ["helper_x"])
    wheel(index, "plain", "2.0", ["helper_x"])
    wheel(index, "helper_x", "0.5")
    wheel(index, "greedy", "1.0", ["ours>=2"])
    (folder / "requirements.txt").write_text("ours==1.0 # pinned\n")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "env"], check=True)
    python = folder / "env" / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    found = Packages(folder, python, ("--no-index", "--find-links", str(index)))
    found._run("install", "--quiet", *found.pip_options, "ours==1.0")
    return found
