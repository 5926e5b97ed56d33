"""Where A1111's names get the server's things from."""

from __future__ import annotations

from typing import Any

from modules.addons.host import Host


def connect(host: Host, context: Any) -> None:
    """Let the façade ask this server for its lists of models and the like.

    Args:
        context: the web's ``AppContext``.
    """
    catalog = context.catalog
    host.provide("catalog", lambda: catalog)
    host.provide("options", lambda: context.options)
    host.provide("jobs", lambda: context.jobs)
    host.provide("checkpoint_titles", lambda: [one.title for one in catalog.checkpoints.all()])
