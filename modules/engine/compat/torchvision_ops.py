"""Let torchvision import beside any build of torch, and beside packages written for its old API.

Two facts are dealt with here and nowhere else:

1. torchvision's compiled half only loads beside the very torch build it was compiled for. When it
   does not load (a CPU torch with the registry's plain torchvision, for one), `import torchvision`
   dies with "operator torchvision::nms does not exist", and takes transformers and diffusers with
   it, although nothing in Easel calls a compiled torchvision operator.
2. `torchvision.transforms.functional_tensor` was removed in torchvision 0.17; basicsr 1.4.2, which
   realesrgan and gfpgan need, still imports it.

Call `make_torchvision_importable()` before the first import of torchvision, transformers,
diffusers, basicsr, realesrgan or gfpgan. Calling it again costs nothing.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.machinery
import importlib.util
import logging
import sys
import types
from pathlib import Path
from typing import Any

logger = logging.getLogger("easel.engine")

REMOVED_MODULE = "torchvision.transforms.functional_tensor"
_SUCCESSORS = ("torchvision.transforms._functional_tensor", "torchvision.transforms.functional")
_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
# torch forgets an operator when the Library object that defined it is collected.
_kept_libraries: list[Any] = []


def make_torchvision_importable() -> bool:
    """Prepare the process for `import torchvision`; True when its own operators are in use.

    Without torchvision installed only the alias is set, and the answer is False.
    """
    _alias_removed_module()
    if "torchvision" in sys.modules:
        return bool(sys.modules["torchvision"].extension._has_ops())
    if _kept_libraries:
        return False
    if _own_operators_load():
        return True
    if importlib.util.find_spec("torchvision") is not None:
        _declare_operators()
    return False


def _own_operators_load() -> bool:
    import torch

    library = _compiled_half()
    if library is None:
        return False
    try:
        torch.ops.load_library(str(library))
    except (OSError, ImportError) as reason:
        logger.debug("torchvision's compiled operators do not load here: %s", reason)
        return False
    return True


def _compiled_half() -> Path | None:
    spec = importlib.util.find_spec("torchvision")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        for suffix in (*importlib.machinery.EXTENSION_SUFFIXES, ".so", ".dylib"):
            candidate = Path(folder) / f"_C{suffix}"
            if candidate.is_file():
                return candidate
    return None


def _declare_operators() -> None:
    """Declare, without a kernel, the operators whose absence makes the import fail."""
    import torch

    library = torch.library.Library("torchvision", "FRAGMENT")
    for schema in _SCHEMAS:
        # An operator that a half-loaded library left behind is as good as ours.
        with contextlib.suppress(RuntimeError):
            library.define(schema)
    _kept_libraries.append(library)


class _RemovedModule(types.ModuleType):
    """Stands in for the removed module and takes its names from the successors on demand."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        for successor in _SUCCESSORS:
            with contextlib.suppress(ImportError, AttributeError):
                return getattr(importlib.import_module(successor), name)
        raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")


def _alias_removed_module() -> None:
    if REMOVED_MODULE not in sys.modules:
        sys.modules[REMOVED_MODULE] = _RemovedModule(REMOVED_MODULE, __doc__)
