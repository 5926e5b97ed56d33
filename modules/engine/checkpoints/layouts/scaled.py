"""Files whose eight-bit weights come with a scale each ("scaled fp8")."""

from __future__ import annotations

from dataclasses import replace

from modules.engine.checkpoints.layouts.names import Names

_SCALE = ".scale_weight"
_USELESS = (".scale_input", "scaled_fp8")
"""How activations were scaled, and the mark of such files."""


def with_scales(names: Names) -> Names:
    """The tensors without their scales, each knowing its own."""
    sources = {name: names[name] for name in names if not name.endswith((_SCALE, *_USELESS))}
    for name in names:
        weight = name.removesuffix(_SCALE) + ".weight"
        if name.endswith(_SCALE) and weight in sources:
            sources[weight] = replace(sources[weight], scale=names[name].tensor)
    return Names(sources)
