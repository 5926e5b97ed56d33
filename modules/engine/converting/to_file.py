"""A model as one `.safetensors` file: pruned, in other number formats, with or without averages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from modules.catalog.families.base import UNET
from modules.engine.checkpoints.layouts.ema import PREFIX as EMA
from modules.engine.checkpoints.tensor_file import FLOATING
from modules.engine.merging.merge import Term
from modules.engine.merging.models import ModelPieces, with_moving_average
from modules.engine.merging.pieces import Piece
from modules.requests.errors import RequestError

FORMATS = {"fp16": "F16", "bf16": "BF16", "fp32": "F32"}
CONVERTED = frozenset({"F64", "F32", "F16", "BF16"})
"""Eight bits stay eight bits: whoever chose them had a reason."""
_NEEDLESS = (
    "betas",
    "alphas_cumprod",
    "sqrt_",
    "log_one_minus_",
    "posterior_",
    "lvlb_weights",
    "logvar",
    "scale_factor",
    "loss.",
    "first_stage_model.loss.",
    "first_stage_model.model_ema.",
    "optimizer",
    "lr_scheduler",
    "cond_stage_model.logit_scale",
    "cond_stage_model.model.logit_scale",
)


def file_terms(model: ModelPieces, *, dtype: str, prune: bool, ema: str) -> list[Term]:
    """What the file will hold.

    Args:
        dtype: "keep", "fp16", "bf16" or "fp32".
        ema: the UNet's moving average: "drop", "use" in the place of the UNet, or "keep".

    Raises:
        RequestError: the average is wanted, and there is none.
        UnreadableModelError: its names cannot be read.
    """
    pieces: Mapping[str, Piece] = model.pieces
    if ema == "use" and any(name.startswith(UNET) for name in pieces):
        if not any(name.startswith(EMA) for name in pieces):
            reason = f"{model.path.name} has no moving average."
            raise RequestError("ema", ema, reason)
        pieces = with_moving_average(pieces, model.path)
    names = [name for name in sorted(pieces) if not (ema != "keep" and _is_average(name))]
    if prune:
        names = list(_needed(names))
    return [_converted(Term(name, pieces[name], pieces[name].dtype), dtype) for name in names]


def _is_average(name: str) -> bool:
    return name.startswith("model_ema.")


def _needed(names: Iterable[str]) -> Iterable[str]:
    return (name for name in names if not name.startswith(_NEEDLESS))


def _converted(term: Term, dtype: str) -> Term:
    wanted = FORMATS.get(dtype)
    if wanted is None or term.dtype not in CONVERTED or term.dtype not in FLOATING:
        return term
    return replace(term, dtype=wanted)
