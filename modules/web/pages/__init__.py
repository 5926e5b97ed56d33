"""The page a person sees: Gradio forms and tabs, our own scripts for everything that moves."""

from __future__ import annotations

from modules.web.pages.blocks import build, mount_arguments
from modules.web.pages.routes import router
from modules.web.pages.shell import PageShell
from modules.web.pages.trusted import TrustedScripts

__all__ = ["PageShell", "TrustedScripts", "build", "mount_arguments", "router"]
