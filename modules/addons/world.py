"""All extensions of one process: their code executed, their settings known, their scripts made.

The server and the engine build the same world from the same files in the same order: the server
writes down what it decided (`Plan`), the engine reads it.
"""

from __future__ import annotations

import argparse
import json
import logging
import time
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any

from modules.addons import host as hosts
from modules.addons import importer
from modules.addons.extension import Extension
from modules.addons.host import Host, Side
from modules.addons.loading import LoadedFile, Problem, ScriptLoader, folder_on_path, told
from modules.addons.metadata import Metadata
from modules.settings import atomic
from modules.settings.flags import SECRET_FLAGS, Flags
from modules.settings.paths import Paths

log = logging.getLogger("easel.addons")

SHIM = {"gradio": "modules.addons.a1111.gradio_shim"}
PLAN = "world.json"


@dataclass
class World:
    """What became of loading."""

    host: Host
    files: list[LoadedFile] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    """Extension → what it cost at start."""

    @property
    def problems(self) -> list[Problem]:
        """Everything that went wrong so far."""
        return self.host.problems

    def begin_ui(self) -> None:
        """``before_ui``, then the settings, then the scripts of both tabs: outside any Blocks."""
        from modules.addons.a1111 import script_callbacks, scripts

        with _building():
            script_callbacks.before_ui_callback()
            script_callbacks.ui_settings_callback()
            scripts.scripts_current = scripts.scripts_txt2img
            scripts.scripts_txt2img.initialize_scripts(is_img2img=False)
            scripts.scripts_current = scripts.scripts_img2img
            scripts.scripts_img2img.initialize_scripts(is_img2img=True)
            script_callbacks.ui_settings_callback()  # some scripts register theirs as they are made

    def headless_ui(self) -> None:
        """Make the scripts' components where there is no page: for their number and values."""
        from modules.addons.a1111 import gradio_shim as gr
        from modules.addons.a1111 import scripts

        with _building(), gr.Blocks():
            for runner in (scripts.scripts_txt2img, scripts.scripts_img2img):
                scripts.scripts_current = runner
                runner.prepare_ui()
                runner.setup_ui()


def load(host: Host, options: Any = None) -> World:
    """Execute all active extensions' files. Failures stay with the extension that made them.

    Args:
        host: this process; the façade works with it from now on.
        options: what keeps the settings (`modules.addons.option_bridge`); None keeps a copy.
    """
    hosts.set_host(host)
    host.providers.setdefault("prompt_styles", _styles(host))
    world = World(host)
    active = host.active()
    finder = importer.install(lambda: [extension.folder for extension in host.active()], SHIM)
    host.extra_flags = _preload(finder, active, world)
    from modules.addons.a1111 import scripts, shared

    if options is not None:
        shared.opts.connect(options)
    loader = ScriptLoader(finder, lambda extension, path: scripts.begin_file(str(extension.folder)))
    with _building():
        world.files += loader.load_all(active)
    scripts.begin_file("")
    for loaded in world.files:
        name = loaded.file.extension.name
        world.seconds[name] = world.seconds.get(name, 0.0) + loaded.seconds
        if loaded.module is None:
            host.problems.append(Problem(name, loaded.file.path.name, loaded.error, loaded.details))
        else:
            scripts.register_scripts_from_module(
                loaded.module, str(loaded.file.path), str(loaded.file.extension.folder)
            )
    for name, seconds in world.seconds.items():
        log.info("extension %s: loaded in %.2f s", name, seconds)
    return world


def _styles(host: Host) -> Callable[[], Any]:
    @cache
    def give() -> Any:
        from modules.addons.a1111.styles import StyleDatabase
        from modules.prompts import StyleBook

        return StyleDatabase(StyleBook(host.paths.styles_file))

    return give


@contextmanager
def _building() -> Iterator[None]:
    """Components made meanwhile are an extension's; without Gradio there are none."""
    from modules.addons.a1111.gradio_shim import patches

    with patches.building():
        yield


def _preload(
    finder: importer.ExtensionFinder, active: Sequence[Extension], world: World
) -> Namespace:
    """What ``preload.py`` files add to the command line, with the defaults they give."""
    parser = argparse.ArgumentParser(add_help=False, exit_on_error=False)
    for extension in active:
        path = extension.folder / "preload.py"
        if not path.is_file():
            continue
        started = time.perf_counter()
        try:
            with folder_on_path(extension.folder):
                module = importer_module(finder, f"{extension.name}_preload", path)
                if hasattr(module, "preload"):
                    module.preload(parser)
        except (Exception, SystemExit) as error:
            world.host.report(str(path), "preload.py", error)
        world.seconds[extension.name] = time.perf_counter() - started
    try:
        return parser.parse_known_args([])[0]
    except (Exception, SystemExit) as error:  # a flag that must be given, say
        log.error("the flags of extensions cannot be read: %s", told(error))
        return Namespace()


def importer_module(finder: importer.ExtensionFinder, name: str, path: Path) -> Any:
    """Execute one file of an extension as a module of that name."""
    import importlib.util

    loader = finder.loader(name, str(path))
    spec = importlib.util.spec_from_file_location(name, path, loader=loader)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path.name} cannot be loaded")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@dataclass(frozen=True)
class Plan:
    """What the server decided, for the engine: which extensions, and the command line."""

    extensions: tuple[Extension, ...]
    flags: Flags

    def write(self, folder: Path) -> None:
        """Keep it in a cache folder.

        Raises:
            OSError: it cannot be written.
        """
        shown = {k: v for k, v in asdict(self.flags).items() if k not in SECRET_FLAGS}
        rows = [
            {"name": one.name, "folder": str(one.folder), "builtin": one.builtin, "off": one.off}
            for one in self.extensions
        ]
        place = folder / "addons"
        place.mkdir(parents=True, exist_ok=True)
        atomic.write_json(place / PLAN, {"extensions": rows, "flags": shown})

    @classmethod
    def read(cls, folder: Path) -> Plan:
        """Read it back.

        Raises:
            OSError, ValueError: there is none, or it is damaged.
        """
        found = json.loads((folder / "addons" / PLAN).read_text(encoding="utf-8"))
        extensions = tuple(
            Extension(
                row["name"],
                Path(row["folder"]),
                row["builtin"],
                row["off"],
                Metadata.read(Path(row["folder"])),
            )
            for row in found["extensions"]
        )
        names = {one.name for one in fields(Flags)}
        given = {k: tuple(v) if isinstance(v, list) else v for k, v in found["flags"].items()}
        return cls(extensions, Flags(**{k: v for k, v in given.items() if k in names}))


def load_planned(side: Side, folder: Path, connect: Callable[[Host], None] | None = None) -> World:
    """Build the world that the server planned in a cache folder, scripts and arguments included.

    Args:
        connect: says what the process gives, before any code of an extension runs.

    Raises:
        OSError, ValueError: there is no plan.
    """
    plan = Plan.read(folder)
    host = Host(side, plan.flags, Paths.from_flags(plan.flags), list(plan.extensions))
    if connect is not None:
        connect(host)
    world = load(host)
    world.begin_ui()
    world.headless_ui()
    return world
