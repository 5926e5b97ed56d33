"""A1111's generation parameters text ("infotext"): writing it and reading it back.

    positive prompt, may span lines
    Negative prompt: negative prompt, may span lines
    Key: value, Key: value, …

The text is A1111 1.10's, in its order of keys. Its ambiguous cases are closed by one extra key:
"Prompt lines" (lines of the positive prompt) is written only when a reader would otherwise split
the prompts in the wrong place; older readers ignore it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

NEGATIVE = "Negative prompt:"
PROMPT_LINES = "Prompt lines"
TEMPLATE = "Template"
NEGATIVE_TEMPLATE = "Negative Template"
CHINESE = "Prompt in Chinese"
NEGATIVE_CHINESE = "Negative prompt in Chinese"

LEADING_KEYS = (
    *("Steps", "Sampler", "Schedule type", "CFG scale", "Image CFG scale", "Seed"),
    *("Face restoration", "Size", "Model hash", "Model", "FP8 weight"),
    *("Cache FP16 weight for LoRA", "VAE hash", "VAE", "Variation seed"),
    *("Variation seed strength", "Seed resize from", "Denoising strength"),
    *("Conditional mask weight", "Clip skip", "ENSD", "Token merging ratio"),
    *("Token merging ratio hr", "Init image hash", "RNG", "Tiling"),
)
"""Keys of the fixed part, in writing order; all others follow in the order they were set."""
TRAILING_KEYS = ("Version", "User")

MAX_LENGTH = 2_000_000
"""Longer texts are cut before reading: no program writes them, but files can hold anything."""
MAX_KEYS = 5000

_KEY = re.compile(r"[^\W_][\w \-/().+]*")
_ENDS = re.compile(r"[ \t]*(?:,|\Z)")
"""What follows a value."""
_DECODER = json.JSONDecoder()
MAX_BARE = 20_000
"""Characters of a JSON value without quotes. Python says where JSON is wrong by counting the lines
before it: thousands of wrong values in one long text took minutes."""
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
_BARE_UNSAFE = re.compile(r'[,:\n\r\u2028\u2029\x85]|^\s|\s$|^"|^$')

KNOWN_KEYS = frozenset(
    {
        *LEADING_KEYS,
        *TRAILING_KEYS,
        *("Scheduler", "App", "Pipeline", "Parser", "Operations", "Hires upscale"),
        *("Postprocess upscale by", "Postprocess upscaler", "GFPGAN visibility", "Lora hashes"),
        *("Performance", "Guidance", "Batch size", "Hashes", "Mask blur", "Distilled CFG Scale"),
    }
)


@dataclass(frozen=True)
class ParsedInfotext:
    """What a picture's text says; the values are strings as written, unquoted.

    `dialect` names the program that wrote it: a1111, forge, sdnext, fooocus, civitai, sdcpp,
    novelai, comfyui, invokeai, easel, or "" when the text has no parameters.
    """

    prompt: str = ""
    negative: str = ""
    parameters: dict[str, str] = field(default_factory=dict)
    dialect: str = ""
    notes: tuple[str, ...] = ()


def compose(
    prompt: str,
    negative: str,
    parameters: Mapping[str, Any],
) -> str:
    """The infotext of two prompts and parameters; None values are left out.

    Keys of the fixed part come first whatever their place in `parameters`.
    """
    prompt, negative = _storable(prompt), _storable(negative)
    plain = _body(prompt, negative, parameters)
    read = parse(plain)
    if not read.parameters or (read.prompt, read.negative) == (prompt, negative):
        return plain
    lines = prompt.count("\n") + 1 if prompt else 0
    return _body(prompt, negative, {**parameters, PROMPT_LINES: lines})


def parse(text: str) -> ParsedInfotext:
    """Read A1111's text and its relatives; never raises.

    A last line counts as parameters when it has at least three of them and one is well known.
    """
    text = text[:MAX_LENGTH].replace("\r\n", "\n").strip()
    *lines, last = text.split("\n")
    parameters = parse_parameters(last)
    if len(parameters) < 3 or KNOWN_KEYS.isdisjoint(parameters):
        lines, parameters = text.split("\n") if text else [], {}
    prompt, negative = _split_prompts(lines, parameters.pop(PROMPT_LINES, None))
    return ParsedInfotext(prompt, negative, parameters, dialect_of(parameters))


def parse_parameters(line: str) -> dict[str, str]:
    """The `Key: value` pairs of one line; quoted values are decoded. Linear in the length."""
    parameters: dict[str, str] = {}
    position = 0
    while position < len(line) and len(parameters) < MAX_KEYS:
        while position < len(line) and line[position] in " ,\t":
            position += 1
        key = _KEY.match(line, position)
        if key is None or line[key.end() : key.end() + 1] != ":":
            end = _next_comma(line, key.end() if key else position)
            bare = line[position:end].strip()
            if key is not None and bare == key.group().strip() and bare:
                parameters.setdefault(bare, bare)
            position = end + 1
            continue
        position = key.end() + 1
        while position < len(line) and line[position] in " \t":
            position += 1
        value, position = _read_value(line, position)
        parameters[key.group().strip()] = value
    return parameters


def quote(value: Any) -> str:
    """A value as it is written: as it is, or as a JSON string when it could be misread."""
    text = value if isinstance(value, str) else _plain(value)
    text = text.encode("utf-8", "replace").decode("utf-8").replace("\x00", "")
    if _BARE_UNSAFE.search(text) is None:
        return text
    quoted = json.dumps(text, ensure_ascii=False)
    for sign in "\u2028\u2029\x85":
        quoted = quoted.replace(sign, f"\\u{ord(sign):04x}")
    return quoted


def dialect_of(parameters: Mapping[str, str]) -> str:
    """Which program wrote the parameters, as far as its own keys tell."""
    if not parameters:
        return ""
    version = parameters.get("Version", "")
    marks = (
        ("easel", version.lower().startswith("easel")),
        ("sdnext", parameters.get("App", "").lower().startswith("sd.next")),
        ("fooocus", version.startswith("Fooocus")),
        ("sdcpp", version.startswith("stable-diffusion.cpp")),
        ("civitai", "Civitai resources" in parameters),
        ("forge", version.startswith("f") or "Distilled CFG Scale" in parameters),
    )
    return next((name for name, found in marks if found), "a1111")


def _body(prompt: str, negative: str, parameters: Mapping[str, Any]) -> str:
    parts = [prompt] if prompt else []
    if negative:
        parts.append(f"{NEGATIVE} {negative}")
    parts.append(", ".join(_entries(parameters)))
    return "\n".join(parts).strip()


def _entries(parameters: Mapping[str, Any]) -> list[str]:
    present = {_safe_key(key): value for key, value in parameters.items() if value is not None}
    extra = [key for key in present if key not in LEADING_KEYS and key not in TRAILING_KEYS]
    order = [*LEADING_KEYS, *extra, *TRAILING_KEYS]
    return [
        key
        if key == str(present[key]) and _BARE_UNSAFE.search(key) is None
        else f"{key}: {quote(present[key])}"
        for key in order
        if key in present
    ]


def _safe_key(key: str) -> str:
    return re.sub(r"[,:\n\r\"]", " ", key).strip() or "Extra"


def _plain(value: Any) -> str:
    """A value as Python prints it; lists and tables as JSON."""
    if isinstance(value, (dict, list, tuple)):
        return json.dumps(value, ensure_ascii=False)
    return str(value)


def _storable(prompt: str) -> str:
    """A prompt as reading gives it back: no blank ends, no NUL, no lone surrogates."""
    text = prompt.replace("\x00", "").replace("\r\n", "\n")
    return text.encode("utf-8", "replace").decode("utf-8").strip()


def _split_prompts(lines: list[str], prompt_lines: str | None) -> tuple[str, str]:
    """The lines above the parameters, split into prompt and negative prompt."""
    count = int(prompt_lines) if prompt_lines and re.fullmatch(r"\d{1,7}", prompt_lines) else None
    if count is not None and count <= len(lines):
        positive, rest = lines[:count], lines[count:]
    else:
        starts = (i for i, line in enumerate(lines) if line.strip().startswith(NEGATIVE))
        start = next(starts, len(lines))
        positive, rest = lines[:start], lines[start:]
    negative = "\n".join(rest).strip()
    return "\n".join(positive).strip(), negative.removeprefix(NEGATIVE).strip()


def _read_value(line: str, position: int) -> tuple[str, int]:
    """The value that begins at `position`, and where the next entry may begin."""
    quoted = _QUOTED.match(line, position)
    if quoted is not None and _ENDS.match(line, quoted.end()):
        return _unquote(quoted.group()), _next_comma(line, quoted.end()) + 1
    if line[position : position + 1] in ("[", "{"):
        found = _read_json(line, position)
        if found is not None:
            return found
    end = _next_comma(line, position)
    return line[position:end].strip(), end + 1


def _read_json(line: str, position: int) -> tuple[str, int] | None:
    """A bare JSON list or object, as CivitAI writes its resources."""
    piece = line[position : position + MAX_BARE]
    try:
        _, length = _DECODER.raw_decode(piece)
    except (ValueError, RecursionError):
        return None
    end = position + length
    if not _ENDS.match(line, end):
        return None
    return piece[:length], _next_comma(line, end) + 1


def _unquote(text: str) -> str:
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value.encode("utf-8", "replace").decode("utf-8") if isinstance(value, str) else text


def _next_comma(line: str, position: int) -> int:
    end = line.find(",", position)
    return len(line) if end < 0 else end
