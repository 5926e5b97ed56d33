"""Installing, updating, switching and removing extensions: all or nothing, and never unasked.

Nothing of an extension is executed before somebody has seen its address, commit, files and what the
scan found, and has said yes. Each call asks ``forbidden`` first, so that a server that others can
reach refuses whatever its page shows.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from modules.addons.extension import Extension, find_extensions
from modules.addons.manager.address import Repository, folder_name, repository
from modules.addons.manager.git import Commit, Git, GitError
from modules.addons.manager.packages import Change, PackageError, Packages
from modules.addons.manager.record import Installed, Records
from modules.addons.manager.scan import scan
from modules.addons.manager.staging import Staged, Staging
from modules.requests.errors import RequestError, shorten
from modules.settings.audit import AuditLog

INSTALLER_SECONDS = 900.0
KEPT_OUTPUT = 4000
"""Characters of an installer's last words."""


class ExtensionError(RuntimeError):
    """Something could not be done; the message is one sentence for people."""


class Forbidden(ExtensionError):  # noqa: N818 - reads as what happened
    """Extensions must not be changed in this way of running Easel."""


@dataclass(frozen=True)
class Update:
    """What an update would bring."""

    staged: Staged
    old: Commit
    files: tuple[str, ...]
    """Paths that differ."""


