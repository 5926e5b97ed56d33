"""File name patterns: `[seed]-[prompt_words]` and all other tokens of A1111.

A token whose value is "nothing" also drops the text before it; unknown tokens stay as typed.
"""

from __future__ import annotations

import hashlib
import re
import string
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from modules.gallery.names import sanitize_part

MAX_PATTERN = 2000
MAX_RESULT = 4000

_TOKEN = re.compile(r"\[([^\[\]]+)\]")
_ARGUMENT = re.compile(r"<([^<>]*)>$")
_WORD_SEPARATORS = re.compile(rf"[\s{re.escape(string.punctuation)}]+")


class _Nothing:
    """The value of a token that takes the text before it along."""


NOTHING = _Nothing()


@dataclass(frozen=True)
class NameContext:
    """Everything a file name can be made of."""

    seed: int | None = None
    all_seeds: Sequence[int] = ()
    prompt: str = ""
    prompt_without_styles: str | None = None
    negative_prompt: str = ""
    steps: int | None = None
    cfg_scale: float | None = None
    width: int | None = None
    height: int | None = None
    styles: Sequence[str] = ()
    sampler: str = ""
    scheduler: str = ""
    model_hash: str = ""
    model_name: str = ""
    vae_filename: str = ""
    clip_skip: int = 1
    denoising: float | None = None
    batch_index: int = 0
    iteration: int = 0
    batch_size: int = 1
    n_iter: int = 1
    user: str = ""
    basename: str = ""
    is_grid: bool = False
    max_prompt_words: int = 8
    now: datetime = field(default_factory=datetime.now)
    job_started: datetime | None = None
    image_hash: Callable[[], str] | None = None
    """Gives the hex sha256 of the pixels; asked only when the pattern does."""


def apply_pattern(pattern: str, context: NameContext) -> str:
    """The text of `pattern`; not yet sanitised as a whole (see `sanitize_name`). Never raises."""
    out: list[str] = []
    position = 0
    pattern = pattern[:MAX_PATTERN]
    for match in _TOKEN.finditer(pattern):
        before = pattern[position : match.start()]
        position = match.end()
        value = _value(match.group(1), context)
        if value is NOTHING:
            continue
        out.append(before + (match.group() if value is None else str(value)))
    out.append(pattern[position:])
    return "".join(out)[:MAX_RESULT]


def context_of(
    facts: Mapping[str, Any],
    request: Mapping[str, Any],
    options: Mapping[str, Any],
    **more: Any,
) -> NameContext:
    """The context of one image from the engine's facts, the request and the settings."""
    hires = request.get("kind") == "img2img" or request.get("enable_hr")
    return NameContext(
        seed=facts.get("seed"),
        prompt=str(facts.get("prompt") or ""),
        prompt_without_styles=request.get("prompt"),
        negative_prompt=str(facts.get("negative_prompt") or ""),
        steps=facts.get("steps"),
        cfg_scale=facts.get("cfg_scale"),
        width=facts.get("width"),
        height=facts.get("height"),
        styles=tuple(request.get("styles") or ()),
        sampler=str(facts.get("sampler_name") or ""),
        scheduler=str(facts.get("schedule_label") or ""),
        model_hash=str(facts.get("model_hash") or ""),
        model_name=str(facts.get("model_name") or ""),
        vae_filename=str(facts.get("vae_name") or ""),
        clip_skip=int(facts.get("clip_skip") or 1),
        denoising=request.get("denoising_strength") if hires else None,
        batch_size=int(request.get("batch_size") or 1),
        n_iter=int(request.get("n_iter") or 1),
        max_prompt_words=int(options.get("directories_max_prompt_words") or 8),
        **more,
    )


def _value(token: str, context: NameContext) -> object:
    """The text of one token, NOTHING, or None when it is unknown."""
    arguments: list[str] = []
    while match := _ARGUMENT.search(token):
        arguments.insert(0, match.group(1))
        token = token[: match.start()]
    reader = _TOKENS.get(token.lower())
    return None if reader is None else reader(context, arguments)


def _spaced(text: str) -> str:
    return sanitize_part(text, replace_spaces=False)


def _or_nothing(value: object) -> object:
    return NOTHING if value is None or value == "" else value


def _number(value: float | None) -> object:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return _or_nothing(value)


def _words(context: NameContext, _arguments: list[str]) -> str:
    words = [word for word in _WORD_SEPARATORS.split(context.prompt) if word] or ["empty"]
    return _spaced(" ".join(words[: context.max_prompt_words]))


