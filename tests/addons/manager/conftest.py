"""Repositories on this machine, as real as those on the internet."""

from __future__ import annotations

import subprocess

import pytest

from modules.addons.manager.address import Repository
from modules.addons.manager.git import Git

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
