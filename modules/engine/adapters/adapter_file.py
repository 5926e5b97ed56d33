"""An adapter file in memory: its entries by the names of their layers, and what else it has."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from modules.catalog.cards.family_guess import family_of_adapter
from modules.catalog.errors import (
    UnreadableModelError,
    UnsupportedModelError,
    shown,
)
from modules.catalog.networks import stated_hash
from modules.catalog.weights import weights_header
from modules.engine.adapters.parts import split_name
from modules.engine.weight_files import read_weights, state_dict_of

BUNDLE = "bundle_emb."
PEFT_PREFIXES = ("text_encoder_2", "text_encoder", "unet", "transformer")
MAX_ENTRIES = 50_000

Stamp = tuple[str, int, int]


@dataclass(frozen=True)
class AdapterFile:
    """What one LoRA file (or one of its relatives) holds. Tensors are on the CPU."""

    path: Path
    stamp: Stamp
    """Path, size and modification time: equal for equal content."""
    entries: Mapping[str, Mapping[str, Tensor]]
    """By the layer's name in the file, then by part."""
    embeddings: Mapping[str, Mapping[str, Tensor]] = field(default_factory=dict)
    """Textual inversions that come along, by name."""
    hash: str = ""
    """The hash that its metadata names, twelve digits; "" when it names none."""
    unknown: tuple[str, ...] = ()
    """Tensors whose names end in nothing known."""
    family: str = ""
    """Key of the model family that it seems to be for; "" when nothing tells."""

    @property
    def size(self) -> int:
        """Bytes in memory."""
        groups = (*self.entries.values(), *self.embeddings.values())
        return sum(tensor.nbytes for group in groups for tensor in group.values())


def stamp_of(path: Path) -> Stamp:
    """What tells whether a file is still the one that was read.

    Raises:
        OSError: it cannot be looked at.
    """
    status = path.stat()
    return str(path), status.st_size, status.st_mtime_ns


def read_adapter(path: Path) -> AdapterFile:
    """Read a file of any naming; safetensors, or a pickle of plain tensors.

    Raises:
        UnreadableModelError: it is missing, damaged or hostile.
        UnsupportedModelError: it is no adapter of a known kind.
    """
    try:
        stamp = stamp_of(path)
    except OSError as error:
        raise UnreadableModelError(path, f"cannot be read ({error.strerror or error})") from error
    tensors = state_dict_of(read_weights(path), "state_dict")
    if len(tensors) > MAX_ENTRIES:
        raise UnsupportedModelError(path, f"has {len(tensors)} tensors, too many for an adapter")
    entries: dict[str, dict[str, Tensor]] = {}
    embeddings: dict[str, dict[str, Tensor]] = {}
    unknown: list[str] = []
    for name, tensor in tensors.items():
        if name.startswith(BUNDLE):
            word, _, part = name[len(BUNDLE) :].rpartition(".")
            word = word.removesuffix(".string_to_param")
            embeddings.setdefault(word, {})[part] = tensor
            continue
        found = split_name(name)
        if found is None:
            unknown.append(name)
            continue
        entries.setdefault(found[0], {})[found[1]] = tensor
    if not entries and not embeddings:
        raise UnsupportedModelError(path, "is not a LoRA of a known kind")
    odd = next((name for name, tensor in tensors.items() if not _is_finite(tensor)), None)
    if odd is not None:
        raise UnsupportedModelError(path, f"has numbers that are not finite ({shown(odd, 80)})")
    header = weights_header(path)
    _with_peft_alphas(entries, header.metadata)
    return AdapterFile(
        path,
        stamp,
        entries,
        embeddings,
        stated_hash(header.metadata),
        tuple(unknown),
        family_of_adapter(header),
    )


def _is_finite(tensor: Tensor) -> bool:
    """Whether nothing is NaN or infinite; one sum tells, unless it runs over."""
    if not tensor.is_floating_point() or tensor.numel() == 0:
        return True
    if tensor.dtype.itemsize > 1 and bool(torch.isfinite(tensor.sum(dtype=torch.float32))):
        return True
    return bool(torch.isfinite(tensor.float()).all())


def _with_peft_alphas(
    entries: Mapping[str, dict[str, Tensor]], metadata: Mapping[str, str]
) -> None:
    """diffusers keeps PEFT's configuration in the metadata instead of an alpha per layer."""
    config = _json(metadata.get("lora_adapter_metadata", ""))
    for name, parts in entries.items():
        if "alpha" in parts or "lora_down" not in parts:
            continue
        prefix = next((one for one in PEFT_PREFIXES if name.startswith(f"{one}.")), "")
        alpha = _alpha_of(config, prefix, name, parts["lora_down"].shape[0])
        if alpha is not None:
            parts["alpha"] = torch.tensor(alpha)


def _alpha_of(config: Mapping[str, Any], prefix: str, name: str, rank: int) -> float | None:
    def told(key: str) -> Any:
        return config.get(f"{prefix}.{key}", config.get(key))

    alpha = told("lora_alpha")
    patterns = told("alpha_pattern")
    if isinstance(patterns, Mapping):
        bare = name[len(prefix) + 1 :] if prefix else name
        for pattern, value in patterns.items():
            if bare == pattern or bare.endswith("." + str(pattern)):
                alpha = value
    if isinstance(alpha, bool) or not isinstance(alpha, (int, float)):
        return None
    return float(alpha) * (rank**0.5 if told("use_rslora") is True else 1.0)


def _json(text: str) -> Mapping[str, Any]:
    if not text or len(text) > 1_000_000:
        return {}
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
