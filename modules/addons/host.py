"""What A1111's modules ask of the program that they run in: the server or the engine.

Set once per process before any extension is loaded; the façade in ``modules/addons/a1111`` reads
it. Nothing else of the program does.
"""

from __future__ import annotations

import logging
import traceback
from argparse import Namespace
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from modules.addons.extension import Extension
from modules.addons.loading import Problem, told
from modules.settings.flags import Flags
from modules.settings.paths import Paths

log = logging.getLogger("easel.addons")

Side = Literal["server", "engine", "none"]

PROBLEM_LIMIT = 200
"""Problems that are kept; an extension that fails at every step must not fill the memory."""


@dataclass
class Host:
    """The process as extensions see it."""

    side: Side = "none"
    flags: Flags = field(default_factory=Flags)
    paths: Paths = field(default_factory=lambda: Paths.from_flags(Flags()))
    extensions: list[Extension] = field(default_factory=list)
    """All that were found, those that are off too."""
    providers: dict[str, Callable[[], Any]] = field(default_factory=dict)
    """Name → what gives it: ``sd_model`` in the engine, ``styles`` or ``upscalers`` anywhere."""
    problems: list[Problem] = field(default_factory=list)
    """What extensions did wrong since the start, oldest first."""
    extra_flags: Namespace = field(default_factory=Namespace)
    """What ``preload.py`` files added to the command line."""

    def provide(self, name: str, give: Callable[[], Any]) -> None:
        """Say where something of the program's comes from in this process."""
        self.providers[name] = give

    def ask(self, name: str, otherwise: Any = None) -> Any:
        """What the program gives under a name, or ``otherwise`` where it has no such thing."""
        give = self.providers.get(name)
        return otherwise if give is None else give()

    def active(self) -> list[Extension]:
        """Extensions whose code is loaded."""
        return [extension for extension in self.extensions if extension.active]

    def extension_of(self, filename: str) -> Extension | None:
        """Which extension a file belongs to."""
        found = [one for one in self.extensions if _inside(filename, str(one.folder))]
        return found[0] if found else None

    def report(self, filename: str, where: str, error: BaseException) -> None:
        """Log and keep what an extension did wrong; the program goes on."""
        extension = self.extension_of(filename)
        name = extension.name if extension else "unknown"
        details = "".join(traceback.format_exception(error))
        log.error("extension %s: %s: %s\n%s", name, where, told(error), details)
        if len(self.problems) < PROBLEM_LIMIT:
            self.problems.append(Problem(name, where, told(error), details))

    def problems_of(self, names: Iterable[str]) -> list[Problem]:
        """What went wrong with the extensions named."""
        wanted = set(names)
        return [problem for problem in self.problems if problem.extension in wanted]


def _inside(filename: str, folder: str) -> bool:
    rest = filename[len(folder) : len(folder) + 1]
    return filename.startswith(folder) and rest in ("/", "\\")


current = Host()
"""This process. Replaced as a whole by `set_host`."""


def set_host(host: Host) -> Host:
    """Make ``host`` this process's one."""
    global current
    current = host
    return host


def get() -> Host:
    """This process's host."""
    return current
