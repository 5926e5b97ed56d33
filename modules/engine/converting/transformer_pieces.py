"""SD3 and FLUX.1 from diffusers' names to their makers': `checkpoints.layouts` backwards.

The makers keep query, key and value in one matrix, FLUX.1's single blocks the entrance of the
feed-forward part with them; and modulations that only norm have shift before scale.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from modules.engine.checkpoints.components import ComponentPlan, Source
from modules.engine.checkpoints.families.separate_parts import CLIP_G, CLIP_L, T5
from modules.engine.checkpoints.layouts import flux, mmdit
from modules.engine.merging.pieces import Piece

Pieces = dict[str, Piece]
_ENDING = re.compile(r"(.+)\.(weight|bias)")
_JOINT = re.compile(r"transformer_blocks\.(\d+)\.(.+)")
_FLUX_BLOCK = re.compile(r"(single_)?transformer_blocks\.(\d+)\.(.+)")


def mmdit_pieces(sources: Mapping[str, Source]) -> Pieces:
    """SD3's transformer under its original names.

    Raises:
        KeyError: a weight has no original name.
    """
    last = max(int(block[1]) for block in map(_JOINT.match, sources) if block)
    return _renamed(sources, _backwards(mmdit.TOP), lambda stem: _joint(stem, last))


def flux_pieces(sources: Mapping[str, Source]) -> Pieces:
    """FLUX.1's transformer under its original names.

    Raises:
        KeyError: a weight has no original name.
    """
    return _renamed(sources, _backwards(flux.TOP), _flux_block)


def text_pieces(components: Mapping[str, ComponentPlan]) -> Pieces:
    """The text encoders of either family as files hold them that carry all their parts."""
    clips = [part for part in components.values() if part.kind.startswith("clip_text")]
    pieces: Pieces = {}
    for prefix, part in zip((CLIP_L, CLIP_G), clips, strict=False):
        for name, source in part.sources.items():
            whole = name.startswith(("text_model.", "text_projection."))
            pieces[f"{prefix}{name if whole else f'text_model.{name}'}"] = Piece.of(source)
    for part in components.values():
        if part.kind == "t5_encoder":
            pieces |= {T5 + t5_name(name): Piece.of(one) for name, one in part.sources.items()}
    return pieces


def t5_name(name: str) -> str:
    """A weight of the encoder as T5's own files, and transformers' folders, call it."""
    return "shared.weight" if name == "embed_tokens.weight" else f"encoder.{name}"


_Block = Callable[[str], tuple[str, tuple[str, ...], bool]]
"""From a layer's name to its original one, the layers joined in that, and whether its halves
change places; a KeyError for a layer that is not known."""


def _renamed(sources: Mapping[str, Source], top: Mapping[str, str], block: _Block) -> Pieces:
    pieces: Pieces = {}
    for name in sources:
        parts = _ENDING.fullmatch(name)
        stem, ending = (parts[1], parts[2]) if parts else (name, "")
        if stem in top:
            original, joined, swap = top[stem], (stem,), stem == "norm_out.linear"
        else:
            original, joined, swap = block(stem)
        if original.endswith("_norm"):
            ending = "scale"
        if stem != joined[0]:
            continue  # written with the first of its kind
        found = [sources[name]] if len(joined) == 1 else _all(sources, joined, ending)
        found = [mmdit.swapped(one) for one in found] if swap else found
        pieces[f"{original}.{ending}" if ending else original] = Piece.of(*found)
    return pieces


def _all(sources: Mapping[str, Source], names: Sequence[str], ending: str) -> list[Source]:
    return [sources[f"{name}.{ending}"] for name in names]


def _joint(stem: str, last: int) -> tuple[str, tuple[str, ...], bool]:
    block = _JOINT.fullmatch(stem)
    if block is None:
        raise KeyError(stem)
    start, inner = f"transformer_blocks.{block[1]}.", block[2]
    for (side, original), names in mmdit.SPLIT.items():
        if inner in names:
            joined = tuple(f"{start}{name}" for name in names)
            return f"joint_blocks.{block[1]}.{side}.{original}", joined, False
    for side, table in (("x_block", mmdit.PICTURE), ("context_block", mmdit.TEXT)):
        original = _backwards(table).get(inner)
        if original is not None:
            # The last block's text goes nowhere: its norm has shift and scale alone.
            swap = inner == "norm1_context.linear" and int(block[1]) == last
            return f"joint_blocks.{block[1]}.{side}.{original}", (stem,), swap
    raise KeyError(stem)


def _flux_block(stem: str) -> tuple[str, tuple[str, ...], bool]:
    block = _FLUX_BLOCK.fullmatch(stem)
    if block is None:
        raise KeyError(stem)
    inner = block[3]
    if block[1]:
        start, old = f"single_transformer_blocks.{block[2]}.", f"single_blocks.{block[2]}."
        table, groups = flux.SINGLE, {"linear1": flux.SINGLE_SPLIT}
    else:
        start, old = f"transformer_blocks.{block[2]}.", f"double_blocks.{block[2]}."
        table, groups = flux.DOUBLE, flux.DOUBLE_SPLIT
    for original, names in groups.items():
        if inner in names:
            return old + original, tuple(f"{start}{name}" for name in names), False
    return old + _backwards(table)[inner], (stem,), False


def _backwards(table: Mapping[str, str]) -> dict[str, str]:
    return {new: old for old, new in table.items()}
