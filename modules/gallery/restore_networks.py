"""Extra networks in a picture's text: old keys become tags in the prompt, LoRA find their files.

`Lora hashes` says which file each `<lora:…>` meant. A file of that hash may have another name here;
then the tag is given that name, as A1111 does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

FindNetwork = Callable[[Iterable[str]], Mapping[str, str]]
"""Hashes of LoRA files to the names by which prompts here call them, for those that are here."""

HASHES = "Lora hashes"
READ = frozenset({HASHES, "TI hashes", "TI", "Hypernet", "Hypernet hash", "Hypernet strength"})
"""Keys that are settled by the prompt."""
MAX_NETWORKS = 100

_TAG = re.compile(r"<(lora|lyco):([^:>]+)")
_HASH = re.compile(r"[0-9a-f]{6,64}")
_ADDED = re.compile(r"AddNet Model (\d{1,2})")
_WITH_HASH = re.compile(r"(.*?)\s*\([0-9a-fA-F]+\)")


def with_networks(prompt: str, values: Mapping[str, str], find: FindNetwork | None) -> str:
    """The prompt with everything that its picture's parameters say of extra networks."""
    prompt += _hypernetwork(prompt, values) + _additional(values)
    hashes = lora_hashes(values)
    if find is None or not hashes or _TAG.search(prompt) is None:
        return prompt
    here = find(hashes.values())

    def local(match: re.Match[str]) -> str:
        name = here.get(hashes.get(_plain(match[2]), ""))
        return match[0] if name is None else f"<{match[1]}:{name}"

    return _TAG.sub(local, prompt)


def lora_hashes(values: Mapping[str, str]) -> dict[str, str]:
    """Name of each LoRA, as it stands in the text, to its hash."""
    found: dict[str, str] = {}
    for entry in values.get(HASHES, "").split(","):
        name, _, digest = entry.rpartition(":")
        digest = digest.strip().lower()
        if name.strip() and _HASH.fullmatch(digest) and len(found) < MAX_NETWORKS:
            found[name.strip()] = digest
    return found


def _hypernetwork(prompt: str, values: Mapping[str, str]) -> str:
    """A1111 before 1.0 kept the hypernetwork out of the prompt."""
    name = values.get("Hypernet", "")
    if not name or name == "None" or f"<hypernet:{name}" in prompt:
        return ""
    return f"<hypernet:{_safe(name)}:{_safe(values.get('Hypernet strength') or '1.0')}>"


def _additional(values: Mapping[str, str]) -> str:
    """LoRA of the extension Additional Networks."""
    tags = []
    for key, value in values.items():
        number = _ADDED.fullmatch(key)
        if number is None or values.get(f"AddNet Module {number[1]}") != "LoRA":
            continue
        with_hash = _WITH_HASH.fullmatch(value)
        name = with_hash[1] if with_hash else value
        weight = values.get(f"AddNet Weight A {number[1]}") or values.get(
            f"AddNet Weight {number[1]}", "1.0"
        )
        tags.append(f"<lora:{_safe(name)}:{_safe(weight)}>")
    return "\n" + "".join(tags) if tags else ""


def _plain(name: str) -> str:
    return name.replace(":", "").replace(",", "").strip()


def _safe(text: str) -> str:
    """Without the signs that end a tag or begin another argument."""
    return re.sub(r"[<>:\n]", "", text).strip()
