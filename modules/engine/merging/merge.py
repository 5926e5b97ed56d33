"""Which weight of the result comes from where, and computing it block by block."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch

from modules.catalog.merge_blocks import block_of, input_blocks
from modules.engine.checkpoints.tensor_file import DTYPES
from modules.engine.merging.formula import (
    add_difference,
    joint_dtype,
    weighted_sum,
    working_dtype,
)
from modules.engine.merging.models import ModelPieces
from modules.engine.merging.output import Slot
from modules.engine.merging.pieces import Piece, Reader, spans
from modules.requests.errors import RequestError

HALF = "F16"
TO_HALF = frozenset({"F32", "F64", "BF16"})
INPAINTING, PIX2PIX = "inpainting", "instruct-pix2pix"
_WIDER = {9: INPAINTING, 8: PIX2PIX}
"""Channels that a UNet takes beside the four of the picture, and what such a model is called."""
_MERGED = re.compile(r"model|^text_encoders\.")
"""As in A1111; everything else in its files is no weight but a table of the training. Transformers
in files of their own are called otherwise, and hold nothing but weights."""
_LEFT_ALONE = re.compile(r"position_ids$")


@dataclass(frozen=True)
class Term:
    """One weight of the result."""

    name: str
    a: Piece
    dtype: str
    b: Piece | None = None
    """None: A's weight as it is."""
    c: Piece | None = None
    m: float = 0.0
    channels: int = 0
    """Only so many of A's input channels take part; 0 for all."""

    @property
    def slot(self) -> Slot:
        """Its place in the file."""
        return Slot(self.name, self.dtype, self.a.shape)

    @property
    def work(self) -> int:
        """Bytes to be read."""
        return sum(piece.size for piece in (self.a, self.b, self.c) if piece is not None)


@dataclass(frozen=True)
class Rules:
    """What a merge does beside its models."""

    method: str
    multiplier: float
    blocks: tuple[float, ...] = ()
    """M for each block of the UNet, or nothing."""
    half: bool = False
    discarded: Collection[str] = ()


@dataclass(frozen=True)
class Merge:
    """All that is to be written."""

    terms: tuple[Term, ...]
    kind: str = ""
    """`INPAINTING` or `PIX2PIX` when a wider model took up a plain one."""


def plan_merge(
    a: ModelPieces,
    b: ModelPieces | None,
    c: ModelPieces | None,
    rules: Rules,
    vae: Mapping[str, Piece] | None = None,
) -> Merge:
    """Work out the result's weights; nothing is read.

    Weights that only A has stay as they are; those that A lacks are left out. `vae` replaces the
    weights of the same names, or is added when A has no VAE at all.

    Raises:
        RequestError: the models do not fit each other, or the block weights do not fit them.
    """
    weight_of = _weights(a, rules)
    named_models = any("model" in name for name in a)
    terms, wider = [], ""
    for name in sorted(a):
        if name in rules.discarded:
            continue
        alone = Term(name, a[name], a[name].dtype)
        takes_part = _MERGED.search(name) or not named_models
        term = _term(alone, b, c, rules, weight_of) if takes_part else alone
        if term.channels:
            wider = _WIDER[term.a.shape[1]]
        terms.append(term)
    if vae:
        terms = list(_baked(terms, vae, rules))
    if not terms:
        raise RequestError("discard_weights", "", "nothing would be left of the model.")
    return Merge(tuple(_halved(term) if rules.half else term for term in terms), wider)


def _weights(a: ModelPieces, rules: Rules) -> Callable[[str], float]:
    """M of each weight by name."""
    if not rules.blocks:
        return lambda name: rules.multiplier
    inputs = input_blocks(a)
    expected, given = 2 * inputs + 1, len(rules.blocks)
    if not inputs or given not in (expected, expected + 1):
        allowed = f"{expected} numbers, or {expected + 1} with one for the rest before them"
        if not inputs:
            allowed = "none, its blocks are of another kind"
        reason = f"{given} numbers were given; {a.path.name} takes {allowed}."
        raise RequestError("block_weights", given, reason)
    rest = rules.blocks[0] if given > expected else rules.multiplier
    blocks = rules.blocks[given - expected :]

    def weight_of(name: str) -> float:
        block = block_of(name, inputs)
        return rest if block is None else blocks[block]

    return weight_of


