"""The call of one layer whose weights rest elsewhere, or in another form than it computes in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from modules.engine.memory.forms import FP8, FP8_LARGEST, WeightForm
from modules.engine.memory.packed import Product, is_packed, unfolded

if TYPE_CHECKING:
    from modules.engine.memory.lodging import Stage


class Visit:
    """Brings the tensors of one layer for the length of its call."""

    def __init__(
        self,
        module: torch.nn.Module,
        form: WeightForm,
        stage: Stage,
        packed: Mapping[str, str],
        products: Callable[[str], Sequence[Product]],
    ) -> None:
        """
        Args:
            packed: formats of its weights that rest in blocks, by the layer's names for them.
            products: what is to be added to such a weight.
        """
        self._module = module
        self._form = form
        self._stage = stage
        self._packed = packed
        self._products = products
        self._homes: list[tuple[dict[str, Any], str, Tensor, int]] = []

    def enter(
        self, module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Called before the layer."""
        form = self._form
        for table in (module._parameters, module._buffers):
            for key, home in table.items():
                if home is None:
                    continue
                dtype = form.dtype if home.is_floating_point() else home.dtype
                if is_packed(home) and key in self._packed:
                    products = self._products(key)
                    copy = unfolded(home, self._packed[key], form.device, form.dtype, products)
                else:
                    copy = converted(home, form.device, dtype)
                if copy is home:
                    if form.way != "layer":
                        continue
                    copy = home.clone()
                size = copy.numel() * copy.element_size()
                self._homes.append((table, key, home, size))
                table[key] = copy
                self._stage.count(size)
        return on_device(args, kwargs, form.device)

    def leave(self, module: torch.nn.Module, args: Any, output: Any) -> None:
        """Called after the layer, also when it failed."""
        for table, key, home, size in self._homes:
            table[key] = home
            self._stage.count(-size)
        self._homes.clear()


def converted(weight: Tensor, device: torch.device, dtype: torch.dtype) -> Tensor:
    """First the way, then the format: fewer bytes travel."""
    moved = weight if weight.device == device else weight.to(device, non_blocking=True)
    if dtype == FP8 and moved.dtype != FP8:
        moved = moved.clamp(-FP8_LARGEST, FP8_LARGEST)
    return moved if moved.dtype == dtype else moved.to(dtype)


def on_device(
    args: tuple[Any, ...], kwargs: dict[str, Any], device: torch.device
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """A call's tensors on the device."""

    def there(value: Any) -> Any:
        if isinstance(value, Tensor) and value.device.type != device.type:
            return value.to(device)
        return value

    return tuple(there(one) for one in args), {key: there(one) for key, one in kwargs.items()}
