"""Where A1111's names get the server's things from."""

from __future__ import annotations

from typing import Any

from modules.addons.host import Host
from modules.addons.saving import SavingCallbacks


def connect(host: Host, context: Any) -> None:
    """Let the façade ask this server for its lists of models and the like.

    Args:
        context: the web's ``AppContext``.
    """
    catalog = context.catalog
    host.provide("catalog", lambda: catalog)
    host.provide("options", lambda: context.options)
    host.provide("jobs", lambda: context.jobs)
    host.provide("checkpoint_titles", lambda: [one.title for one in catalog.checkpoints()])
    host.provide("vae_names", lambda: [one.name for one in catalog.vaes()])
    host.provide("upscaler_names", lambda: [one.name for one in catalog.upscalers()])
    host.provide("refresh_checkpoints", catalog.refresh)
    host.provide("sd_upscalers", lambda: _upscalers(catalog))
    host.provide("prompt_styles", lambda: _styles(context.styles))
    host.providers["process_images"] = lambda p: _queued(context.jobs, p)  # type: ignore[assignment,misc]
    context.jobs.keeper.guests = SavingCallbacks()


def _queued(jobs: Any, p: Any) -> Any:
    """``process_images`` of a tab's button."""
    from modules.addons.queueing import QueuedImages

    return QueuedImages(jobs)(p)


def _styles(book: Any) -> Any:
    """The prompt styles under A1111's names."""
    from modules.addons.a1111.styles import StyleDatabase

    return StyleDatabase(book)


def _upscalers(catalog: Any) -> Any:
    """The upscalers under A1111's names."""
    from modules.addons.a1111.upscaler import listed

    return listed(catalog)
