"""Where a request lies below ``--subpath``: every check must see the path that the routes see."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

from starlette._utils import get_route_path

Scope = MutableMapping[str, Any]


def placed(scope: Scope, subpath: str) -> Scope:
    """The request with its path in full, whether or not a proxy took the subpath off.

    ``subpath`` is empty or begins with a slash and does not end with one.
    """
    if not subpath:
        return scope
    path = scope["path"]
    if path != subpath and not path.startswith(f"{subpath}/"):
        path = subpath + path
    return {**scope, "path": path, "root_path": subpath}


def local_path(scope: Scope) -> str:
    """The path below the subpath, cut off by the routers' own function so that both agree."""
    return get_route_path(scope) or "/"
