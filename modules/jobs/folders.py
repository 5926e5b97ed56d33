"""Where results may go: never among the program's own files, where a text beside them could run."""

from __future__ import annotations

from pathlib import Path

from modules.requests.errors import RequestError, shorten
from modules.settings.paths import Paths


def check_output_folder(paths: Paths, key: str, value: str, *, confined: bool = False) -> None:
    """Refuse an output folder among the program's own files or the models.

    ``confined`` allows the data folder's outputs alone: people at other machines choose no folder
    of this one.

    Raises:
        RequestError: the folder lies inside the program and is none of its output folders.
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
    forbidden = (paths.root, paths.extensions, paths.models, paths.configs)
    if any(folder.is_relative_to(root.resolve()) for root in forbidden):
        raise RequestError(
            key,
            value,
            f"{shorten(value)!r} lies inside the program; "
            f"allowed: {paths.outputs} or a folder elsewhere.",
        )
