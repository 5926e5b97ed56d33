"""Let transformers import beside a CPU build of torch."""

from __future__ import annotations

import contextlib

import torch

_KEPT: list[torch.library.Library] = []


def define_missing_ops() -> None:
    """Declare the two torchvision operators whose absence makes `import torchvision` fail.

    A torchvision wheel built for another torch registers its Python kernels against operators
    that its compiled half did not load. Nothing here calls them; they only have to be declared.
    """
    if _KEPT:
        return
    library = torch.library.Library("torchvision", "FRAGMENT")
    for schema in (
        "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
        "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    ):
        with contextlib.suppress(RuntimeError):
            library.define(schema)
    _KEPT.append(library)
