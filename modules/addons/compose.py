"""The extensions of a running server, behind the interface that the web asks for."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, FastAPI

from modules.addons.extension import Extension, find_extensions, ordered_files
from modules.addons.file_routes import file_router
from modules.addons.host import Host
from modules.addons.manager.compose import BUILTIN
from modules.addons.option_bridge import OptionBridge
from modules.addons.script_table import ScriptTable
from modules.addons.switches import Switches
from modules.addons.world import Plan, World, load
from modules.settings.flags import Flags
from modules.settings.notices import Notice, NoticeBoard
from modules.settings.paths import Paths
from modules.settings.store import OptionStore

log = logging.getLogger("easel.addons")

ENGINE_SIDE = "modules.addons.a1111.engine_side"


def find_plugins(
    flags: Flags, paths: Paths, options: OptionStore, notices: NoticeBoard
) -> Addons | None:
    """The extensions that are on, tried out in a process of their own; None when there are none."""
    disabled, disable_all = Switches(flags, options).read()
    found = find_extensions(
        paths.extensions, builtin=BUILTIN, disabled=disabled, disable_all=disable_all
    )
    if not any(one.active for one in found):
        return None
    from modules.addons.probe import probe

    failed = probe(found, flags, paths)
    if failed:
        found = find_extensions(
            paths.extensions,
            builtin=BUILTIN,
            disabled=disabled,
            disable_all=disable_all,
            reasons=failed,
        )
        for name, reason in failed.items():
            text = f"The extension {name} is off: {reason}."
            notices.add(Notice(f"extension:{name}", text))
    if not any(one.active for one in found):
        return None
    try:
        Plan(tuple(found), flags).write(paths.cache)
    except OSError as error:
        log.error("extensions stay off, what was decided cannot be written: %s", error)
        return None
    return Addons(flags, paths, found)


class Addons:
    """Everything that the server does with extensions; see `modules.web.plugins`."""

    engine_modules = (ENGINE_SIDE,)

    def __init__(self, flags: Flags, paths: Paths, extensions: list[Extension]) -> None:
        self.extensions = extensions
        self.paths = paths
        self.scripts = ScriptTable()
        self.host = Host("server", flags, paths, extensions)
        self.world: World | None = None

    # ---- at start

    def load(self, context: Any) -> None:
        """Execute their code."""
        from modules.addons.server_side import connect

        begun = time.perf_counter()
        connect(self.host, context)
        self.world = load(self.host, OptionBridge(context.options))
        from modules.addons.a1111 import shared

        shared.state.on_interrupt = lambda: context.jobs.interrupt(mode="interrupt")
        shared.state.on_skip = lambda: context.jobs.interrupt(mode="skip")
        context.options.subscribe(
            lambda changes: shared.opts.take({key: new for key, (_, new) in changes.items()})
        )
        self.world.begin_ui()
        if context.flags.nowebui:
            self.world.headless_ui()
            self._read_scripts()
        if context.extensions is not None:
            context.extensions.seconds = lambda: self.world.seconds if self.world else {}
        log.info("extensions were loaded in %.1f s", time.perf_counter() - begun)

    def _read_scripts(self) -> None:
        from modules.addons.a1111 import scripts

        self.scripts.read("txt2img", scripts.scripts_txt2img)
        self.scripts.read("img2img", scripts.scripts_img2img)

    def router(self, context: Any) -> APIRouter:
        """Their files, and the events that they gave the page."""
        return file_router(self.host, lambda: self.event_scripts())

    # ---- the page

    @contextmanager
    def building(self) -> Iterator[None]:
        """Tell them of each component of the page."""
        from modules.addons.a1111 import component_hooks

        with component_hooks.announced():
            yield
        self._read_scripts()

    def place_scripts(self, tab: str) -> None:
        """Make the components of a tab's scripts."""
        from modules.addons.a1111 import scripts
        from modules.addons.a1111.gradio_shim import patches

        runner = self._runner(tab)
        scripts.scripts_current = runner
        runner.prepare_ui()
        with patches.building():
            runner.setup_ui()

    def place_tabs(self) -> None:
        """Make their tabs: each is a Blocks of its own, made outside ours and put into it."""
        import gradio as gr
        from gradio.context import Context

        from modules.addons.a1111 import script_callbacks
        from modules.addons.a1111.gradio_shim import patches

        inside = Context.root_block, Context.block
        Context.root_block = Context.block = None
        try:
            with patches.building():
                tabs = script_callbacks.ui_tabs_callback()
        finally:
            Context.root_block, Context.block = inside
        for tab in tabs:
            try:
                blocks, title, elem_id = tab
                with gr.Tab(title, id=elem_id, elem_id=f"tab_{elem_id}"):
                    blocks.render()
            except Exception as error:
                self.host.report("", "ui_tabs", error)

    def inputs(self, tab: str) -> list[Any]:
        """The components of a tab's scripts."""
        return self._runner(tab).inputs[1:] if tab in ("txt2img", "img2img") else []

    def layout(self, tab: str) -> list[dict[str, Any]]:
        """Which of their values are whose."""
        if tab not in ("txt2img", "img2img"):
            return []
        self.scripts.read(tab, self._runner(tab))
        return self.scripts.layout(tab)

    def rows(self, tab: str) -> list[dict[str, Any]]:
        """Scripts that can be chosen."""
        return [
            {
                "name": one.title.lower(),
                "title": one.title,
                "extension": True,
                "group": f"{tab}_extension_script_{one.number}",
                "args": [],
            }
            for one in self.scripts.all(tab)
            if not one.alwayson
        ]

    def script_info(self, tab: str) -> list[dict[str, Any]]:
        """All of a tab's as ``/sdapi/v1/script-info`` lists them."""
        bounds = {"minimum": None, "maximum": None, "step": None, "choices": None}
        return [
            {
                "name": one.title.lower(),
                "is_alwayson": one.alwayson,
                "is_img2img": tab == "img2img",
                "args": [
                    {"label": label, "value": value, **bounds}
                    for label, value in zip(one.labels, one.defaults, strict=True)
                ],
            }
            for one in self.scripts.all(tab)
        ]

    def event_scripts(self) -> tuple[str, ...]:
        """Texts of ``js=`` that they gave."""
        from modules.addons.a1111.gradio_shim import patches

        return tuple(patches.foreign_scripts())

    def head(self, root: str) -> list[str]:
        """Our layer of A1111's page, their event scripts, scripts and styles."""
        config = {"root": root, "localization": {}}
        tags = [
            f'<script type="application/json" id="a1111_config">{_embedded(config)}</script>',
            f'<script src="{escape(root)}/easel/addons/a1111.js"></script>',
        ]
        for number, _ in enumerate(self.event_scripts()):
            tags.append(f'<script src="{escape(root)}/easel/addons/events/{number}.js"></script>')
        for suffix, kind in ((".js", ""), (".mjs", ' type="module"')):
            for file in ordered_files(self.extensions, "javascript", suffix):
                tags.append(f'<script{kind} src="{self._address(root, file.path)}"></script>')
        for extension in self.extensions:
            style = extension.folder / "style.css"
            if extension.active and style.is_file():
                tags.append(f'<link rel="stylesheet" href="{self._address(root, style)}">')
        return tags

    def started(self, blocks: Any, app: FastAPI) -> None:
        """Let them add routes; those stand behind the page's login like the page."""
        from modules.addons.a1111 import script_callbacks, shared

        shared.demo = blocks
        before = len(app.router.routes)
        script_callbacks.app_started_callback(blocks, app)
        # Gradio is mounted over everything: what came later would never be asked.
        later = app.router.routes[before:]
        del app.router.routes[before:]
        app.router.routes[before - 1 : before - 1] = later

    # ---- details

    def _runner(self, tab: str) -> Any:
        from modules.addons.a1111 import scripts

        return scripts.scripts_img2img if tab == "img2img" else scripts.scripts_txt2img

    def _address(self, root: str, path: Path) -> str:
        shown = path.relative_to(self.paths.data) if path.is_relative_to(self.paths.data) else path
        stamp = f"{path.stat().st_mtime}" if path.exists() else "0"
        return escape(f"{root}/file={quote(shown.as_posix())}?{stamp}")


def _embedded(value: Any) -> str:
    return json.dumps(value).replace("<", "\\u003c")
