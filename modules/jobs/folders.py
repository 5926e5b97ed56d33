"""Where results may go: never among the program's own files, where a text beside them could run."""

from __future__ import annotations

from pathlib import Path

from modules.requests.errors import RequestError, shorten
from modules.settings.paths import Paths

PROGRAM = frozenset(
    {"benchmarks", "cache", "configs", "docs", "embeddings", "extensions", "javascript"}
    | {"localizations", "models", "modules", "scripts", "tests", "tools", "wildcards"}
)
"""Folders below the program's root that are its own, as those that begin with a dot are."""


def check_output_folder(paths: Paths, key: str, value: str, *, confined: bool = False) -> None:
    """Refuse an output folder among the program's own files or the models.

    ``confined`` allows the data folder's outputs alone: people at other machines choose no folder
    of this one.

    Raises:
        RequestError: the folder is one of the program's own, such as `modules`, or lies in one.
    """
    if not value:
        return
    try:
        folder = (paths.data / Path(value).expanduser()).resolve()
    except (OSError, ValueError, RuntimeError):
        raise RequestError(key, value, f"{shorten(value)!r} is no folder name.") from None
    results = (paths.outputs, paths.data / "log", paths.root / "outputs")
    if any(folder.is_relative_to(root.resolve()) for root in results):
        return
    if confined:
        raise RequestError(
            key,
            value,
            f"{shorten(value)!r} lies outside; while the server is open to other machines "
            f"(--listen), allowed: {paths.outputs} and folders in it.",
        )
    forbidden = (paths.extensions, paths.models, paths.configs)
    among_models = any(folder.is_relative_to(root.resolve()) for root in forbidden)
    if among_models or _is_the_programs(paths.root.resolve(), folder):
        raise RequestError(
            key,
            value,
            f"{shorten(value)!r} lies inside the program; "
            f"allowed: {paths.outputs} or a folder elsewhere.",
        )


def _is_the_programs(root: Path, folder: Path) -> bool:
    """Whether a folder is the program's root or one that came with it, or lies in such a one."""
    if not folder.is_relative_to(root):
        return False
    first = next(iter(folder.relative_to(root).parts), "")
    return not first or first.startswith(".") or first.lower() in PROGRAM
