"""Attention without repeated work: a text's keys and values are computed once per batch.

Samplers show the network the same texts at every step, so the projections of the text states come
out the same each time. They are remembered by the identity of the text tensor. The pictures do not
change: it is the same arithmetic, done once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

REMEMBERED_TEXTS = 4


class LeanAttention:
    """Stands in for the ``forward`` of one of diffusers' ``Attention`` modules."""

    def __init__(self, module: torch.nn.Module) -> None:
        self._module = module
        self._usual: Callable[..., Tensor] = module.forward
        self._processor = module.processor
        self._texts: list[tuple[Tensor, Tensor, Tensor]] = []
        self._head_width = module.to_q.out_features // module.heads

    def __call__(
        self,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        **others: Any,
    ) -> Tensor:
        """Attend from ``hidden_states`` [batch, pixels, width] to the text, or to themselves."""
        module = self._module
        if attention_mask is not None or others or module.processor is not self._processor:
            return self._usual(hidden_states, encoder_hidden_states, attention_mask, **others)
        if encoder_hidden_states is None:
            key = self._heads(module.to_k(hidden_states))
            value = self._heads(module.to_v(hidden_states))
        else:
            key, value = self._of_text(encoder_hidden_states)
        query = self._heads(module.to_q(hidden_states))
        attended = scaled_dot_product_attention(query, key, value)
        joined = attended.transpose(1, 2).flatten(2)
        return module.to_out[1](module.to_out[0](joined))

    def forget(self) -> None:
        """Drop what is remembered of texts."""
        self._texts.clear()

    def _of_text(self, text: Tensor) -> tuple[Tensor, Tensor]:
        for known, key, value in self._texts:
            if known is text:
                return key, value
        module = self._module
        key, value = self._heads(module.to_k(text)), self._heads(module.to_v(text))
        self._texts = [(text, key, value), *self._texts][:REMEMBERED_TEXTS]
        return key, value

    def _heads(self, states: Tensor) -> Tensor:
        """[batch, places, width] to [batch, heads, places, width of a head]."""
        return states.unflatten(2, (-1, self._head_width)).transpose(1, 2)


def is_plain(module: torch.nn.Module) -> bool:
    """Whether an attention module does what :class:`LeanAttention` does, and nothing else."""
    extras = ("spatial_norm", "group_norm", "norm_q", "norm_k", "norm_cross", "add_k_proj")
    return (
        type(module).__name__ == "Attention"
        and type(module.processor).__name__ == "AttnProcessor2_0"
        and all(not getattr(module, name, None) for name in extras)
        and not module.residual_connection
        and module.rescale_output_factor == 1.0
        and module.to_q is not None
        and module.to_k is not None
        and module.to_v is not None
    )
