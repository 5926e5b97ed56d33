"""Where results may go: never among the program's own files, where a text beside them could run."""

from __future__ import annotations

from pathlib import Path

from modules.requests.errors import RequestError, shorten
from modules.settings.paths import Paths


def check_output_folder(paths: Paths, key: str, value: str) -> None:
    """Refuse an output folder among the program's own files or the models.

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
    forbidden = (paths.root, paths.extensions, paths.models, paths.configs)
    if any(folder.is_relative_to(root.resolve()) for root in forbidden):
        raise RequestError(
            key,
            value,
            f"{shorten(value)!r} lies inside the program; "
            f"allowed: {paths.outputs} or a folder elsewhere.",
        )
