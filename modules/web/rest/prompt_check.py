"""What the page says of a prompt while it is typed: its tokens, remarks, and its translation."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from modules.catalog import CheckpointInfo
from modules.catalog.families import sd3, t5_tokens
from modules.prompts import Dictionary, apply_styles, count_tokens, parse_prompt, translate
from modules.prompts.t5_tokens import count_t5_tokens
from modules.requests.generation import Name, Prompt
from modules.web.context import AppContext


class PromptBody(BaseModel):
    """Two prompts as they stand in the form."""

    prompt: Prompt = ""
    negative_prompt: Prompt = ""
    styles: list[Name] = Field(default_factory=list, max_length=100)
    steps: int = Field(default=20, ge=1, le=1000)


def check_prompts(context: AppContext, body: PromptBody) -> dict[str, Any]:
    """Token counts after styles, and the parser's remarks about what was typed."""
    counted = (body.prompt, body.negative_prompt)
    if context.options.get("include_styles_into_token_counters"):
        counted = apply_styles(*counted, body.styles, context.styles)
    answers: dict[str, Any] = {}
    preparer = context.jobs.preparer
    checkpoint = preparer.chosen_checkpoint()
    dictionary = preparer.dictionary(checkpoint, context.options.as_dict())
    typed = (body.prompt, body.negative_prompt)
    for name, text, full in zip(("prompt", "negative_prompt"), typed, counted, strict=True):
        plan = parse_prompt(text, body.steps)
        translation = translate(full, dictionary) if dictionary else None
        read = translation.text if translation else full
        count = None
        if context.tokenizer is not None:
            learned = {e.name: e.vectors for e in context.catalog.networks.embeddings_in([read])}
            count = count_tokens(read, context.tokenizer, learned=learned)
        answers[name] = {
            "tokens": count.used if count else None,
            "limit": count.limit if count else None,
            "t5": _t5_object(context, checkpoint, read),
            "warnings": [
                {
                    "start": warning.start,
                    "end": warning.end,
                    "message": warning.message,
                    "code": warning.code,
                    "params": warning.params,
                }
                for warning in plan.warnings
            ],
            "translation": _translation_object(text, dictionary),
        }
    return answers


def _t5_object(
    context: AppContext, checkpoint: CheckpointInfo | None, text: str
) -> dict[str, int] | None:
    """The same by T5's tokenizer, for models that have it; None for others."""
    if checkpoint is None or context.t5_tokenizer is None:
        return None
    length = t5_tokens(checkpoint.family, checkpoint.variant)
    if length is None:
        return None
    if checkpoint.family == sd3.KEY and not context.options.get("sd3_enable_t5"):
        return None
    count = count_t5_tokens(text, context.t5_tokenizer, length)
    return {"tokens": count.used, "limit": count.limit}


def _translation_object(text: str, dictionary: Dictionary | None) -> dict[str, Any] | None:
    """What the chosen model will read instead of a Chinese prompt; None when nothing changes."""
    if dictionary is None:
        return None
    found = translate(text, dictionary)
    if not found.changed and not found.unknown:
        return None
    return {"text": found.text, "changed": found.changed, "unknown": list(found.unknown)}
