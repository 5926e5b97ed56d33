"""CLIP's tokenizer, built from its published byte-pair vocabulary."""

from __future__ import annotations

import gzip
import json
from functools import cache
from pathlib import Path

from tools.starter.config import Config
from tools.starter.fetch import folder_of
from tools.starter.torchvision_guard import define_missing_ops

define_missing_ops()

from transformers.models.clip.tokenization_clip import CLIPTokenizer  # noqa: E402

_MERGES = 49152 - 256 - 2
END = "<|endoftext|>"
START = "<|startoftext|>"


def build_tokenizer(config: Config) -> CLIPTokenizer:
    """Write `vocab.json` and `merges.txt` once and return the tokenizer.

    The vocabulary is: 256 bytes, the same 256 at the end of a word, 48,894 merges, two specials.
    """
    folder = config.run / "tokenizer"
    if not (folder / "tokenizer.json").exists():
        _write(config, folder)
    return CLIPTokenizer.from_pretrained(folder)


def _write(config: Config, folder: Path) -> None:
    source = folder_of("clip-vocabulary", config.downloads) / "open_clip"
    with gzip.open(source / "bpe_simple_vocab_16e6.txt.gz", "rt", encoding="utf-8") as opened:
        merges = opened.read().split("\n")[1 : _MERGES + 1]
    letters = list(byte_letters().values())
    words = [*letters, *(letter + "</w>" for letter in letters)]
    words += ["".join(merge.split()) for merge in merges]
    words += [START, END]
    vocabulary = {word: index for index, word in enumerate(words)}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False), "utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n", "utf-8")
    tokenizer = CLIPTokenizer(
        vocab=vocabulary,
        merges=[tuple(merge.split()) for merge in merges],
        unk_token=END,
        bos_token=START,
        eos_token=END,
        pad_token=END,
        model_max_length=config.text_length,
    )
    tokenizer.save_pretrained(folder)


@cache
def byte_letters() -> dict[int, str]:
    """Return the printable letter that stands for each byte, in the vocabulary's order."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return {byte: chr(byte) for byte in printable} | {
        byte: chr(256 + index) for index, byte in enumerate(others)
    }


def readable_tokens(tokenizer: CLIPTokenizer) -> list[str]:
    """Return the text of each token, in the order of ids, as a person would write it."""
    back = {letter: byte for byte, letter in byte_letters().items()}
    texts = [""] * len(tokenizer)
    for token, index in tokenizer.get_vocab().items():
        word = token.removesuffix("</w>")
        if word in (START, END):
            continue
        texts[index] = bytes(back[letter] for letter in word).decode("utf-8", "replace")
    return texts
