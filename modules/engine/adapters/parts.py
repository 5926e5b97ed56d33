"""The names of tensors in adapter files: which layer they speak of, and which part of it they are.

Trainers name layers in their own way (`layer_names` knows those) and end the name in what the
tensor is. The endings of kohya's sd-scripts, LyCORIS, diffusers and PEFT are brought to one here.
"""

from __future__ import annotations

import re

_SAME = (
    *("alpha", "scale", "dora_scale", "diff", "diff_b", "w_norm", "b_norm", "on_input", "rescale"),
    *("oft_blocks", "oft_diag", "boft_R", "boft_s", "ia3_l", "weight"),
    *("hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b", "hada_t1", "hada_t2"),
    *("lokr_w1", "lokr_w1_a", "lokr_w1_b", "lokr_t1"),
    *("lokr_w2", "lokr_w2_a", "lokr_w2_b", "lokr_t2"),
)
_OTHER = {
    "lora_up.weight": "lora_up",
    "lora_down.weight": "lora_down",
    "lora_mid.weight": "lora_mid",
    "lora_B.weight": "lora_up",
    "lora_A.weight": "lora_down",
    "lora_B.bias": "lora_up_bias",
    "lora_B": "lora_up",
    "lora_A": "lora_down",
    "lora.up.weight": "lora_up",
    "lora.down.weight": "lora_down",
    "lora.alpha": "alpha",
    "lora_linear_layer.up.weight": "lora_up",
    "lora_linear_layer.down.weight": "lora_down",
    "lora_magnitude_vector": "dora_magnitude",
    "lora_magnitude_vector.weight": "dora_magnitude",
    "oft_R": "oft_triangle",
    "oft_R.weight": "oft_triangle",
    "a1.weight": "glora_a1",
    "a2.weight": "glora_a2",
    "b1.weight": "glora_b1",
    "b2.weight": "glora_b2",
    "bm.weight": "glora_bm",
}
PARTS: dict[str, str] = {**{name: name for name in _SAME}, **_OTHER}
"""Ending of a tensor's name to the part that it is."""

_LONGEST = max(ending.count(".") for ending in PARTS) + 1
_ADAPTER_NAME = re.compile(r"\.(default(?:_\d+)?)(?=\.|$)")
_PROCESSOR = re.compile(r"\.processor\.(to_[qkv]|to_out)_lora\.(up|down)\.weight$")


def split_name(name: str) -> tuple[str, str] | None:
    """Layer and part of a tensor's name; None when the ending is not known.

    "lora_te_x.lora_up.weight" gives ("lora_te_x", "lora_up").
    """
    name = _ADAPTER_NAME.sub("", name)
    old = _PROCESSOR.search(name)
    if old is not None:
        # diffusers before 0.18 kept LoRA in attention processors.
        layer = "to_out.0" if old[1] == "to_out" else old[1]
        return f"{name[: old.start()]}.{layer}", f"lora_{old[2]}"
    pieces = name.split(".")
    for count in range(min(_LONGEST, len(pieces) - 1), 0, -1):
        part = PARTS.get(".".join(pieces[-count:]))
        if part is not None:
            return ".".join(pieces[:-count]), part
    return None
