"""T5's pieces of a text, for encoding prompts and for counting them (no torch)."""

from __future__ import annotations

from modules.prompts.attention import parse_attention
from modules.prompts.chunks import TokenRun, chunk_tokens, count_used
from modules.prompts.plan import parse_prompt
from modules.prompts.tokens import MAX_TEXTS, PromptTokenizer, TokenCount


class T5Tokenizer:
    """T5's pieces of a text. Blanks at its ends count for nothing."""

    def __init__(self, tokenizer: PromptTokenizer) -> None:
        self._tokenizer = tokenizer

    def encode(self, text: str) -> list[int]:
        """Token ids without the end token."""
        return self._tokenizer.encode(text.strip())

    @property
    def comma(self) -> int:
        """Id of a comma after a word; standing alone it has a blank before it."""
        return (self.encode(",") or [-1])[-1]

    def special(self, token: str) -> int:
        """Id of a special token.

        Raises:
            ValueError: the tokenizer does not know it.
        """
        ids = self._tokenizer.encode(token)
        if len(ids) != 1:
            raise ValueError(f"its tokenizer is not T5's: {token} is {ids}")
        return ids[0]


def count_t5_tokens(
    text: str,
    tokenizer: T5Tokenizer,
    length: int,
    *,
    steps: int = 20,
    negative: bool = False,
    backtrack: int = 20,
) -> TokenCount:
    """As `count_tokens`, for T5.

    Args:
        length: of a chunk with its end token, as the model was trained.
    """

    def used(one: str) -> int:
        runs = [
            TokenRun(is_break=True)
            if segment.is_break
            else TokenRun(tokenizer.encode(segment.text), segment.weight)
            for segment in parse_attention(one)
        ]
        return count_used(chunk_tokens(runs, tokenizer.comma, length - 1, backtrack), length - 1)

    texts = parse_prompt(text, steps, negative=negative).texts()
    most = max(used(one) for one in sorted(texts, key=len, reverse=True)[:MAX_TEXTS])
    return TokenCount(most, max(1, -(-most // (length - 1))) * (length - 1))
