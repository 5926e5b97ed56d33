"""An adapter file matched with a model: which entry changes which layers, and what does not fit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from modules.catalog.errors import shown
from modules.catalog.families import FAMILIES
from modules.engine.adapters.adapter_file import AdapterFile
from modules.engine.adapters.deltas import Change, DoesNotFit, Kind, kind_of
from modules.engine.adapters.layer_names import LayerNames
from modules.engine.adapters.targets import Piece, Target
from modules.engine.memory import shape_of


@dataclass(frozen=True)
class FittedPart:
    """One entry of an adapter and the layers that it changes."""

    name: str
    """Of the entry in the file."""
    target: Target
    kind: Kind
    parts: Mapping[str, Tensor]

    @property
    def is_thin(self) -> bool:
        """Whether it adds a product of thin matrices, whatever the weight is."""
        return self.kind.name == "LoRA" and not {"dora_scale", "dora_magnitude"} & self.parts.keys()

    def change(self, weight: Tensor, rank: int | None = None) -> Change:
        """What it adds to the layers' weights (float32, joined) at strength 1."""
        return self.kind.change(self.parts, weight, rank)


@dataclass(frozen=True)
class FittedAdapter:
    """What an adapter does to one model."""

    key: Hashable
    """Equal for the same content of the same file."""
    parts: tuple[FittedPart, ...]
    problem: str = ""
    """Why some or all entries are left out; continues the adapter's name."""

    @property
    def touches_text(self) -> bool:
        """Whether a text encoder is changed."""
        return any(part.target.is_text for part in self.parts)

    @property
    def kinds(self) -> tuple[str, ...]:
        """Kinds of its entries, the most frequent first."""
        return tuple(name for name, _ in Counter(p.kind.name for p in self.parts).most_common())


def fit(
    file: AdapterFile,
    names: LayerNames,
    networks: Mapping[str, torch.nn.Module],
    model: str,
    family: str = "",
) -> FittedAdapter:
    """Match a file with a model; nothing is computed.

    ``model`` names it in messages, ``family`` is the key of its family.
    """
    fitted: list[FittedPart] = []
    nowhere: list[str] = []
    wrong: list[str] = []
    for name, parts in file.entries.items():
        target = names.find(name)
        kind = kind_of(parts)
        if target is None:
            nowhere.append(name)
            continue
        if kind is None:
            wrong.append(f"{shown(name, 80)} is of an unknown kind")
            continue
        reason = _misfit(kind, parts, target, networks)
        if reason:
            wrong.append(f"{shown(name, 80)} {reason}")
            continue
        fitted.append(FittedPart(name, target, kind, parts))
    total = len(file.entries)
    example = (wrong or [f"there is no layer {shown(name, 80)}" for name in nowhere] or [""])[0]
    if not fitted or len(wrong) > total // 10 or len(nowhere) > total // 2:
        # Where much is amiss it is made for another family; what fits then fits by chance.
        made_for = _made_for(file, family)
        problem = f"does not fit {model} and was left out ({made_for}{example})" if total else ""
        return FittedAdapter(file.stamp, (), problem)
    problem = ""
    if wrong or len(nowhere) > total // 10:
        left = len(nowhere) + len(wrong)
        problem = f"fits {model} in part: {left} of {total} entries were left out ({example})"
    return FittedAdapter(file.stamp, tuple(fitted), problem)


def _made_for(file: AdapterFile, family: str) -> str:
    label = next((one.label for one in FAMILIES if one.key == file.family), "")
    return f"it seems to be made for {label}; " if label and file.family != family else ""


def _misfit(
    kind: Kind, parts: Mapping[str, Tensor], target: Target, networks: Mapping[str, torch.nn.Module]
) -> str:
    """Why an entry does not fit its layers; "" when it does. Works on shapes alone."""
    weights = [_shape_of(piece, networks) for piece in target.pieces]
    weight = weights[0] if len(weights) == 1 else torch.cat(weights)
    try:
        change = kind.change(parts, weight)
    except DoesNotFit as error:
        return str(error)
    except (RuntimeError, IndexError, KeyError, ValueError) as error:
        return f"has odd shapes ({shown(str(error), 120)})"
    if change.bias is not None and change.bias.numel() != len(weight):
        return f"has a bias of {change.bias.numel()} for {len(weight)} outputs"
    return ""


def _shape_of(piece: Piece, networks: Mapping[str, torch.nn.Module]) -> Tensor:
    shape = shape_of(networks[piece.network].get_submodule(piece.module))
    rows = shape[0] if piece.rows is None else piece.rows[1] - piece.rows[0]
    return torch.empty((rows, *shape[1:]), dtype=torch.float32, device="meta")
