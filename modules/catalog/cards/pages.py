"""The pages of the card browser: which folders each shows and how a card is called in a prompt.

A new page is one entry in `PAGES`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from modules.requests.errors import NotFoundInList
from modules.settings.paths import Paths

FIELD = "page"
WEIGHTS = (".safetensors", ".pt", ".pth", ".bin", ".ckpt")
PICTURES = (".png", ".webp", ".jxl", ".avif")
"""An embedding may be kept inside a picture."""


@dataclass(frozen=True)
class Page:
    """One page of cards."""

    key: str
    """As in A1111's element ids and routes."""
    title: str
    """A1111's name of the tab."""
    roots: Callable[[Paths], tuple[Path, ...]]
    suffixes: tuple[str, ...]
    prompt: str = ""
    """Kind of `<kind:name:weight>`; empty: the bare name, or no prompt at all."""


LORA = Page("lora", "Lora", lambda paths: (paths.lora,), WEIGHTS, "lora")
HYPERNETWORKS = Page(
    "hypernetworks", "Hypernetworks", lambda paths: (paths.hypernetworks,), WEIGHTS, "hypernet"
)
EMBEDDINGS = Page(
    "textual_inversion",
    "Textual Inversion",
    lambda paths: (paths.embeddings,),
    (*WEIGHTS, *PICTURES),
)
CHECKPOINTS = Page(
    "checkpoints", "Checkpoints", lambda paths: paths.checkpoint_dirs, (".safetensors", ".ckpt")
)
PAGES: tuple[Page, ...] = (EMBEDDINGS, HYPERNETWORKS, CHECKPOINTS, LORA)
"""In A1111's order of tabs."""
BY_KEY: Mapping[str, Page] = {page.key: page for page in PAGES}


def find_page(name: str) -> Page:
    """A page by its key, or as A1111's clients spell it ("Textual Inversion").

    Raises:
        NotFoundInList: there is none.
    """
    found = BY_KEY.get(name.strip().lower().replace(" ", "_"))
    if found is None:
        raise NotFoundInList(FIELD, name, list(BY_KEY))
    return found
