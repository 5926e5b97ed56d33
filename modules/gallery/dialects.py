"""Other programs' descriptions of a picture, turned into A1111's prompts and keys."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from modules.gallery import comfyui
from modules.gallery.infotext import ParsedInfotext, parse

MAX_JSON = 8_000_000
"""Characters of the longest JSON description that is read."""

Items = Mapping[str, str]


def parse_any(text: str) -> ParsedInfotext:
    """Read A1111's text or one of the JSON descriptions; never raises."""
    data = load_json(text)
    if isinstance(data, dict):
        found = from_json(data)
        if found is not None:
            return found
    return _repaired(parse(text))


def from_json(data: Mapping[str, Any]) -> ParsedInfotext | None:
    """What a JSON object says, by the keys only one program uses; None when it is none of them."""
    if comfyui.is_graph(data):
        return comfyui.read_graph(data)
    if isinstance(data.get("prompt"), Mapping) and comfyui.is_graph(data["prompt"]):
        return comfyui.read_graph(data["prompt"])
    if "base_model" in data or "metadata_scheme" in data:
        return _from_fooocus(data)
    if "positive_prompt" in data or "app_version" in data:
        return _from_invokeai(data)
    if isinstance(data.get("image"), Mapping) and "prompt" in data["image"]:
        return _from_old_invokeai(data["image"], data)
    if "uc" in data and ("sampler" in data or "steps" in data):
        return _from_novelai(str(data.get("prompt") or ""), data)
    return None


def from_items(items: Items) -> ParsedInfotext | None:
    """What the text chunks of a picture say beside `parameters`; None when nothing is known."""
    if items.get("Software", "").strip() == "NovelAI":
        data = load_json(items.get("Comment", ""))
        return _from_novelai(items.get("Description", ""), data if isinstance(data, dict) else {})
    for key in ("prompt", "invokeai_metadata", "sd-metadata", "Comment", "parameters"):
        data = load_json(items.get(key, ""))
        found = from_json(data) if isinstance(data, dict) else None
        if found is not None:
            return found
    return None


def load_json(text: str) -> Any:
    """The value of a JSON text that begins with a brace or bracket; None for anything else."""
    text = text.strip()
    if not text.startswith(("{", "[")) or len(text) > MAX_JSON:
        return None
    try:
        return json.loads(re.sub(r"\bNaN\b", "null", text))
    except (ValueError, RecursionError):
        return None


def text_of(value: Any) -> str:
    """A scalar as text; numbers that are whole lose their `.0`, everything else is empty."""
    if isinstance(value, bool) or value is None:
        return "" if value is None else str(value)
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return str(value) if isinstance(value, (str, int, float)) else ""


def table(**pairs: Any) -> dict[str, str]:
    """Parameters with `_` in the names for blanks; empty values are left out."""
    texts = {key.replace("_", " "): text_of(value) for key, value in pairs.items()}
    return {key: text for key, text in texts.items() if text}


def size_of(width: Any, height: Any) -> str:
    """`512x768`, or nothing when a side is missing."""
    return f"{text_of(width)}x{text_of(height)}" if width and height else ""


def _from_novelai(prompt: str, data: Mapping[str, Any]) -> ParsedInfotext:
    """NovelAI: the sampler's own names; clip skip 2 and ENSD 31337 as A1111 assumes for it."""
    parameters = table(
        Steps=data.get("steps"),
        Sampler=data.get("sampler"),
        CFG_scale=data.get("scale"),
        Seed=data.get("seed"),
        Size=size_of(data.get("width"), data.get("height")),
        Denoising_strength=data.get("strength"),
        Clip_skip=2,
        ENSD=31337,
    )
    negative = text_of(data.get("uc"))
    return ParsedInfotext(prompt or text_of(data.get("prompt")), negative, parameters, "novelai")


def _from_fooocus(data: Mapping[str, Any]) -> ParsedInfotext:
    size = re.findall(r"\d+", text_of(data.get("resolution")))
    model = re.sub(r"\.(safetensors|ckpt)$", "", text_of(data.get("base_model")))
    parameters = table(
        Steps=data.get("steps"),
        Sampler=data.get("sampler"),
        Schedule_type=data.get("scheduler"),
        CFG_scale=data.get("guidance_scale"),
        Seed=data.get("seed"),
        Size=size_of(*size[:2]) if len(size) > 1 else "",
        Model_hash=data.get("base_model_hash"),
        Model=model,
        Clip_skip=data.get("clip_skip"),
        Version=data.get("version"),
        Sharpness=data.get("sharpness"),
        Performance=data.get("performance"),
    )
    prompt, negative = text_of(data.get("prompt")), text_of(data.get("negative_prompt"))
    return ParsedInfotext(prompt, negative, parameters, "fooocus")


