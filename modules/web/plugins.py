"""What the web asks of extensions' code; it never imports them. Without extensions there is none of
this: ``AppContext.plugins`` is None."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol

from fastapi import APIRouter, FastAPI

from modules.settings.flags import Flags
from modules.settings.notices import NoticeBoard
from modules.settings.paths import Paths
from modules.settings.store import OptionStore

if TYPE_CHECKING:
    import gradio

    from modules.web.context import AppContext


class Plugins(Protocol):
    """The extensions of one server."""

    engine_modules: tuple[str, ...]
    """What each engine installs."""
    scripts: Any
    """Their scripts, for the queue (`modules.jobs.preparing.extension_scripts`)."""

    def load(self, context: AppContext) -> None:
        """Execute their code; called once, before routes and page are made."""

    def router(self, context: AppContext) -> APIRouter:
        """Their files."""

    def building(self) -> AbstractContextManager[None]:
        """The page is built meanwhile."""

    def place_scripts(self, tab: str) -> None:
        """Put the components of a tab's scripts here."""

    def place_tabs(self) -> None:
        """Put their tabs here, inside ``gr.Tabs``."""

    def inputs(self, tab: str) -> list[gradio.components.Component]:
        """The components of a tab's scripts, whose values travel with Generate."""

    def layout(self, tab: str) -> list[dict[str, Any]]:
        """Which of these values are whose."""

    def rows(self, tab: str) -> list[dict[str, Any]]:
        """Scripts that can be chosen, for ``/easel/v1/scripts``."""

    def script_info(self, tab: str) -> list[dict[str, Any]]:
        """All scripts of a tab as ``/sdapi/v1/script-info`` lists them."""

    def event_scripts(self) -> tuple[str, ...]:
        """Texts of ``js=`` that extensions gave."""

    def head(self, root: str) -> list[str]:
        """Tags for the page's head."""

    def started(self, blocks: gradio.Blocks | None, app: FastAPI) -> None:
        """Page and routes are mounted."""


class FindPlugins(Protocol):
    """Looks which extensions there are; cheap, and executes nothing of theirs in this process."""

    def __call__(
        self, flags: Flags, paths: Paths, options: OptionStore, notices: NoticeBoard
    ) -> Plugins | None:
        """None when none is on."""