def _term(
    alone: Term,
    b: ModelPieces | None,
    c: ModelPieces | None,
    rules: Rules,
    weight_of: Callable[[str], float],
) -> Term:
    """One weight of A with those of B and C, or alone when there is nothing to mix it with."""
    name, own = alone.name, alone.a
    if b is None or name not in b or not own.floating or _LEFT_ALONE.search(name):
        return alone
    other, third = b[name], None
    if rules.method == "Add difference":
        if c is None or name not in c:
            return alone  # a difference to nothing is none
        third = c[name]
        if third.bare_shape != other.bare_shape:
            raise _misfit(name, "tertiary_model_name", "B", other, "C", third)
        third = replace(third, shape=other.shape)
    if not all(piece.floating for piece in (other, third) if piece is not None):
        return alone
    channels = _common_channels(name, own, other)
    if not channels:
        other = replace(other, shape=own.shape)
        third = replace(third, shape=own.shape) if third is not None else None
    dtype = joint_dtype(own.dtype, other.dtype)
    return Term(name, own, dtype, other, third, weight_of(name), channels)


def _common_channels(name: str, own: Piece, other: Piece) -> int:
    """Of A's input channels, how many B has too; 0 when the shapes are the same.

    Raises:
        RequestError: the shapes do not go together.
    """
    if own.bare_shape == other.bare_shape:
        return 0
    mine, theirs = own.shape, other.shape
    if len(mine) == len(theirs) == 4 and (mine[0], *mine[2:]) == (theirs[0], *theirs[2:]):
        if mine[1] in _WIDER and theirs[1] == 4:
            return 4
        if mine[1] == 4 and theirs[1] in _WIDER:
            kind = _WIDER[theirs[1]]
            reason = f"B is an {kind} model and A is not; the {kind} model must be A."
            raise RequestError("secondary_model_name", "", reason)
    raise _misfit(name, "secondary_model_name", "A", own, "B", other)


def _misfit(name: str, field: str, first: str, one: Piece, second: str, two: Piece) -> RequestError:
    return RequestError(
        field,
        "",
        f"the models do not fit each other: {name} is {list(one.shape)} in {first} "
        f"and {list(two.shape)} in {second}.",
    )


def _baked(terms: Sequence[Term], vae: Mapping[str, Piece], rules: Rules) -> Iterator[Term]:
    has_vae = any(term.name in vae for term in terms)
    there = {term.name for term in terms}
    for term in terms:
        piece = vae.get(term.name)
        if piece is None:
            yield term
            continue
        if piece.bare_shape != term.a.bare_shape:
            reason = f"this VAE does not fit the model: {term.name} is {list(piece.shape)} in it, "
            raise RequestError("bake_in_vae", "", f"{reason}{list(term.a.shape)} in the model.")
        yield Term(term.name, replace(piece, shape=term.a.shape), piece.dtype)
    for name, piece in vae.items():
        if not has_vae and name not in there and name not in rules.discarded:
            yield Term(name, piece, piece.dtype)


def _halved(term: Term) -> Term:
    return replace(term, dtype=HALF) if term.dtype in TO_HALF else term


def blocks_of(term: Term, reader: Reader) -> Iterator[torch.Tensor]:
    """The numbers of one weight in its format, block by block.

    Raises:
        UnreadableModelError: a file ended early, cannot be read, or changed.
    """
    target = DTYPES[term.dtype]
    if term.b is None:
        for begin, end in spans(term.a):
            yield reader.rows(term.a, begin, end, target)
        return
    work = working_dtype(term.dtype, term.a.dtype, term.b.dtype)
    pieces = [piece for piece in (term.a, term.b, term.c) if piece is not None]
    for begin, end in spans(*pieces):
        a = reader.rows(term.a, begin, end, work)
        b = reader.rows(term.b, begin, end, work)
        c = reader.rows(term.c, begin, end, work) if term.c is not None else None
        if not term.channels:
            yield _mixed(a, b, c, term.m).to(target)
            continue
        # Channels are the second axis: the first four blocks of a row.
        shared = a.shape[1] * term.channels // term.a.shape[1]
        _mixed(a[:, :shared], b, c, term.m)
        yield a.to(target)


def _mixed(a: torch.Tensor, b: torch.Tensor, c: torch.Tensor | None, m: float) -> torch.Tensor:
    return weighted_sum(a, b, m) if c is None else add_difference(a, b, c, m)


def too_large_for_half(numbers: torch.Tensor) -> bool:
    """Whether numbers overflowed when they were rounded to float16."""
    if numbers.dtype != torch.float16:
        return False
    if math.isfinite(numbers.sum(dtype=torch.float32).item()):
        return False
    return bool(torch.isinf(numbers).any())
