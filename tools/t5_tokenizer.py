"""Write `configs/tokenizers/t5/tokenizer.json` from T5's `spiece.model`.

    python tools/t5_tokenizer.py spiece.model

The file is a protocol buffer of sentencepiece; only the fields that are needed are read. The
normaliser, the splitting into words and the end token are those of transformers' T5 tokenizer.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterator
from pathlib import Path

from tokenizers import (
    AddedToken,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
)

TARGET = Path(__file__).resolve().parents[1] / "configs" / "tokenizers" / "t5" / "tokenizer.json"
PIECES, NORMALIZER = 1, 3
PIECE_TEXT, PIECE_SCORE, CHARACTER_MAP = 1, 2, 2
SENTINELS = 100
SPECIAL = ("<pad>", "</s>", "<unk>")


def fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """(number, raw value) of every field of a protocol buffer message."""
    place = 0
    while place < len(message):
        key, place = _number(message, place)
        wire = key & 7
        if wire == 0:
            start = place
            _, place = _number(message, place)
            yield key >> 3, message[start:place]
            continue
        if wire == 2:
            length, place = _number(message, place)
        else:
            length = {1: 8, 5: 4}[wire]
        yield key >> 3, message[place : place + length]
        place += length


def build(model: bytes) -> Tokenizer:
    """The tokenizer of a sentencepiece Unigram model with T5's special tokens."""
    vocabulary: list[tuple[str, float]] = []
    character_map = b""
    for number, value in fields(model):
        if number == PIECES:
            piece = dict(fields(value))
            score = struct.unpack("<f", piece[PIECE_SCORE])[0] if PIECE_SCORE in piece else 0.0
            vocabulary.append((piece[PIECE_TEXT].decode("utf-8"), score))
        elif number == NORMALIZER:
            character_map = dict(fields(value))[CHARACTER_MAP]
    sentinels = [f"<extra_id_{number}>" for number in reversed(range(SENTINELS))]
    vocabulary += [(name, 0.0) for name in sentinels]
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=2, byte_fallback=False))
    tokenizer.normalizer = normalizers.Precompiled(character_map)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.WhitespaceSplit(),
            pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always", split=True),
        ]
    )
    tokenizer.decoder = decoders.Metaspace(replacement="▁", prepend_scheme="always")
    tokenizer.post_processor = processors.TemplateProcessing(
        single=["$A", "</s>"], pair=["$A", "</s>", "$B", "</s>"], special_tokens=[("</s>", 1)]
    )
    tokenizer.add_special_tokens(
        [AddedToken(name, special=True, normalized=False) for name in (*SPECIAL, *sentinels[::-1])]
    )
    return tokenizer


def _number(message: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[place]
        place += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, place


if __name__ == "__main__":
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    build(Path(sys.argv[1]).read_bytes()).save(str(TARGET), pretty=False)
