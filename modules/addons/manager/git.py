"""git, called so that a hostile repository or address cannot make it do anything else.

No shell, one argument per word, nothing read from the user's or the system's git configuration,
only the protocol https, no hooks, no submodules, no links, no prompts; a clone that grows too large
or takes too long is ended and removed.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from modules.addons.manager.address import Repository
from modules.requests.errors import shorten

MOST_BYTES = 512 * 1024 * 1024
MOST_SECONDS = 600.0
QUICK_SECONDS = 30.0
LOOK_SECONDS = 0.25


class GitError(RuntimeError):
    """git failed; the message is one sentence for people."""


@dataclass(frozen=True)
class Commit:
    """Where a folder stands."""

    id: str
    date: str
    """ISO 8601."""
    subject: str
    branch: str
    remote: str


@dataclass(frozen=True)
class Git:
    """The program with the protocols that it may use."""

    protocols: tuple[str, ...] = ("https",)
    most_bytes: int = MOST_BYTES
    most_seconds: float = MOST_SECONDS

    def clone(
        self, wanted: Repository, folder: Path, cancelled: Callable[[], bool] = lambda: False
    ) -> None:
        """Copy the newest commit into ``folder``, which must not exist; on failure nothing stays.

        Raises:
            GitError: it cannot be had.
        """
        branch = ["--branch", wanted.branch] if wanted.branch else []
        words = ["clone", "--quiet", "--depth", "1", "--single-branch", "--no-tags"]
        words += ["--no-recurse-submodules", *branch, "--", wanted.url, str(folder)]
        try:
            self._watched(words, folder, cancelled)
        except GitError:
            shutil.rmtree(folder, ignore_errors=True)
            raise

    def fetch(self, folder: Path, branch: str = "") -> str:
        """Get the newest commit of the repository without changing any file; returns its id.

        Raises:
            GitError: it cannot be had.
        """
        words = ["fetch", "--quiet", "--depth", "1", "--no-tags", "--no-recurse-submodules"]
        words += ["--", "origin", branch or "HEAD"]
        self._watched(words, folder / ".git", lambda: False, cwd=folder)
        return self._asked(["rev-parse", "FETCH_HEAD"], folder)

    def changed_files(self, folder: Path, old: str, new: str) -> list[str]:
        """Paths that differ between two commits that are here."""
        return self._asked(["diff", "--name-only", "--end-of-options", old, new], folder).split(
            "\n"
        )

    def switch(self, folder: Path, commit: str) -> None:
        """Make the folder's files those of a commit that is here.

        Files that git does not know stay. Raises ``GitError`` when changes made by hand would be
        lost.
        """
        self._asked(["reset", "--quiet", "--keep", _id(commit), "--"], folder)

    def fetch_commit(self, folder: Path, commit: str) -> None:
        """Get one commit by its id, for going back to it.

        Raises:
            GitError: the repository does not give it.
        """
        words = ["fetch", "--quiet", "--depth", "1", "--no-tags", "--no-recurse-submodules"]
        self._watched(
            [*words, "--", "origin", _id(commit)], folder / ".git", lambda: False, cwd=folder
        )

    def state(self, folder: Path) -> Commit | None:
        """Where the folder stands; None when it is no repository."""
        if not (folder / ".git").exists():
            return None
        try:
            shown = self._asked(["log", "-1", "--format=%H%n%cI%n%s", "HEAD"], folder)
            branch = self._asked(["rev-parse", "--abbrev-ref", "HEAD"], folder)
        except GitError:
            return None
        commit, date, subject = [*shown.split("\n", 2), "", ""][:3]
        return Commit(commit, date, subject, branch, self.remote(folder))

    def remote(self, folder: Path) -> str:
        """The address that the folder came from, without a name or password in it."""
        try:
            url = self._asked(["remote", "get-url", "origin"], folder)
        except GitError:
            return ""
        head, mark, tail = url.partition("://")
        return f"{head}{mark}{tail.split('@', 1)[-1]}" if mark else url

    # -- running it ------------------------------------------------------------------------------

    def _command(self, words: Sequence[str]) -> list[str]:
        settings = ["protocol.allow=never", "core.hooksPath=/dev/null", "core.symlinks=false"]
        settings += [f"protocol.{name}.allow=always" for name in self.protocols]
        settings += ["core.fsmonitor=false", "submodule.recurse=false", "credential.helper="]
        settings += ["core.askPass=", "http.followRedirects=initial", "core.protectNTFS=true"]
        settings += ["uploadpack.packObjectsHook=", "gc.auto=0", "safe.directory=*"]
        options = [word for setting in settings for word in ("-c", setting)]
        return ["git", *options, *words]

    def _asked(self, words: Sequence[str], folder: Path) -> str:
        """The answer of a quick command."""
        try:
            done = subprocess.run(
                self._command(words),
                cwd=folder,
                env=_environment(),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=QUICK_SECONDS,
                check=False,
            )
        except FileNotFoundError:
            raise _missing() from None
        except (OSError, subprocess.TimeoutExpired) as error:
            raise GitError(f"git did not answer: {error}") from error
        if done.returncode:
            raise GitError(_told(done.stderr))
        return done.stdout.decode("utf-8", "replace").strip()

    def _watched(
        self,
        words: Sequence[str],
        grows: Path,
        cancelled: Callable[[], bool],
        cwd: Path | None = None,
    ) -> None:
        """A command that uses the network: ended when it takes too long or fetches too much."""
        try:
            process = subprocess.Popen(
                self._command(words),
                cwd=cwd,
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except FileNotFoundError:
            raise _missing() from None
        until = time.monotonic() + self.most_seconds
        reason = ""
        while not reason:
            try:
                _, told = process.communicate(timeout=LOOK_SECONDS)
            except subprocess.TimeoutExpired:
                if time.monotonic() > until:
                    reason = f"It took more than {self.most_seconds:g} s."
                elif _bytes_in(grows) > self.most_bytes:
                    reason = f"It is larger than {self.most_bytes // 1024 // 1024} MB."
                elif cancelled():
                    reason = "It was cancelled."
                continue
            if process.returncode:
                raise GitError(_told(told))
            if _bytes_in(grows) > self.most_bytes:
                raise GitError(f"It is larger than {self.most_bytes // 1024 // 1024} MB.")
            return
        _end(process)
        raise GitError(reason)


def _id(commit: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", commit):
        raise GitError(f"{shorten(commit)!r} is no commit.")
    return commit


def _environment() -> dict[str, str]:
    kept = ("PATH", "HOME", "SYSTEMROOT", "TEMP", "TMP", "TMPDIR", "LANG", "SSL_CERT_FILE")
    kept += ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
    found = {name: os.environ[name] for name in kept if name in os.environ}
    return {
        **found,
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "",
        "SSH_ASKPASS": "",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_SYSTEM": os.devnull,
        "GIT_LFS_SKIP_SMUDGE": "1",
        "LC_ALL": "C",
    }


def _end(process: subprocess.Popen[bytes]) -> None:
    """End git and the helpers that it started."""
    if hasattr(os, "killpg"):
        with_group = getattr(os, "killpg")  # noqa: B009 - not on Windows
        try:
            with_group(process.pid, 9)
        except ProcessLookupError:
            process.kill()
    else:
        process.kill()
    process.communicate()


def _bytes_in(folder: Path) -> int:
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(place, name)).st_size
            except OSError:
                continue  # git has renamed it meanwhile
    return total


def _missing() -> GitError:
    return GitError("git is not installed; install it (https://git-scm.com) and try again.")


def _told(stderr: bytes) -> str:
    """What git said, in one line without control characters."""
    lines = [line.strip() for line in stderr.decode("utf-8", "replace").splitlines()]
    lines = [line for line in lines if line.startswith(("fatal:", "error:"))] or lines
    text = " ".join(filter(None, lines[:3])) or "no reason given"
    cleaned = "".join(character for character in text if character.isprintable())[:400]
    if "Could not resolve host" in cleaned or "unable to access" in cleaned:
        return f"git cannot reach the repository; is this machine online? ({cleaned})"
    return f"git: {cleaned}"
