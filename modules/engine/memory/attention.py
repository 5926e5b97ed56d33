"""Attention in slices: the same result from smaller pieces, for devices without a lean kernel."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

LARGEST_SCORES = 64 * 2**20
"""Bytes of attention scores in 32 bits above which the queries are cut."""


class SlicedAttention(TorchFunctionMode):
    """While it is active, `scaled_dot_product_attention` takes the queries in slices.

    Every query sees all keys at once, so that only rounding can differ. Kernels that never hold all
    scores at once (flash attention) gain nothing and lose little.
    """

    def __init__(self, most: int = LARGEST_SCORES) -> None:
        super().__init__()
        self.most = most
        self.slices = 0
        """How many have been computed."""

    def __torch_function__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Called for every function of torch; all but one go their way."""
        kwargs = kwargs or {}
        if func is not functional.scaled_dot_product_attention or kwargs.get("is_causal"):
            return func(*args, **kwargs)
        return self._attend(*args, **kwargs)

    def _attend(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attn_mask: Tensor | None = None,
        dropout_p: float = 0.0,
        is_causal: bool = False,
        **others: Any,
    ) -> Tensor:
        attend = functional.scaled_dot_product_attention
        rows = self.rows(query, key)
        if is_causal or rows >= query.shape[-2]:
            return attend(query, key, value, attn_mask, dropout_p, is_causal, **others)
        result: Tensor | None = None
        for first in range(0, query.shape[-2], rows):
            part = slice(first, first + rows)
            by_query = attn_mask is not None and attn_mask.shape[-2] > 1
            mask = attn_mask[..., part, :] if by_query else attn_mask
            attended = attend(query[..., part, :], key, value, mask, dropout_p, **others)
            if result is None:
                result = attended.new_empty(
                    (*attended.shape[:-2], query.shape[-2], value.shape[-1])
                )
            result[..., part, :] = attended
            self.slices += 1
        return result

    def rows(self, query: Tensor, key: Tensor) -> int:
        """Queries per slice."""
        per_row = 4 * key.shape[-2] * max(1, query[..., 0, 0].numel())
        return max(1, self.most // max(1, per_row))
