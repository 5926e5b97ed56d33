"""Samplers' names in other programs, for `resolve_sampler` to try."""

from __future__ import annotations

SPELLINGS = {
    "euler_ancestral": "Euler a",
    "euler_a": "Euler a",
    "dpmpp_2s_ancestral": "DPM++ 2S a",
    "dpm++2s_a": "DPM++ 2S a",
    "dpm++2m": "DPM++ 2M",
    "dpmpp_2m_sde_heun": "DPM++ 2M SDE Heun",
    "dpm_2_ancestral": "DPM2 a",
    "dpm_fast": "DPM fast",
    "dpm_adaptive": "DPM adaptive",
    "uni_pc": "UniPC",
    "uni_pc_bh2": "UniPC",
    "unipc": "UniPC",
    "pndm": "PLMS",
    "lcm": "LCM",
    "ddim": "DDIM",
    "dpmpp_2m_k": "DPM++ 2M Karras",
    "dpmpp_sde_k": "DPM++ SDE Karras",
    "dpmpp_2m_sde_k": "DPM++ 2M SDE Karras",
    "euler_k": "Euler Karras",
}


def other_spellings(name: str) -> tuple[str, ...]:
    """Spellings of other programs: comfy's `dpmpp_2m_sde_gpu`, `_ancestral`, sd.cpp's `euler_a`."""
    bare = name.lower().replace("_gpu", "").replace("_cpu", "")
    head, _, tail = bare.partition(" ")
    parts = (f"k_{bare}", f"k_{head} {tail}".strip(), bare)
    found = SPELLINGS.get(bare) or SPELLINGS.get(head)
    return (*((f"{found} {tail}".strip(), found) if found else ()), *parts)
