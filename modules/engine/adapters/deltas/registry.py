"""The kinds of adapters, told by the parts that an entry has. Adding one is adding one line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from torch import Tensor

from modules.engine.adapters.deltas.change import Change, Parts, multiplied
from modules.engine.adapters.deltas.decomposed import decomposed
from modules.engine.adapters.deltas.direct import bias_of, full, norm, only_bias
from modules.engine.adapters.deltas.generalised import generalised
from modules.engine.adapters.deltas.hadamard import hadamard
from modules.engine.adapters.deltas.kronecker import kronecker
from modules.engine.adapters.deltas.low_rank import low_rank
from modules.engine.adapters.deltas.orthogonal import (
    butterfly,
    orthogonal,
    rotated,
)
from modules.engine.adapters.deltas.orthogonal_peft import peft_butterfly, peft_orthogonal
from modules.engine.adapters.deltas.scaling import peft_scaling, scaling

Rule = Callable[[Parts, Tensor, "int | None"], Change]


@dataclass(frozen=True)
class Kind:
    """One kind of adapter."""

    name: str
    marks: tuple[str, ...]
    """Parts that an entry of this kind has, all of them."""
    rule: Rule

    def change(self, parts: Parts, weight: Tensor, rank: int | None = None) -> Change:
        """What is added to ``weight`` (float32) and to the bias at strength 1.

        Raises:
            DoesNotFit: the parts are for a layer of another shape.
        """
        change = self.rule(parts, weight, rank)
        if "dora_scale" in parts or "dora_magnitude" in parts:
            moved = multiplied(change, weight)
            if moved is not None:
                change = replace(change, weight=decomposed(moved, parts, weight), product=None)
        if change.bias is None:
            change = replace(change, bias=bias_of(parts, weight))
        return change


def _by_blocks(parts: Parts, weight: Tensor, rank: int | None = None) -> Change:
    rule = butterfly if parts["oft_blocks"].ndim == 4 else orthogonal
    return rule(parts, weight, rank)


KINDS = (
    Kind("LoRA", ("lora_up", "lora_down"), low_rank),
    Kind("LoHa", ("hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b"), hadamard),
    Kind("LoKr", ("lokr_w1",), kronecker),
    Kind("LoKr", ("lokr_w1_a", "lokr_w1_b"), kronecker),
    Kind("GLoRA", ("glora_a1",), generalised),
    Kind("IA3", ("weight", "on_input"), scaling),
    Kind("IA3", ("ia3_l",), peft_scaling),
    Kind("OFT", ("oft_blocks",), _by_blocks),
    Kind("OFT", ("oft_diag",), rotated),
    Kind("OFT", ("oft_triangle",), peft_orthogonal),
    Kind("BOFT", ("boft_R",), peft_butterfly),
    Kind("full", ("diff",), full),
    Kind("norm", ("w_norm",), norm),
    Kind("full", ("diff_b",), only_bias),
)
"""In the order in which they are tried."""


def kind_of(parts: Parts) -> Kind | None:
    """The kind of an entry; None for one that nobody knows."""
    return next((kind for kind in KINDS if all(mark in parts for mark in kind.marks)), None)
