"""Give the tensors of an EMA-only file their dots back.

The original training code keeps its moving average under `model_ema.` with all dots removed:
`diffusion_modelinput_blocks11transformer_blocks0attn1to_qweight` was
`diffusion_model.input_blocks.1.1.transformer_blocks.0.attn1.to_q.weight`.
"""

from __future__ import annotations

import re

from modules.catalog.header import Header
from modules.engine.checkpoints.components import Source
from modules.engine.checkpoints.layouts.names import Names

PREFIX = "model_ema.diffusion_model"

# A block's number has one or two digits, the entry inside it always one.
_PLACES = re.compile(r"^(?:(input_blocks|output_blocks)(\d{1,2})(\d)|(middle_block)(\d))(?=\D|$)")
_PARTS = re.compile(
    r"time_embed(?=\d)|out(?=[02](?:weight|bias)$)|label_emb(?=\d)"
    r"|in_layers|out_layers|emb_layers|skip_connection|op(?=weight|bias)|conv(?=weight|bias)"
    r"|transformer_blocks|attn[12]|norm[123]|norm|proj_in|proj_out|proj"
    r"|to_q|to_k|to_v|to_out|ff|net|weight|bias|\d"
)


def ema_names(header: Header) -> Names:
    """The UNet of an EMA-only file under its dotted names.

    Raises:
        ValueError: a name cannot be read.
    """
    return Names(
        {
            dotted(name[len(PREFIX) :]): Source(header, name)
            for name in header
            if name.startswith(PREFIX)
        }
    )


def dotted(name: str) -> str:
    """Put the dots back into one name without its prefix.

    Raises:
        ValueError: the name cannot be read.
    """
    parts: list[str] = []
    place = _PLACES.match(name)
    position = 0
    if place:
        parts = [part for part in place.groups() if part is not None]
        position = place.end()
    while position < len(name):
        part = _PARTS.match(name, position)
        if part is None:
            raise ValueError(f"tensor {name!r} is not known")
        parts.append(part[0])
        position = part.end()
    return ".".join(parts)
