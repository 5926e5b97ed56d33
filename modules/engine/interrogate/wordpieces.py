"""BERT's vocabulary: from a caption's numbers to its words."""

from __future__ import annotations

import json
import re
from pathlib import Path

from modules.catalog.errors import UnreadableModelError

CONTINUATION = "##"
_BEFORE_PUNCTUATION = re.compile(r" ([.,!?;:%)\]])")
_AROUND_JOINERS = re.compile(r" (['/-]) ")
_SPECIAL = re.compile(r"^\[[A-Z0-9]+\]$")


class WordPieces:
    """The words and pieces of words of a vocabulary, by number."""

    def __init__(self, pieces: list[str]) -> None:
        self._pieces = pieces
        self._numbers = {piece: number for number, piece in enumerate(pieces)}

    @classmethod
    def from_folder(cls, folder: Path) -> WordPieces:
        """Read ``vocab.txt`` or ``tokenizer.json``.

        Raises:
            UnreadableModelError: neither is there, or it cannot be read.
        """
        plain, full = folder / "vocab.txt", folder / "tokenizer.json"
        try:
            if plain.is_file():
                return cls(plain.read_text(encoding="utf-8").splitlines())
            table = json.loads(full.read_text(encoding="utf-8"))["model"]["vocab"]
            ordered = sorted(table.items(), key=lambda item: item[1])
            if [number for _, number in ordered] != list(range(len(ordered))):
                raise ValueError("numbers are missing")
            return cls([piece for piece, _ in ordered])
        except FileNotFoundError as error:
            raise UnreadableModelError(
                folder, "has neither vocab.txt nor tokenizer.json"
            ) from error
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise UnreadableModelError(folder, f"has no readable vocabulary ({error})") from error

    def numbers(self, words: list[str]) -> list[int]:
        """The numbers of whole words; empty when one of them is not known."""
        known = [self._numbers.get(word, -1) for word in words]
        return known if min(known, default=-1) >= 0 else []

    def text(self, numbers: list[int]) -> str:
        """Words put together, without special marks such as [SEP]."""
        pieces = [self._pieces[n] for n in numbers if 0 <= n < len(self._pieces)]
        text = " ".join(piece for piece in pieces if not _SPECIAL.match(piece))
        text = text.replace(f" {CONTINUATION}", "")
        return _AROUND_JOINERS.sub(r"\1", _BEFORE_PUNCTUATION.sub(r"\1", text)).strip()
