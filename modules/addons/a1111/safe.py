"""A1111's ``safe``: unpickling without running code; torch's own way is the only one here."""

from __future__ import annotations

import importlib
from typing import Any


class Extra:
    """A1111 allows further classes with this; nothing more is allowed here."""

    def __init__(self, handler: Any) -> None:
        self.handler = handler

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, *args: Any) -> None:
        """End."""


def load(filename: Any, *args: Any, **kwargs: Any) -> Any:
    """``torch.load`` for weights alone.

    Raises:
        pickle.UnpicklingError: the file holds more than weights.
    """
    kwargs["weights_only"] = True
    return importlib.import_module("torch").load(filename, *args, **kwargs)


unsafe_torch_load = load
global_extra_handler = None