def _datetime(context: NameContext, arguments: list[str]) -> str:
    """`[datetime<format><time zone>]`; a format or zone that is not understood is not used."""
    zone = _zone(arguments[1]) if len(arguments) > 1 else None
    moment = context.now.astimezone(zone) if zone else context.now
    wanted = arguments[0] if arguments and arguments[0] else "%Y%m%d%H%M%S"
    try:
        text = moment.strftime(wanted[:100])
    except (ValueError, OSError):
        text = moment.strftime("%Y%m%d%H%M%S")
    return _spaced(text)


def _zone(name: str) -> tzinfo | None:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return None


def _hash(text: str, arguments: list[str]) -> str:
    return _cut_hash(hashlib.sha256(text.encode("utf-8", "replace")).hexdigest(), arguments)


def _cut_hash(digest: str, arguments: list[str]) -> str:
    length = arguments[0] if arguments else ""
    wanted = int(length) if re.fullmatch(r"\d{1,3}", length) else 8
    return digest[: max(1, wanted)]


def _has_prompt(context: NameContext, arguments: list[str]) -> str:
    """`[hasprompt<word|default>…]`: each word that the prompt has, else its default."""
    prompt = context.prompt.lower()
    found: list[str] = []
    for argument in arguments:
        word, _, default = argument.partition("|")
        found.append(word if word and word.lower() in prompt else default)
    return _spaced("".join(found))


def _batch_number(context: NameContext, _arguments: list[str]) -> object:
    return NOTHING if context.is_grid or context.batch_size == 1 else context.batch_index + 1


def _generation_number(context: NameContext, _arguments: list[str]) -> object:
    if context.is_grid or context.batch_size * context.n_iter == 1:
        return NOTHING
    return context.iteration * context.batch_size + context.batch_index + 1


def _sampler_scheduler(context: NameContext, _arguments: list[str]) -> str:
    return _spaced(f"{context.sampler} {context.scheduler}".strip())


def _without_styles(context: NameContext, _arguments: list[str]) -> str:
    plain = context.prompt_without_styles
    return _spaced(context.prompt if plain is None else plain)


def _image_hash(context: NameContext, arguments: list[str]) -> object:
    return NOTHING if context.image_hash is None else _cut_hash(context.image_hash(), arguments)


def _first(context: NameContext) -> object:
    return context.all_seeds[0] if context.all_seeds else _or_nothing(context.seed)


def _last(context: NameContext) -> object:
    return context.all_seeds[-1] if context.all_seeds else _or_nothing(context.seed)


_TOKENS: dict[str, Callable[[NameContext, list[str]], object]] = {
    "seed": lambda c, _: _or_nothing(c.seed),
    "seed_first": lambda c, _: _first(c) if c.is_grid or c.all_seeds else _or_nothing(c.seed),
    "seed_last": lambda c, _: _last(c),
    "steps": lambda c, _: _or_nothing(c.steps),
    "cfg": lambda c, _: _number(c.cfg_scale),
    "width": lambda c, _: _or_nothing(c.width),
    "height": lambda c, _: _or_nothing(c.height),
    "styles": lambda c, _: _spaced(", ".join(s for s in c.styles if s != "None") or "None"),
    "sampler": lambda c, _: _or_nothing(_spaced(c.sampler)),
    "scheduler": lambda c, _: _or_nothing(_spaced(c.scheduler)),
    "sampler_scheduler": _sampler_scheduler,
    "model_hash": lambda c, _: _or_nothing(_spaced(c.model_hash)),
    "model_name": lambda c, _: _or_nothing(_spaced(c.model_name)),
    "date": lambda c, _: c.now.strftime("%Y-%m-%d"),
    "datetime": _datetime,
    "job_timestamp": lambda c, _: (c.job_started or c.now).strftime("%Y%m%d%H%M%S"),
    "prompt": lambda c, _: sanitize_part(c.prompt),
    "prompt_no_styles": _without_styles,
    "prompt_spaces": lambda c, _: _spaced(c.prompt),
    "prompt_words": _words,
    "prompt_hash": lambda c, a: _hash(c.prompt, a),
    "negative_prompt_hash": lambda c, a: _hash(c.negative_prompt, a),
    "full_prompt_hash": lambda c, a: _hash(f"{c.prompt} {c.negative_prompt}", a),
    "batch_number": _batch_number,
    "batch_size": lambda c, _: c.batch_size,
    "generation_number": _generation_number,
    "hasprompt": _has_prompt,
    "clip_skip": lambda c, _: c.clip_skip,
    "denoising": lambda c, _: _or_nothing(c.denoising),
    "user": lambda c, _: _or_nothing(_spaced(c.user)),
    "vae_filename": lambda c, _: _or_nothing(_spaced(c.vae_filename)),
    "image_hash": _image_hash,
    "basename": lambda c, _: _or_nothing(_spaced(c.basename)),
    "none": lambda _c, _a: "",
}

TOKENS = tuple(_TOKENS)
"""Names of all tokens, for the settings page and the documentation."""
