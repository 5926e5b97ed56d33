"""The manager as the web and the command line see it: plain questions, answers ready for JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

from modules.addons import host
from modules.addons.extension import ALL_OFF, EXTRA_OFF, NEEDS, Extension
from modules.addons.manager.index import Index
from modules.addons.manager.manager import ExtensionError, ExtensionManager, Forbidden
from modules.addons.manager.packages import Change
from modules.addons.manager.record import Installed
from modules.addons.manager.staging import Staged
from modules.addons.manager.states import States
from modules.addons.switches import Switches
from modules.settings.options import OptionError
from modules.web.extension_desk import Declined

MOST_FILES = 2000
"""Files that one answer names; a person reads no more, and the number of all is told."""
MOST_FINDINGS = 300


@dataclass
class ExtensionDesk:
    """One program's extensions; every method may take long."""

    manager: ExtensionManager
    switches: Switches
    kept: States
    lists: Index
    seconds: Callable[[], Mapping[str, float]] = dict
    """Name → what loading it took at this start."""
    restart_due: Callable[[bool], None] = lambda due: None
    """Hears after each change whether the next start differs from this one."""
    _begun: dict[str, tuple[bool, str]] = field(init=False)

    def __post_init__(self) -> None:
        self._begun = self._now()

    # -- looking ---------------------------------------------------------------------------------

    def overview(self) -> dict[str, Any]:
        """All extensions, whether they may be changed, and whether a restart is due."""
        with _told():
            rows = [self._row(*one) for one in self.manager.listed()]
            return {
                "folder": str(self.manager.folder),
                "forbidden": self.manager.forbidden(),
                "restart": self._differs(),
                "off": self.switches.chosen,
                "fixed": self.switches.fixed,
                "extensions": rows,
            }

    def a1111_rows(self) -> list[dict[str, Any]]:
        """The same as AUTOMATIC1111's ``GET /sdapi/v1/extensions`` answers."""
        with _told():
            return [
                {
                    "name": one.name,
                    "remote": record.url or (commit.remote if commit else ""),
                    "branch": commit.branch if commit else "",
                    "commit_hash": commit.id if commit else "",
                    "version": commit.id[:8] if commit else "",
                    "commit_date": commit.date if commit else "",
                    "enabled": one.active,
                }
                for one, record, commit in self.manager.listed()
            ]

    def look(self, url: str, folder: str, branch: str) -> dict[str, Any]:
        """Fetch a repository and say what is in it."""
        with _told():
            return _staged(self.manager.inspect(url, folder, branch))

    def packages(self, token: str, build: bool) -> dict[str, Any]:
        """What its packages would change in the environment."""
        with _told():
            return {"changes": _changes(self.manager.planned_packages(token, build=build))}

    def look_for_update(self, name: str) -> dict[str, Any]:
        """Whether there is a newer version, and what it changes."""
        with _told():
            found = self.manager.look_for_update(name)
            if found is None:
                return {"newer": False}
            return {
                "newer": True,
                **_staged(found.staged),
                "old": asdict(found.old),
                "changed": list(found.files[:MOST_FILES]),
                "changed_count": len(found.files),
            }

    def index(self, url: str) -> dict[str, Any]:
        """The curated list, or the one behind an address."""
        with _told():
            found = self.lists.fetched(url) if url else self.lists.curated()
            here = {
                (record.url or (commit.remote if commit else "")).removesuffix(".git").lower()
                for _, record, commit in self.manager.listed()
            }
            return {
                "url": url,
                "extensions": [
                    {**entry, "installed": entry["url"].removesuffix(".git").lower() in here}
                    for entry in found
                ],
            }

    # -- changing --------------------------------------------------------------------------------

    def install(self, token: str, packages: bool, installer: bool, build: bool) -> dict[str, Any]:
        """Put it in its place."""
        with _told():
            made = self.manager.install(token, packages=packages, installer=installer, build=build)
            record = self.manager.records.get(made.name)
            self._changed()
            return {"name": made.name, "changes": list(record.packages)}

    def update(
        self, name: str, token: str, packages: bool, installer: bool, build: bool
    ) -> dict[str, Any]:
        """Bring it to the version that was looked at."""
        with _told():
            self.manager.update(name, token, packages=packages, installer=installer, build=build)
            self._changed()
            return {"name": name.lower()}

    def switch(self, name: str, on: bool) -> dict[str, Any]:
        """Switch one on or off."""
        with _told():
            self.manager.switch(name, on)
            self._changed()
            return {"name": name.lower(), "on": on}

    def switch_all(self, which: str) -> dict[str, Any]:
        """``none``, ``extra`` or ``all`` are off, whatever their own switches say."""
        with _told():
            with self.manager.allowed("switching all extensions"):
                self.switches.disable_all(which)
                self.manager.audit.note("extensions switched", off=which)
            self._changed()
            return {"off": which}

    def remove(self, name: str, packages: bool) -> dict[str, Any]:
        """Delete it."""
        with _told():
            self.manager.remove(name, packages=packages)
            self._changed()
            return {"name": name.lower()}

    # -- states ----------------------------------------------------------------------------------

    def states(self) -> dict[str, Any]:
        """The kept states of all extensions."""
        with _told():
            return {"states": self.kept.listed()}

    def keep_state(self, name: str) -> dict[str, Any]:
        """Write down which extensions there are, and at which commits."""
        with _told():
            return {"file": self.kept.keep(name)}

    def plan_state(self, file: str) -> dict[str, Any]:
        """What going back to a kept state would change."""
        with _told():
            return self.kept.plan(file)

    def restore_state(self, file: str) -> dict[str, Any]:
        """Go back to it."""
        with _told():
            done = self.kept.restore(file)
            self._changed()
            return done

    def forget_state(self, file: str) -> dict[str, Any]:
        """Delete a kept state."""
        with _told():
            self.kept.forget(file)
            return {"removed": True}

    # -- what a restart would change -------------------------------------------------------------

    def _now(self) -> dict[str, tuple[bool, str]]:
        """Name → whether it is on, and its commit."""
        git = self.manager.git
        found = {}
        for one in self.manager.extensions():
            commit = git.state(one.folder) if one.active else None
            found[one.name] = (one.active, commit.id if commit else "")
        return found

    def _differs(self) -> bool:
        on = {name: commit for name, (active, commit) in self._now().items() if active}
        was = {name: commit for name, (active, commit) in self._begun.items() if active}
        return on != was

    def _changed(self) -> None:
        self.restart_due(self._differs())

    def _switched(self, one: Extension) -> bool:
        """What its own switch says: one that does not load is off until it is switched on again."""
        disabled = {name.lower() for name in self.switches.read()[0]}
        by_others = one.off in (ALL_OFF, EXTRA_OFF) or one.off.startswith(NEEDS)
        return one.name not in disabled and (one.active or by_others)

    def _row(self, one: Extension, record: Installed, commit: Any) -> dict[str, Any]:
        problems = host.get().problems_of([one.name])
        seconds = self.seconds().get(one.name)
        return {
            "name": one.name,
            "folder": one.folder.name,
            "builtin": one.builtin,
            "on": one.active,
            "off": one.off,
            "switched": self._switched(one),
            "url": record.url or (commit.remote if commit else ""),
            "branch": commit.branch if commit else "",
            "commit": commit.id if commit else "",
            "date": commit.date if commit else "",
            "subject": commit.subject[:200] if commit else "",
            "installed": record.installed or None,
            "packages": list(record.packages),
            "failures": record.failures,
            "seconds": round(seconds, 3) if seconds is not None else None,
            "errors": [
                {"where": each.where, "error": each.error, "details": each.details[-8000:]}
                for each in problems[-20:]
            ],
        }


@contextmanager
def _told() -> Iterator[None]:
    """Failures as the web knows them."""
    try:
        yield
    except Forbidden as error:
        raise Declined(str(error), 403) from error
    except ExtensionError as error:
        raise Declined(str(error)) from error
    except OptionError as error:
        raise Declined(error.sentence, 422) from error
    except OSError as error:
        raise Declined(f"A file could not be read or written: {error}.", 503) from error


def _staged(staged: Staged) -> dict[str, Any]:
    scan = staged.scan
    return {
        "token": staged.token,
        "name": staged.repository.folder,
        "url": staged.repository.url,
        "host": staged.repository.host,
        "branch": staged.commit.branch,
        "commit": staged.commit.id,
        "date": staged.commit.date,
        "subject": staged.commit.subject[:200],
        "files": list(scan.files[:MOST_FILES]),
        "file_count": len(scan.files),
        "size": scan.size,
        "requirements": list(scan.requirements),
        "installer": "install.py" in scan.files,
        "findings": [asdict(one) for one in scan.findings[:MOST_FINDINGS]],
        "finding_counts": scan.counts,
        "refused": scan.refused,
    }


def _changes(changes: list[Change]) -> list[dict[str, str]]:
    return [change.to_json() for change in changes]