@dataclass
class ExtensionManager:
    """The extensions of one data folder."""

    folder: Path
    packages: Packages
    staging: Staging
    audit: AuditLog
    forbidden: Callable[[], str]
    """Why nothing may be changed now; empty when it may."""
    switches: Callable[[], tuple[Sequence[str], str]]
    """Settings ``disabled_extensions`` and ``disable_all_extensions``."""
    disable: Callable[[list[str]], None]
    """Writes the setting ``disabled_extensions``."""
    check_host: Callable[[str], None] = lambda url: None
    """Raises ``RequestError`` for a name that leads into this machine or its network."""
    builtin: Sequence[str] = ()
    git: Git = field(default_factory=Git)
    faults: Callable[[Sequence[Extension]], dict[str, str]] = lambda extensions: {}
    """Name → why it does not load, of those that are on; found out when they were tried."""
    try_again: Callable[[str], None] = lambda name: None
    """Forgets why one does not load."""
    address: Callable[[str, str, str], Repository] | None = None
    """Reads an address; tests alone put another in the place of ``address.repository``."""

    def __post_init__(self) -> None:
        self.records = Records(self.folder)
        self._busy = threading.Lock()

    # -- looking ---------------------------------------------------------------------------------

    def listed(self) -> list[tuple[Extension, Installed, Commit | None]]:
        """All extensions with what is known of them."""
        records = self.records.all()
        return [
            (one, records.get(one.name, Installed()), self.git.state(one.folder))
            for one in self.extensions()
        ]

    def extensions(self) -> list[Extension]:
        """All extensions, on or off, in their order."""
        found = self._extensions(self.records.reasons())
        faults = self.faults(found)
        return self._extensions({**faults, **self.records.reasons()}) if faults else found

    def _extensions(self, reasons: dict[str, str]) -> list[Extension]:
        disabled, disable_all = self.switches()
        return find_extensions(
            self.folder,
            builtin=self.builtin,
            disabled=disabled,
            disable_all=disable_all,
            reasons=reasons,
        )

    def inspect(self, url: str, folder: str = "", branch: str = "") -> Staged:
        """Fetch a repository to be looked at; nothing of it is executed.

        Raises:
            ExtensionError: it cannot be had, or must not be.
            RequestError: the address, folder or branch cannot be used.
        """
        with self.allowed("looking at an extension"):
            wanted = (self.address or repository)(url, folder, branch)
            self._check_new(wanted.folder)
            self.check_host(wanted.url)
            return self._staged(wanted)

    def planned_packages(self, token: str, *, build: bool = False) -> list[Change]:
        """What the packages of a staged extension would change.

        Raises:
            ExtensionError: they cannot be had without changing Easel's own.
            RequestError: the token or a requirement cannot be used.
        """
        with self.allowed("looking at packages"):
            staged = self.staging.take(token)
            try:
                return self.packages.plan(staged.scan.requirements, build=build)
            except PackageError as error:
                raise ExtensionError(str(error)) from error

    # -- changing --------------------------------------------------------------------------------

    def install(
        self, token: str, *, packages: bool = True, installer: bool = True, build: bool = False
    ) -> Extension:
        """Put a staged extension in its place; when anything fails, nothing has changed.

        Args:
            packages: install what its requirements.txt names.
            installer: run its install.py.
            build: packages may be built from source, which runs their code.

        Raises:
            ExtensionError: it cannot work here, or a step failed.
            RequestError: the token cannot be used, or the folder is there already.
        """
        with self.allowed("installing an extension"):
            staged = self.staging.take(token)
            if staged.scan.refused:
                raise ExtensionError(staged.scan.refused)
            name = staged.repository.folder
            self._check_new(name)
            target = self.folder / name
            changes: list[Change] = []
            before = self.packages.installed() if packages or installer else {}
            try:
                if packages:
                    self.packages.install(staged.scan.requirements, build=build)
                _move(staged.folder, target)
                ran = self._run_installer(target) if installer else ""
                changes = self.packages.changes_since(before) if before else []
                self._keep_record(staged, changes, ran)
            except BaseException as error:
                self._take_back(target, before)
                self._note("install failed", staged, error=str(error))
                if isinstance(error, (PackageError, OSError)):
                    raise ExtensionError(f"{name} was not installed: {error}") from error
                raise
            self.staging.drop(token)
            self._note("installed", staged, packages=[f"{c.name} {c.after}" for c in changes])
            return self._find(name)

    def look_for_update(self, name: str) -> Update | None:
        """Fetch the newest version beside the present one; None when it is the same.

        Raises:
            ExtensionError: it has no repository, or that cannot be reached.
        """
        with self.allowed("looking for an update"):
            extension = self._find(name)
            old = self.git.state(extension.folder)
            if old is None or not old.remote:
                raise ExtensionError(f"{name} did not come from a repository.")
            branch = "" if old.branch == "HEAD" else old.branch
            read = self.address or repository
            wanted = read(old.remote, extension.folder.name, branch)
            self.check_host(wanted.url)
            staged = self._staged(wanted)
            if staged.commit.id == old.id:
                self.staging.drop(staged.token)
                return None
            return Update(staged, old, _differing(extension.folder, staged.folder))

    def update(
        self,
        name: str,
        token: str,
        *,
        packages: bool = True,
        installer: bool = False,
        build: bool = False,
    ) -> None:
        """Bring an extension to a version that was looked at; it takes effect at the next start.

        Args:
            packages: install what its requirements.txt names.
            installer: run its install.py.
            build: packages may be built from source, which runs their code.

        Raises:
            ExtensionError: files were changed by hand, or a step failed; the old version stays.
        """
        with self.allowed("updating an extension"):
            staged, extension = self.staging.take(token), self._find(name)
            if staged.repository.folder.lower() != extension.name:
                raise RequestError("token", token, f"what was looked at is not {extension.name}.")
            if staged.scan.refused:
                raise ExtensionError(staged.scan.refused)
            old = self.git.state(extension.folder)
            before = self.packages.installed()
            try:
                if packages:
                    self.packages.install(staged.scan.requirements, build=build)
                self.git.fetch_commit(extension.folder, staged.commit.id)
                self.git.switch(extension.folder, staged.commit.id)
                ran = self._run_installer(extension.folder) if installer else ""
                known: dict[str, Any] = {"commit": staged.commit.id, "failures": 0, "reason": ""}
                self.records.change(extension.name, **known, **({"installer": ran} if ran else {}))
            except (ExtensionError, GitError, PackageError, OSError) as error:
                if old is not None:
                    self._back_to(extension.folder, old.id)
                self.packages.roll_back(self.packages.changes_since(before))
                self._note("update failed", staged, error=str(error))
                raise ExtensionError(f"{name} was not updated: {error}") from error
            self.staging.drop(token)
            self._note("updated", staged, from_commit=old.id if old else "")

    def switch(self, name: str, on: bool) -> None:
        """Switch an extension on or off; it takes effect at the next start.

        Raises:
            ExtensionError: it must not be changed now.
            RequestError: there is no such extension.
        """
        with self.allowed("switching an extension"):
            extension = self._find(name)
            disabled = [one for one in self.switches()[0] if one.lower() != extension.name]
            self.disable(disabled if on else [*disabled, extension.folder.name])
            if on:
                self.records.change(extension.name, failures=0, reason="")
                self.try_again(extension.name)
            self.audit.note("extension switched", name=extension.name, on=on)

    def remove(self, name: str, *, packages: bool = False) -> None:
        """Delete an extension's folder with all that is in it.

        Args:
            packages: take back what its installation changed in the environment, too.

        Raises:
            ExtensionError: it comes with Easel, or cannot be deleted.
        """
        with self.allowed("removing an extension"):
            extension = self._find(name)
            if extension.builtin:
                raise ExtensionError(f"{name} comes with Easel; switch it off instead.")
            changes = self.records.get(extension.name).packages
            try:
                _delete(extension.folder)
                if packages and changes:
                    self.packages.roll_back(Change.from_json(change) for change in changes)
                self.records.forget(extension.name)
            except (OSError, PackageError) as error:
                raise ExtensionError(f"{name} was not removed: {error}") from error
            self.audit.note("extension removed", name=extension.name)

    # -- steps -----------------------------------------------------------------------------------

    @contextmanager
    def allowed(self, what: str) -> Any:
        """One change at a time, and only while changing is allowed.

        Raises:
            Forbidden: it is not.
            ExtensionError: another change is under way.
        """
        reason = self.forbidden()
        if reason:
            self.audit.note("extension change refused", what=what, reason=reason)
            raise Forbidden(reason)
        if not self._busy.acquire(blocking=False):
            raise ExtensionError("Another extension is being worked on; try again in a moment.")
        try:
            yield
        finally:
            self._busy.release()

    def _staged(self, wanted: Any) -> Staged:
        token, place = self.staging.new_folder()
        try:
            self.git.clone(wanted, place)
            commit = self.git.state(place)
            if commit is None:
                raise GitError("the repository is empty.")
            staged = Staged(token, wanted, place, commit, scan(place, wanted.folder))
        except (GitError, ValueError, OSError) as error:
            shutil.rmtree(place, ignore_errors=True)
            raise ExtensionError(f"{wanted.folder} cannot be had: {error}") from error
        self.staging.add(staged)
        return staged

    def _find(self, name: str) -> Extension:
        wanted = str(name).lower()
        for extension in self.extensions():
            if extension.name == wanted:
                return extension
        raise RequestError("name", shorten(str(name)), "there is no extension of this name.")

    def _check_new(self, name: str) -> None:
        folder_name(name)
        if any(one.name == name.lower() for one in self.extensions()):
            raise RequestError("folder", name, f"there is an extension {name} already.")

    def _run_installer(self, folder: Path) -> str:
        """Run install.py as A1111 does; gives its fingerprint, or nothing when there is none."""
        script = folder / "install.py"
        if not script.is_file():
            return ""
        self.run_installer(folder, self.packages)
        return fingerprint(script)

    def run_installer(self, folder: Path, packages: Packages) -> None:
        """Execute an extension's install.py in a process of its own.

        Raises:
            ExtensionError: it failed or took too long.
        """
        constraints = self.staging.new_folder()[1].with_suffix(".constraints")
        constraints.write_text(packages.constraints(), encoding="utf-8")
        environment = {
            **os.environ,
            "PYTHONPATH": str(packages.root),
            "PIP_CONSTRAINT": str(constraints),
            "PIP_NO_INPUT": "1",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        }
        command = [str(packages.python), "-m", "modules.addons.run_installer", str(folder)]
        try:
            done = subprocess.run(
                command,
                cwd=packages.root,
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=INSTALLER_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            sentence = f"its install.py took more than {INSTALLER_SECONDS:g} s."
            raise ExtensionError(sentence) from None
        finally:
            constraints.unlink(missing_ok=True)
        if done.returncode:
            told = done.stderr.decode("utf-8", "replace")[-KEPT_OUTPUT:].strip().splitlines()
            last = told[-1] if told else "no reason given"
            raise ExtensionError(f"its install.py failed: {shorten(last)}")

    def _keep_record(self, staged: Staged, changes: Sequence[Change], ran: str) -> None:
        self.records.change(
            staged.repository.folder.lower(),
            url=staged.repository.url,
            commit=staged.commit.id,
            installed=time.time(),
            packages=tuple(change.to_json() for change in changes),
            installer=ran,
            failures=0,
            reason="",
        )

    def _take_back(self, target: Path, before: dict[str, str]) -> None:
        _delete(target)
        self.records.forget(target.name.lower())
        if before:
            self.packages.roll_back(self.packages.changes_since(before))

    def _back_to(self, folder: Path, commit: str) -> None:
        try:
            self.git.switch(folder, commit)
        except GitError:
            return  # it is where it was: that is why switching failed

    def _note(self, event: str, staged: Staged, **facts: Any) -> None:
        self.audit.note(
            f"extension {event}",
            name=staged.repository.folder,
            url=staged.repository.url,
            commit=staged.commit.id,
            **facts,
        )


def fingerprint(path: Path) -> str:
    """SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _move(source: Path, target: Path) -> None:
    """Into its place in one step, also from another disk."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.rename(source, target)
    except OSError:
        beside = target.with_name(f".{target.name}.new")
        shutil.copytree(source, beside, symlinks=True)
        os.rename(beside, target)


def _delete(folder: Path) -> None:
    """Out of sight in one step, then file by file."""
    if not folder.exists():
        return
    gone = folder.with_name(f".{folder.name}.removed-{time.monotonic_ns()}")
    os.rename(folder, gone)
    shutil.rmtree(gone, ignore_errors=True)


def _differing(old: Path, new: Path) -> tuple[str, ...]:
    """Paths of ordinary files that were added, changed or removed."""
    found = []
    for place, folders, names in os.walk(new):
        folders[:] = [one for one in folders if one != ".git"]
        for name in names:
            path = Path(place, name)
            relative = path.relative_to(new)
            other = old / relative
            if not other.is_file() or other.read_bytes() != path.read_bytes():
                found.append(relative.as_posix())
    return tuple(sorted(found))
