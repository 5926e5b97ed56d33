"""Gives extension code the modules it expects under the names it expects.

- ``import modules.shared``, ``from modules import scripts`` and ``import launch`` reach the files
  in ``modules/addons/a1111``. None of Easel's own rooms has one of these names (a test keeps it
  so): serving them changes nothing for our own code.
- ``import gradio`` in a file of an extension reaches the shim for Gradio 3 and 4; everyone else
  goes on with Gradio itself. Such files get builtins with an ``__import__`` of their own.
"""

from __future__ import annotations

import builtins
import importlib
import importlib.machinery
import importlib.util
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.abc import Loader, MetaPathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

import modules

FACADE = "modules.addons.a1111"
FOLDER = Path(__file__).resolve().parent / "a1111"
TOP_LEVEL = {"launch": f"{FACADE}.launch"}
"""Modules that A1111 has beside ``modules``."""


class _Alias(Loader):
    """Loads a module of ours under another name: both names are one object."""

    def __init__(self, target: str) -> None:
        self._target = target
        self._identity: dict[str, Any] = {}

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        module = importlib.import_module(self._target)
        kept = ("__name__", "__spec__", "__loader__", "__package__", "__file__", "__path__")
        self._identity = {name: getattr(module, name) for name in kept if hasattr(module, name)}
        return module

    def exec_module(self, module: ModuleType) -> None:
        """It was executed under its own name; the import system has overwritten what it is."""
        for name, value in self._identity.items():
            setattr(module, name, value)


class FacadeFinder(MetaPathFinder):
    """Finds A1111's names in our folder."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        where = target_of(fullname)
        if where is None:
            return None
        package = _source(where).name == "__init__.py"
        return importlib.machinery.ModuleSpec(fullname, _Alias(where), is_package=package)


def target_of(fullname: str) -> str | None:
    """Our module behind a name of A1111's, or None if we have none."""
    if fullname in TOP_LEVEL:
        return TOP_LEVEL[fullname] if _source(TOP_LEVEL[fullname]).exists() else None
    if not fullname.startswith("modules.") or fullname.startswith("modules.addons"):
        return None
    where = f"{FACADE}.{fullname.removeprefix('modules.')}"
    return where if _source(where).exists() else None


def _source(target: str) -> Path:
    path = FOLDER.joinpath(*target.removeprefix(f"{FACADE}.").split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


class ExtensionFinder(MetaPathFinder):
    """Finds an extension's own packages and gives their code the extension's imports."""

    def __init__(self, roots: Callable[[], Sequence[Path]], replaced: Mapping[str, str]) -> None:
        self._roots = roots
        self._builtins = _builtins_with(replaced)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        inside = [entry for entry in (sys.path if path is None else path) if self._holds(entry)]
        if not inside:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, inside, target)
        if spec is not None and isinstance(spec.loader, importlib.machinery.SourceFileLoader):
            spec.loader = self.loader(spec.loader.name, spec.loader.path)
        return spec

    def loader(self, fullname: str, path: str) -> Loader:
        """The loader for one file of an extension."""
        return _ExtensionLoader(fullname, path, self._builtins)

    def _holds(self, entry: str) -> bool:
        place = Path(entry)
        return any(place == root or root in place.parents for root in self._roots())


class _ExtensionLoader(importlib.machinery.SourceFileLoader):
    def __init__(self, fullname: str, path: str, own_builtins: Mapping[str, Any]) -> None:
        super().__init__(fullname, path)
        self._builtins = own_builtins

    def exec_module(self, module: ModuleType) -> None:
        module.__dict__["__builtins__"] = self._builtins
        super().exec_module(module)


def _builtins_with(replaced: Mapping[str, str]) -> dict[str, Any]:
    """Builtins whose ``import`` gives other modules for the names in ``replaced``."""

    def import_(
        name: str,
        globals_: Mapping[str, Any] | None = None,
        locals_: Mapping[str, Any] | None = None,
        fromlist: Sequence[str] = (),
        level: int = 0,
    ) -> ModuleType:
        top, _, rest = name.partition(".")
        if level or top not in replaced:
            return builtins.__import__(name, globals_, locals_, fromlist, level)
        module = importlib.import_module(replaced[top])
        for part in rest.split(".") if rest and fromlist else ():
            module = getattr(module, part)
        if rest and not fromlist:
            builtins.__import__(name)  # `import gradio.events` loads it; the name bound is the shim
        return module

    return {**vars(builtins), "__import__": import_}


def install(
    roots: Callable[[], Sequence[Path]], replaced: Mapping[str, str] | None = None
) -> ExtensionFinder:
    """Serve A1111's names from now on; returns the finder for the extensions' files.

    Args:
        roots: the folders of the extensions that are loaded.
        replaced: top-level package → the module that extension code gets instead.
    """
    uninstall()
    finder = ExtensionFinder(roots, replaced or {})
    sys.meta_path[:0] = [FacadeFinder(), finder]
    modules.__getattr__ = _submodule  # type: ignore[attr-defined]
    return finder


def uninstall() -> None:
    """Serve them no longer; what is loaded stays loaded."""
    sys.meta_path[:] = [
        finder
        for finder in sys.meta_path
        if not isinstance(finder, (FacadeFinder, ExtensionFinder))
    ]
    vars(modules).pop("__getattr__", None)


def _submodule(name: str) -> ModuleType:
    """``modules.shared_items`` by attribute alone, as A1111's own imports make possible."""
    if target_of(f"modules.{name}") is None:
        raise AttributeError(f"module 'modules' has no attribute {name!r}")
    return importlib.import_module(f"modules.{name}")
