"""Why a picture cannot be repeated here exactly, in sentences for people."""

from __future__ import annotations

import re

from modules.gallery.infotext import ParsedInfotext

CANNOT = "Cannot be reproduced exactly here because"

_HIRES = ("Hires upscale", "Hires upscaler", "Hires resize")
_OWN = ("easel",)
_CPU_NOISE = ("comfyui", "invokeai", "easel")
_MISSING_PARTS = (
    ("ControlNet", r"ControlNet( \d+)?", "ControlNet is not part of this version"),
    ("adetailer", r"ADetailer .+", "ADetailer is an extension; the Detailer here works alike"),
    ("hypertile", r"Hypertile .+", "Hypertile is not part of this version"),
    ("modules", r"Module \d+", "the text encoders named in it are chosen by the checkpoint here"),
    ("loopback", r"Denoising curve", "the loopback script is not part of this version"),
    ("regional", r"RP .+", "regional prompts are not part of this version"),
)


def obstacles(parsed: ParsedInfotext) -> tuple[str, ...]:
    """What stands between a picture's text and the same picture; empty when nothing is known."""
    values = parsed.parameters
    if not values:
        return ()
    reasons = [*_pictures(parsed), *_parts(parsed), *_noise(parsed)]
    return tuple(f"{CANNOT} {reason}." for reason in dict.fromkeys(reasons))


def _pictures(parsed: ParsedInfotext) -> list[str]:
    values = parsed.parameters
    second_pass = any(key in values for key in _HIRES)
    masked = any(key in values for key in ("Mask blur", "Masked content", "Inpaint area"))
    grown = "Outpaint" in values
    if masked:
        return ["the picture and the mask it was made from are not in the file"]
    if grown or ("Denoising strength" in values and not second_pass):
        return ["the picture it was made from is not in the file"]
    return []


def _parts(parsed: ParsedInfotext) -> list[str]:
    values = parsed.parameters
    reasons = []
    for _, pattern, reason in _MISSING_PARTS:
        if any(re.fullmatch(pattern, key) and value != "Disable" for key, value in values.items()):
            reasons.append(reason)
    script = values.get("Script")
    if script:
        reasons.append(f"the script {script[:60]!r} is not part of this version")
    return reasons


def _noise(parsed: ParsedInfotext) -> list[str]:
    """Noise of a graphics card is repeated by the setting NV; other programs have rules of theirs.

    A1111 leaves RNG out when it is GPU.
    """
    if parsed.dialect in _OWN:
        return []
    weights = re.search(r"[(\[]", parsed.prompt + parsed.negative) is not None
    if parsed.dialect == "comfyui" and weights:
        return ["ComfyUI gives weighted words another strength"]
    if parsed.dialect == "novelai":
        return ["NovelAI's model is not public"]
    if parsed.dialect == "fooocus":
        return ["Fooocus' styles, sharpness and ADM guidance have no counterpart"]
    if parsed.dialect == "sdnext":
        return ["SD.Next's samplers are not the same code"]
    if parsed.dialect not in _CPU_NOISE and "RNG" not in parsed.parameters:
        return [
            "its noise came from the graphics card of its maker; "
            "the random number generator source NV repeats that of NVIDIA's cards"
        ]
    return []
