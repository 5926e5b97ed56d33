"""States of all extensions, kept and gone back to: A1111's ``config_states`` files.

A state names each extension's address, commit and switch. Going back switches the extensions that
are installed and checks their commits out; one that is not installed is named, not fetched, since
fetching code asks for consent of its own.
"""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modules.addons.manager.git import Commit, GitError
from modules.addons.manager.manager import ExtensionError, ExtensionManager
from modules.requests.errors import RequestError, shorten
from modules.settings import atomic
from modules.settings.version import VERSION

_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._ -]{0,150}\.json")
MOST_BYTES = 4 * 1024 * 1024
MOST = 200
"""Files that are listed, the newest first."""


@dataclass
class States:
    """The files in ``<data>/config_states``."""

    folder: Path
    manager: ExtensionManager

    def listed(self) -> list[dict[str, Any]]:
        """File, name, time and number of extensions, the newest first; unreadable ones are named.

        Raises:
            OSError: the folder cannot be read.
        """
        found = []
        for path in sorted(self.folder.glob("*.json"), reverse=True)[:MOST]:
            try:
                state = self._read(path.name)
            except RequestError as error:
                found.append({"file": path.name, "error": error.sentence})
                continue
            found.append(
                {
                    "file": path.name,
                    "name": str(state.get("name") or path.stem)[:200],
                    "created": _number(state.get("created_at")),
                    "extensions": len(state["extensions"]),
                }
            )
        return found

    def keep(self, name: str) -> str:
        """Write the present state down; gives the file's name.

        Raises:
            ExtensionError: nothing may be changed now.
            OSError: it cannot be written.
        """
        with self.manager.allowed("keeping a state"):
            clean = re.sub(r"[^A-Za-z0-9 _-]", "", name)[:60].strip() or "Config"
            now = time.time()
            stamp = time.strftime("%Y_%m_%d-%H_%M_%S", time.localtime(now))
            file = f"{stamp}_{clean}.json"
            self.folder.mkdir(parents=True, exist_ok=True)
            state = {"created_at": now, "name": name[:200] or "Config", "webui": {}}
            state["webui"] = {"program": "easel", "version": VERSION}
            state["extensions"] = self._present()
            atomic.write_json(self.folder / file, state)
            return file

    def plan(self, file: str) -> dict[str, Any]:
        """What going back would change.

        Raises:
            RequestError: there is no such state.
        """
        steps = self._steps(self._read(file))
        return {"file": file, **{key: [_shown(one) for one in steps[key]] for key in steps}}

    def restore(self, file: str) -> dict[str, Any]:
        """Go back; when a commit cannot be had, every extension stays where it was.

        Raises:
            ExtensionError: nothing may be changed now, or a commit cannot be had.
            RequestError: there is no such state.
        """
        with self.manager.allowed("restoring a state"):
            steps = self._steps(self._read(file))
            self._check_out(steps["commits"])
            on = {one["name"] for one in steps["switches"] if one["on"]}
            off = {one["folder"] for one in steps["switches"] if not one["on"]}
            kept = [one for one in self.manager.switches()[0] if one.lower() not in on]
            self.manager.disable([*kept, *off])
            for name in on:
                self.manager.records.change(name, failures=0, reason="")
            self.manager.audit.note("extension state restored", file=file)
            return {"file": file, **{key: [_shown(one) for one in steps[key]] for key in steps}}

    def forget(self, file: str) -> None:
        """Delete a state.

        Raises:
            ExtensionError: nothing may be changed now.
            RequestError: there is no such state.
        """
        with self.manager.allowed("deleting a state"):
            try:
                self._path(file).unlink()
            except FileNotFoundError:
                raise _unknown(file) from None

    # -- steps -----------------------------------------------------------------------------------

    def _present(self) -> dict[str, dict[str, Any]]:
        disabled = {name.lower() for name in self.manager.switches()[0]}
        found = {}
        for one, record, commit in self.manager.listed():
            found[one.name] = {
                "name": one.name,
                "path": str(one.folder),
                "version": commit.id[:8] if commit else "",
                "is_builtin": one.builtin,
                "enabled": one.name not in disabled,
                "remote": record.url or (commit.remote if commit else "") or None,
                "commit_hash": commit.id if commit else None,
                "commit_date": commit.date if commit else None,
                "branch": commit.branch if commit else None,
                "have_info_from_git": commit is not None,
            }
        return found

    def _steps(self, state: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
        """What differs: ``commits``, ``switches``, and what is ``missing`` here."""
        here = {one.name: (one, commit) for one, _, commit in self.manager.listed()}
        disabled = {name.lower() for name in self.manager.switches()[0]}
        steps: dict[str, list[dict[str, Any]]] = {"commits": [], "switches": [], "missing": []}
        for key, entry in state["extensions"].items():
            name = str(key).lower()
            if name not in here:
                steps["missing"].append({"name": name, "url": str(entry.get("remote") or "")})
                continue
            extension, commit = here[name]
            wanted = str(entry.get("commit_hash") or "")
            if commit is not None and wanted and wanted != commit.id:
                steps["commits"].append(
                    {"name": name, "folder": extension.folder, "old": commit, "new": wanted}
                )
            on = bool(entry.get("enabled", True))
            if on != (name not in disabled):
                steps["switches"].append({"name": name, "folder": extension.folder.name, "on": on})
        return steps

    def _check_out(self, steps: list[dict[str, Any]]) -> None:
        git, done = self.manager.git, []
        try:
            for step in steps:
                git.fetch_commit(step["folder"], step["new"])
                git.switch(step["folder"], step["new"])
                done.append(step)
                self.manager.records.change(step["name"], commit=step["new"])
        except (GitError, OSError) as error:
            for one in done:
                git.switch(one["folder"], one["old"].id)
                self.manager.records.change(one["name"], commit=one["old"].id)
            raise ExtensionError(f"{step['name']} cannot go back: {error}") from error

    def _path(self, file: str) -> Path:
        if not _FILE.fullmatch(file):
            raise _unknown(file)
        return self.folder / file

    def _read(self, file: str) -> dict[str, Any]:
        path = self._path(file)
        try:
            if path.stat().st_size > MOST_BYTES:
                raise ValueError("it is too large")
            state = json.loads(path.read_text(encoding="utf-8"))
            entries = dict(state["extensions"])
            if not all(isinstance(entry, dict) for entry in entries.values()):
                raise ValueError("an extension in it is none")
            return {**state, "extensions": entries}
        except FileNotFoundError:
            raise _unknown(file) from None
        except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
            raise RequestError(
                "file", shorten(file), f"{shorten(file)} holds no state: {shorten(str(error))}."
            ) from None


def _shown(step: dict[str, Any]) -> dict[str, Any]:
    plain = {key: value for key, value in step.items() if key != "folder"}
    return {key: _commit(value) for key, value in plain.items()}


def _commit(value: Any) -> Any:
    return value.id if isinstance(value, Commit) else value


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) else None


def _unknown(file: str) -> RequestError:
    return RequestError("file", shorten(file), "there is no state of this name.")
