"""IA3: outputs or inputs of a layer are multiplied by learnt numbers (Liu et al. 2022)."""

from __future__ import annotations

from torch import Tensor

from modules.engine.adapters.deltas.change import Change, DoesNotFit, Parts, like, number


def scaling(parts: Parts, weight: Tensor, rank: int | None = None) -> Change:
    """``weight * w`` along the outputs, or along the inputs where "on_input" says so (LyCORIS).

    Raises:
        DoesNotFit: there are not as many numbers as outputs (or inputs).
    """
    (values,) = like(weight, parts["weight"])
    on_input = bool(number(parts, "on_input") or 0)
    return Change(weight * _along(values, weight, 1 if on_input else 0))


def peft_scaling(parts: Parts, weight: Tensor, rank: int | None = None) -> Change:
    """PEFT's naming: ``weight * (l - 1)``, along the axis in which "ia3_l" is long.

    PEFT scales outputs after the bias was added. Where inputs and outputs of a convolution are
    equally many the file does not tell which are meant; outputs are taken.

    Raises:
        DoesNotFit: there are not as many numbers as outputs (or inputs).
    """
    (values,) = like(weight, parts["ia3_l"])
    along_inputs = values.ndim > 1 and values.shape[0] == 1 and values.shape[1] > 1
    if along_inputs and values.ndim > 2 and values.numel() == len(weight):
        along_inputs = False
    change = weight * _along(values - 1, weight, 1 if along_inputs else 0)
    return Change(change, bias_factor=None if along_inputs else (values - 1).flatten())


def _along(values: Tensor, weight: Tensor, axis: int) -> Tensor:
    if values.numel() != weight.shape[axis]:
        side = "inputs" if axis else "outputs"
        raise DoesNotFit(f"has {values.numel()} factors for {weight.shape[axis]} {side}")
    shape = [1] * weight.ndim
    shape[axis] = -1
    return values.reshape(shape)
