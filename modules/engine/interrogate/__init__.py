"""From a picture to words: captions and tags, by models in local files."""

from __future__ import annotations

from modules.engine.interrogate.interrogator import (
    Interrogator,
    interrogate,
    shared_interrogator,
)
from modules.engine.interrogate.options import InterrogateOptions

__all__ = ["InterrogateOptions", "Interrogator", "interrogate", "shared_interrogator"]