def _from_invokeai(data: Mapping[str, Any]) -> ParsedInfotext:
    model = data.get("model")
    model = model if isinstance(model, Mapping) else {}
    vae = data.get("vae")
    name = text_of(model.get("name") or model.get("model_name"))
    loras = data.get("loras") if isinstance(data.get("loras"), list) else []
    prompt = text_of(data.get("positive_prompt")) + "".join(_invoke_lora(one) for one in loras)
    sampler, schedule = _invoke_scheduler(text_of(data.get("scheduler")))
    parameters = table(
        Steps=data.get("steps"),
        Sampler=sampler,
        Schedule_type=schedule,
        CFG_scale=data.get("cfg_scale"),
        Seed=data.get("seed"),
        Size=size_of(data.get("width"), data.get("height")),
        Model=name,
        VAE=vae.get("name") if isinstance(vae, Mapping) else None,
        Denoising_strength=data.get("strength"),
        RNG="CPU",
    )
    notes = ("Weights in InvokeAI's spelling, such as (word)1.2 and word+, are not converted.",)
    negative = text_of(data.get("negative_prompt"))
    return ParsedInfotext(prompt, negative, parameters, "invokeai", notes)


def _invoke_lora(entry: Any) -> str:
    if not isinstance(entry, Mapping):
        return ""
    model = entry.get("model") or entry.get("lora")
    name = (
        text_of(model.get("name") or model.get("model_name")) if isinstance(model, Mapping) else ""
    )
    return f" <lora:{name}:{text_of(entry.get('weight', 1))}>" if name else ""


def _invoke_scheduler(name: str) -> tuple[str, str]:
    """InvokeAI's one name: `_k` at the end means Karras."""
    bare, karras = (name[:-2], "Karras") if name.endswith("_k") else (name, "")
    names = {
        "dpmpp_2s": "DPM++ 2S a",
        "dpmpp_2m": "DPM++ 2M",
        "dpmpp_2m_sde": "DPM++ 2M SDE",
        "dpmpp_3m": "DPM++ 3M SDE",
        "dpmpp_sde": "DPM++ SDE",
        "kdpm_2": "DPM2",
        "kdpm_2_a": "DPM2 a",
        "pndm": "PLMS",
    }
    return names.get(bare, bare), karras


def _from_old_invokeai(image: Mapping[str, Any], data: Mapping[str, Any]) -> ParsedInfotext:
    """InvokeAI before 3.0: weights per prompt, the negative prompt in square brackets."""
    prompts = image.get("prompt")
    if isinstance(prompts, list):
        texts = [text_of(one.get("prompt")) for one in prompts if isinstance(one, Mapping)]
        prompts = ", ".join(texts)
    text = text_of(prompts)
    negatives = re.findall(r"\[([^\[\]]*)\]", text)
    sampler = text_of(image.get("sampler"))
    parameters = table(
        Steps=image.get("steps"),
        Sampler=sampler,
        CFG_scale=image.get("cfg_scale"),
        Seed=image.get("seed"),
        Size=size_of(image.get("width"), image.get("height")),
        Model=data.get("model_weights"),
        Model_hash=text_of(data.get("model_hash"))[:10],
    )
    prompt = re.sub(r"\[[^\[\]]*\]", "", text).strip()
    return ParsedInfotext(prompt, ", ".join(negatives), parameters, "invokeai")


def _repaired(parsed: ParsedInfotext) -> ParsedInfotext:
    """Known faults of programs that write A1111's form with their own values."""
    values = dict(parsed.parameters)
    prompt, negative = parsed.prompt, parsed.negative
    notes: list[str] = []
    if parsed.dialect == "sdnext":
        renamed = {"Hires scale": "Hires upscale", "Hires strength": "Denoising strength"}
        values = {renamed.get(key, key): value for key, value in values.items()}
        if "x" in values.get("Hires size", ""):
            values.setdefault("Hires resize", values.pop("Hires size"))
    elif parsed.dialect == "fooocus":
        prompt = values.pop("Raw prompt", prompt) or prompt
        negative = values.pop("Raw negative prompt", negative) or negative
    elif parsed.dialect == "sdcpp":
        values["RNG"] = "NV" if values.get("RNG", "cuda") == "cuda" else "CPU"
        values["Model"] = re.sub(r"\.(safetensors|ckpt|gguf)$", "", values.get("Model", ""))
    elif parsed.dialect == "civitai" and values.get("Sampler") == "Undefined":
        for key in ("Sampler", "Clip skip"):
            values.pop(key, None)
        if "CFG scale" in values:
            values["Distilled CFG Scale"] = values.pop("CFG scale")
            values["CFG scale"] = "1"
        notes.append("CivitAI wrote no sampler; CFG scale is taken as the distilled guidance.")
    values = {key: value for key, value in values.items() if value or key == "Tiling"}
    return replace(
        parsed,
        prompt=prompt,
        negative=negative,
        parameters=values,
        notes=(*parsed.notes, *notes),
    )
