"""Executes an extension's files; whatever goes wrong stays with the extension that did it."""

from __future__ import annotations

import importlib.util
import logging
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from modules.addons.extension import Extension, ExtensionFile, ordered_files
from modules.addons.importer import ExtensionFinder

log = logging.getLogger("easel.addons")


@dataclass(frozen=True)
class LoadedFile:
    """One executed file."""

    file: ExtensionFile
    module: ModuleType | None
    """None when it failed."""
    seconds: float
    error: str = ""
    """The last line of what went wrong, for people."""
    details: str = ""
    """The whole traceback, for the log and the page's details."""


@dataclass(frozen=True)
class Problem:
    """Something an extension did wrong at any time."""

    extension: str
    where: str
    error: str
    details: str


class ScriptLoader:
    """Loads ``scripts/*.py`` of all active extensions in their order."""

    def __init__(self, finder: ExtensionFinder, begin: Callable[[Extension, Path], None]) -> None:
        """``begin`` is told of each file before it is executed (``scripts.basedir()``)."""
        self._finder = finder
        self._begin = begin

    def load_all(self, extensions: Iterable[Extension]) -> list[LoadedFile]:
        """Execute them all; failures are in the list and in the log."""
        return [self.load(file) for file in ordered_files(extensions, "scripts", ".py")]

    def load(self, file: ExtensionFile) -> LoadedFile:
        """Execute one file as A1111 does: as ``scripts.<stem>``, its folder first on the path."""
        self._begin(file.extension, file.path)
        started = time.perf_counter()
        name = f"scripts.{file.path.stem}"
        try:
            with folder_on_path(file.extension.folder):
                module = self._execute(name, file.path)
        except (Exception, SystemExit) as error:
            details = traceback.format_exc()
            log.error("extension %s: %s\n%s", file.extension.name, file.path.name, details)
            return LoadedFile(file, None, time.perf_counter() - started, told(error), details)
        return LoadedFile(file, module, time.perf_counter() - started)

    def _execute(self, name: str, path: Path) -> ModuleType:
        spec = importlib.util.spec_from_file_location(
            name, path, loader=self._finder.loader(name, str(path))
        )
        if spec is None or spec.loader is None:
            raise ImportError(f"{path.name} cannot be loaded")
        module = importlib.util.module_from_spec(spec)
        # Gradio and dataclasses look a class's module up there; two extensions may have one name.
        key = name if name not in sys.modules else f"{name}@{path.parent.parent.name}"
        sys.modules[key] = module
        try:
            spec.loader.exec_module(module)
        except BaseException:
            sys.modules.pop(key, None)
            raise
        return module


@contextmanager
def folder_on_path(folder: Path) -> Iterator[None]:
    """An extension finds its own packages while its files are executed."""
    entry = str(folder)
    sys.path.insert(0, entry)
    try:
        yield
    finally:
        if entry in sys.path:
            sys.path.remove(entry)


def told(error: BaseException) -> str:
    """An exception in one line."""
    if isinstance(error, SystemExit):
        return f"it tried to end the program (exit code {error.code})"
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0]}" if text else type(error).__name__
