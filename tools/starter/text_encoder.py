"""The text encoder: frozen word embeddings, two trained CLIP layers."""

from __future__ import annotations

import logging
import random

import torch
from torch import nn
from torch.nn import functional

from tools.starter import steps
from tools.starter.captions import HUES, NUMBERS, Wording, wide_caption
from tools.starter.concepts import Concept
from tools.starter.config import Config
from tools.starter.minilm import cached
from tools.starter.styles import endings_of
from tools.starter.tokenizer import build_tokenizer, readable_tokens
from tools.starter.torchvision_guard import define_missing_ops

define_missing_ops()

from transformers import CLIPTextConfig, CLIPTextModel  # noqa: E402

log = logging.getLogger(__name__)
_LENGTH = 28
"""Tokens per caption while the text encoder trains; longer places copy the last one's position."""
_POOL = 12_000
_EMBEDDING_SPREAD = 0.6


def build_text_encoder(config: Config) -> CLIPTextModel:
    """Build a CLIP text model of the configured size, not yet trained."""
    settings = CLIPTextConfig(
        vocab_size=49_408,
        hidden_size=config.text_width,
        intermediate_size=4 * config.text_width,
        projection_dim=config.text_width,
        num_hidden_layers=config.text_layers,
        num_attention_heads=config.text_heads,
        max_position_embeddings=config.text_length,
        hidden_act="quick_gelu",
        bos_token_id=49_406,
        eos_token_id=49_407,
        pad_token_id=49_407,
    )
    return CLIPTextModel(settings)


def load_text_encoder(config: Config) -> CLIPTextModel:
    """Load the trained text encoder, frozen."""
    encoder = build_text_encoder(config)
    encoder.load_state_dict(torch.load(config.run / "text.pt", map_location="cpu"))
    return encoder.to(config.device).eval().requires_grad_(False)


def word_embeddings(config: Config) -> torch.Tensor:
    """Return `[tokens, width]`: principal components of each token's sentence embedding."""
    texts = readable_tokens(build_tokenizer(config))
    full = cached(config, "tokens", texts)
    centred = full - full.mean(0)
    _, _, directions = torch.linalg.svd(centred, full_matrices=False)
    components = centred @ directions[: config.text_width].T
    return components * (_EMBEDDING_SPREAD / components.std())


class _Questions(nn.Module):
    """Linear read-outs of the end-of-text state, dropped after training."""

    def __init__(self, config: Config, concepts: int, styles: int) -> None:
        super().__init__()
        width = config.text_width
        self.sentence = nn.Linear(width, 384)
        self.answers = nn.ModuleDict(
            {
                "concept": nn.Linear(width, concepts),
                "background": nn.Linear(width, len(config.backgrounds)),
                "count": nn.Linear(width, len(NUMBERS)),
                "second": nn.Linear(width, concepts),
                "hue": nn.Linear(width, len(HUES)),
            }
        )
        if styles > 1:
            self.answers["style"] = nn.Linear(width, styles)


def train_text_encoder(config: Config, concepts: list[Concept], minutes: float) -> CLIPTextModel:
    """Train the two layers on captions of every concept, save `run/text.pt` and return it.

    The end-of-text state must tell what the caption says (concept, background, count, second
    concept, hue) and point where the sentence model's embedding of the caption points.
    """
    torch.manual_seed(config.seed)
    rng = random.Random(config.seed)
    tokenizer = build_tokenizer(config)
    encoder = build_text_encoder(config)
    body = encoder.text_model if hasattr(encoder, "text_model") else encoder
    table = body.embeddings.token_embedding
    with torch.no_grad():
        table.weight.copy_(word_embeddings(config))
    table.weight.requires_grad_(False)
    encoder.to(config.device)

    names = [concept.names for concept in concepts]
    backgrounds = [colour.name for colour in config.backgrounds]
    drawn = [row for row, concept in enumerate(concepts) if concept.drawn]
    endings = endings_of(config)
    pool = [wide_caption(rng, names, backgrounds, drawn, endings) for _ in range(_POOL)]
    meanings = cached(config, "captions", [wording.text for wording in pool])

    questions = _Questions(config, len(concepts), len(endings)).to(config.device)
    trained = [p for m in (encoder, questions) for p in m.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=1e-3, betas=(0.9, 0.98), weight_decay=0.01)
    budget, step = steps.Budget(minutes), 0
    while not budget.over:
        for group in optimiser.param_groups:
            tail = steps.cosine_tail(budget.fraction, 0.4, 0.01)
            group["lr"] = 1e-3 * min(1, (step + 1) / 100) * tail
        known = [rng.randrange(_POOL) for _ in range(24)]
        wordings = [pool[row] for row in known]
        wordings += [wide_caption(rng, names, backgrounds, drawn, endings) for _ in range(40)]
        states = _end_states(encoder, tokenizer, wordings, config.device)
        loss, report = _grade(questions, states, wordings)
        close = functional.cosine_similarity(
            questions.sentence(states[:24]), meanings[known].to(config.device)
        ).mean()
        optimiser.zero_grad(set_to_none=True)
        (loss + 2 * (1 - close)).backward()
        nn.utils.clip_grad_norm_(trained, 1.0)
        optimiser.step()
        if step % 100 == 0:
            log.info("step %d, %.0f s, cosine %.3f, %s", step, budget.spent, close.item(), report)
        step += 1
    with torch.no_grad():
        places = body.embeddings.position_embedding.weight
        places[_LENGTH:] = places[_LENGTH - 1]
    encoder.eval().requires_grad_(False)
    steps.save_atomically(encoder.state_dict(), config.run / "text.pt")
    log.info("trained on %d captions", step * 64)
    return encoder


def _end_states(
    encoder: CLIPTextModel, tokenizer: object, wordings: list[Wording], device: str
) -> torch.Tensor:
    made = tokenizer(
        [wording.text for wording in wordings],
        padding="max_length",
        max_length=_LENGTH,
        truncation=True,
        return_tensors="pt",
    )
    ids = made.input_ids.to(device)
    return encoder(input_ids=ids).pooler_output


def _grade(
    questions: _Questions, states: torch.Tensor, wordings: list[Wording]
) -> tuple[torch.Tensor, str]:
    loss, report = states.new_zeros(()), []
    for name, head in questions.answers.items():
        right = torch.tensor([getattr(w, name) for w in wordings], device=states.device)
        asked = right != -100
        if not asked.any():
            continue
        guess = head(states[asked])
        weight = 0.3 if name == "second" else 1.0
        loss = loss + weight * functional.cross_entropy(guess, right[asked])
        share = (guess.argmax(-1) == right[asked]).float().mean().item()
        report.append(f"{name} {share:.0%}")
    return loss, ", ".join(report)
