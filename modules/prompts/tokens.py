"""Counting a prompt's tokens with CLIP's tokenizer (no torch, no transformers)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from modules.prompts.attention import parse_attention
from modules.prompts.chunks import CHUNK_LENGTH, Chunk, TokenRun, Vectors, chunk_tokens, count_used
from modules.prompts.learned import LearnedNames
from modules.prompts.plan import parse_prompt

if TYPE_CHECKING:
    from tokenizers import Tokenizer

MAX_TEXTS = 64
"""Most texts of a schedule that are counted; alternations repeat after a few."""


@dataclass(frozen=True)
class TokenCount:
    """`used` tokens of `limit`, which grows by whole chunks of 75."""

    used: int
    limit: int

    def __str__(self) -> str:
        return f"{self.used}/{self.limit}"


class PromptTokenizer:
    """CLIP's byte-pair tokenizer over the Rust `tokenizers` library."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer

    @classmethod
    def from_folder(cls, folder: Path | str) -> PromptTokenizer:
        """Load `tokenizer.json`, or `vocab.json` and `merges.txt`, from `folder`.

        Raises FileNotFoundError when neither is there.
        """
        return _load(str(Path(folder).resolve()))

    def encode(self, text: str) -> list[int]:
        """Token ids of `text` without the special tokens at its ends."""
        safe = text.encode("utf-8", "replace").decode("utf-8")
        return self._tokenizer.encode(safe, add_special_tokens=False).ids

    @cached_property
    def comma(self) -> int:
        """Id of a comma standing alone."""
        ids = self.encode(",")
        return ids[0] if len(ids) == 1 else -1

    def chunks(
        self, text: str, backtrack: int = 20, learned: LearnedNames | None = None
    ) -> list[Chunk]:
        """The chunks of one text with attention brackets, BREAK and learned words."""

        def tokens(piece: str) -> Sequence[int | Vectors]:
            ids = self.encode(piece)
            return ids if learned is None else learned.find(ids)

        runs = [
            TokenRun(is_break=True)
            if segment.is_break
            else TokenRun(tokens(segment.text), segment.weight)
            for segment in parse_attention(text)
        ]
        return chunk_tokens(runs, self.comma, CHUNK_LENGTH, backtrack)


@lru_cache(maxsize=4)
def _load(folder: str) -> PromptTokenizer:
    from tokenizers import Tokenizer

    path = Path(folder)
    if (path / "tokenizer.json").is_file():
        return PromptTokenizer(Tokenizer.from_file(str(path / "tokenizer.json")))
    vocab, merges = path / "vocab.json", path / "merges.txt"
    if not (vocab.is_file() and merges.is_file()):
        raise FileNotFoundError(f"no tokenizer.json, nor vocab.json with merges.txt, in {path}")
    return PromptTokenizer(_from_vocabulary(vocab, merges))


def _from_vocabulary(vocab: Path, merges: Path) -> Tokenizer:
    """CLIP's tokenizer from the two files that diffusers checkpoints carry."""
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

    end = "<|endoftext|>"
    tokenizer = Tokenizer(
        models.BPE.from_file(str(vocab), str(merges), end_of_word_suffix="</w>", unk_token=end)
    )
    tokenizer.add_special_tokens(["<|startoftext|>", end])
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    words = Regex(r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(words, behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    return tokenizer


def count_tokens(
    text: str,
    tokenizer: PromptTokenizer,
    *,
    steps: int = 20,
    negative: bool = False,
    backtrack: int = 20,
    learned: Mapping[str, int] | None = None,
) -> TokenCount:
    """Tokens of the longest text that `text` stands for at any step or side of an AND.

    `learned` are words of textual inversions and the numbers of their vectors.
    `text` is the prompt with its styles applied (see `apply_styles`) when those should count.
    """
    texts = parse_prompt(text, steps, negative=negative).texts()
    longest: Sequence[str] = sorted(texts, key=len, reverse=True)[:MAX_TEXTS]
    names = LearnedNames(tokenizer.encode, learned) if learned else None
    used = max(count_used(tokenizer.chunks(one, backtrack, names)) for one in longest)
    return TokenCount(used, max(1, -(-used // CHUNK_LENGTH)) * CHUNK_LENGTH)
