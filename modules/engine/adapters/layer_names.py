"""From a layer's name in an adapter file to the layers of a loaded model.

Every trainer has its own names: kohya writes `lora_unet_` and the path with underscores, with
diffusers' or the original names of the blocks; diffusers and PEFT write the path with dots under
`unet.` or `base_model.model.`. All spellings are brought to underscores and looked up in one table
per network, made from the network itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch

from modules.engine.adapters.blocks import block_of
from modules.engine.adapters.original_names import original_unet_names
from modules.engine.adapters.targets import Piece, Target
from modules.engine.adapters.transformer_names import original_transformer_names

IMAGE_PREFIXES = (
    *("lora_unet_", "lora_transformer_", "lycoris_unet_", "lycoris_"),
    *("base_model_model_unet_", "base_model_model_transformer_", "base_model_model_"),
    *("model_diffusion_model_", "diffusion_model_", "unet_", "transformer_", ""),
)
"""What stands before the names of the denoising network's layers."""
TEXT_PREFIXES: Mapping[str, tuple[str, ...]] = {
    "lora_te_": ("text_encoder",),
    "lora_te1_": ("text_encoder",),
    "lora_te2_": ("text_encoder_2",),
    "lora_te3_": ("text_encoder_3", "text_encoder_2"),
    "lycoris_te_": ("text_encoder",),
    "lycoris_te1_": ("text_encoder",),
    "lycoris_te2_": ("text_encoder_2",),
    "base_model_model_text_encoder_2_": ("text_encoder_2",),
    "base_model_model_text_encoder_": ("text_encoder",),
    "text_encoder_3_": ("text_encoder_3",),
    "text_encoder_2_": ("text_encoder_2",),
    "text_encoder_": ("text_encoder",),
    "text_encoders_clip_l_transformer_": ("text_encoder",),
    "text_encoders_clip_g_transformer_": ("text_encoder_2",),
    "text_encoders_t5xxl_transformer_": ("text_encoder_3", "text_encoder_2"),
}
"""What stands before the names of a text encoder's layers, and which encoders it may mean."""


class LayerNames:
    """Looks up the layers of one model. Made once per set of networks."""

    def __init__(self, networks: Mapping[str, torch.nn.Module]) -> None:
        self._tables: dict[str, dict[str, Target]] = {}
        for key, network in networks.items():
            if key.startswith("text_encoder"):
                self._tables[key] = dict(_text_table(key, network))
            elif key == "unet":
                self._tables[key] = dict(_image_table(key, network))

    def find(self, name: str) -> Target | None:
        """The layers that an adapter file calls ``name``; None when the model has none such."""
        flat = name.replace(".", "_")
        for prefix, keys in TEXT_PREFIXES.items():
            if flat.startswith(prefix):
                found = self._find_text(keys, flat[len(prefix) :])
                if found is not None:
                    return found
        table = self._tables.get("unet", {})
        for prefix in IMAGE_PREFIXES:
            if flat.startswith(prefix):
                found = table.get(flat[len(prefix) :])
                if found is not None:
                    return found
        return None

    def _find_text(self, keys: tuple[str, ...], rest: str) -> Target | None:
        for key in keys:
            found = self._tables.get(key, {}).get(rest)
            if found is not None:
                return found
        return None


def _image_table(key: str, network: torch.nn.Module) -> Iterator[tuple[str, Target]]:
    paths = [path for path, module in network.named_modules() if _has_weight(module)]
    for path in paths:
        yield path.replace(".", "_"), Target((Piece(key, path),), block_of(path, network))
    for original, path in original_unet_names(network).items():
        yield original.replace(".", "_"), Target((Piece(key, path),), block_of(path, network))
    for original, pieces in original_transformer_names(network).items():
        made = tuple(Piece(key, path, rows) for path, rows in pieces)
        yield original.replace(".", "_"), Target(made, block_of(made[0].module, network))


def _text_table(key: str, network: torch.nn.Module) -> Iterator[tuple[str, Target]]:
    """A CLIP model's layers with and without the `text_model.` that older versions have."""
    for path, module in network.named_modules():
        if not _has_weight(module):
            continue
        target = Target((Piece(key, path),), "BASE")
        flat = path.replace(".", "_")
        yield flat, target
        bare = flat.removeprefix("text_model_")
        yield bare, target
        yield f"text_model_{bare}", target


def _has_weight(module: torch.nn.Module) -> bool:
    return isinstance(getattr(module, "weight", None), torch.Tensor)
