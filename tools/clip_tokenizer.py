"""Write CLIP's tokenizer files from the published merge list.

The input is `bpe_simple_vocab_16e6.txt.gz` as OpenAI published it with CLIP and as the package
open_clip_torch carries it. The output is what the `tokenizers` and `transformers` libraries load:
`vocab.json`, `merges.txt`, `tokenizer.json`, `tokenizer_config.json`, `special_tokens_map.json`.

    python3 -m tools.clip_tokenizer bpe_simple_vocab_16e6.txt.gz configs/tokenizers/clip
"""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path

MERGES = 49152 - 256 - 2
"""CLIP uses the first 48,894 merges of the list, so that vocabulary plus specials is 49,408."""

START, END = "<|startoftext|>", "<|endoftext|>"


def byte_alphabet() -> list[str]:
    """The 256 printable stand-ins of byte-level BPE, in the order CLIP numbers them."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in set(printable)]
    return [chr(byte) for byte in printable] + [chr(256 + i) for i in range(len(others))]


def read_merges(path: Path) -> list[tuple[str, str]]:
    """The merge pairs CLIP uses, from the gzip-compressed list."""
    lines = gzip.decompress(path.read_bytes()).decode("utf-8").split("\n")
    pairs = [tuple(line.split()) for line in lines[1 : MERGES + 1]]
    return [(pair[0], pair[1]) for pair in pairs]


def build_vocabulary(merges: list[tuple[str, str]]) -> dict[str, int]:
    """Token to id: bytes, bytes at a word's end, merges, the two specials."""
    alphabet = byte_alphabet()
    tokens = alphabet + [token + "</w>" for token in alphabet]
    tokens += ["".join(pair) for pair in merges] + [START, END]
    return {token: number for number, token in enumerate(tokens)}


def build_tokenizer_json(vocabulary: dict[str, int], merges: list[tuple[str, str]]) -> str:
    """The `tokenizers` library's own description of the same tokenizer."""
    from tokenizers import Regex, Tokenizer, decoders, normalizers, pre_tokenizers, processors
    from tokenizers.models import BPE

    tokenizer = Tokenizer(
        BPE(
            vocab=vocabulary,
            merges=merges,
            continuing_subword_prefix="",
            end_of_word_suffix="</w>",
            fuse_unk=False,
            unk_token=END,
        )
    )
    tokenizer.add_special_tokens([START, END])
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    words = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(words), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.RobertaProcessing(
        (END, vocabulary[END]),
        (START, vocabulary[START]),
        trim_offsets=False,
        add_prefix_space=False,
    )
    return tokenizer.to_str()


def main(source: Path, folder: Path) -> None:
    """Read the merge list at `source` and write the five files into `folder`."""
    merges = read_merges(source)
    vocabulary = build_vocabulary(merges)
    folder.mkdir(parents=True, exist_ok=True)
    config = {
        "tokenizer_class": "CLIPTokenizer",
        "model_max_length": 77,
        "bos_token": START,
        "eos_token": END,
        "pad_token": END,
        "unk_token": END,
        "add_prefix_space": False,
        "clean_up_tokenization_spaces": False,
    }
    specials = {key: config[key] for key in ("bos_token", "eos_token", "pad_token", "unk_token")}
    lines = ["#version: 0.2", *(" ".join(pair) for pair in merges), ""]
    texts = {
        "vocab.json": json.dumps(vocabulary, ensure_ascii=False),
        "merges.txt": "\n".join(lines),
        "tokenizer.json": build_tokenizer_json(vocabulary, merges),
        "tokenizer_config.json": json.dumps(config, indent=2) + "\n",
        "special_tokens_map.json": json.dumps(specials, indent=2) + "\n",
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
