"""Which device the engine works on, and in which number formats."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from modules.engine.precision import fast_dtype

logger = logging.getLogger("easel.engine")

WIDE_FAMILIES = ("flux", "sd3")
"""Trained in bfloat16: their numbers exceed what float16 holds."""


class UnknownDevice(ValueError):  # noqa: N818 - reads as what happened
    """A flag names a device that this machine does not have."""


@dataclass(frozen=True)
class DevicePolicy:
    """Device and number formats of each part of a model."""

    device: torch.device
    unet_dtype: torch.dtype
    vae_dtype: torch.dtype
    text_dtype: torch.dtype
    may_lower: bool = True
    """Whether 32 bits are nobody's express wish: the memory ladder may go below them."""

    @property
    def name(self) -> str:
        """The device for people: "NVIDIA H200", "Apple GPU" or "CPU"."""
        return device_name(self.device)

    def dtype_of(self, part: str, family: str) -> torch.dtype:
        """The number format that a network computes in; `part` is "unet", "vae" or a text encoder's
        name."""
        if part == "vae":
            return self.vae_dtype
        dtype = self.unet_dtype if part in ("unet", "transformer") else self.text_dtype
        if dtype == torch.float16 and family.startswith(WIDE_FAMILIES):
            return torch.bfloat16 if _has_bfloat16(self.device) else torch.float32
        return dtype


def choose_policy(
    flags: Mapping[str, Any] | None = None, cache: Path | None = None
) -> DevicePolicy:
    """Choose device and formats from A1111's flags and what the machine has.

    Known flags: `use_cpu` (list; "all" keeps everything on the CPU), `device_id`, `no_half`,
    `no_half_vae`, `precision` ("full", "half", "autocast"). `upcast_sampling` needs nothing: a
    sampler's own arithmetic is in 32 bits always.

    Without a word from the flags the format is the one that a short measurement found to be fast
    (see `precision`), kept in `cache`. Apple's GPU gets its VAE in float32, which gives no black
    pictures.

    Raises:
        UnknownDevice: `device_id` names no device of this machine.
    """
    flags = flags or {}
    device = choose_device(flags)
    if flags.get("no_half") or flags.get("precision") == "full":
        chosen = torch.float32
    elif flags.get("precision") == "half":
        chosen = torch.float16
    else:
        chosen = fast_dtype(device, device_name(device), cache)
    vae = chosen
    if flags.get("no_half_vae") or device.type == "mps":
        vae = torch.float32
    told = bool(flags.get("no_half")) or flags.get("precision") == "full"
    return DevicePolicy(device, chosen, vae, chosen, may_lower=not told)


def device_name(device: torch.device) -> str:
    """A device for people."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return {"mps": "Apple GPU", "xpu": "Intel GPU"}.get(device.type, "CPU")


def _has_bfloat16(device: torch.device) -> bool:
    """Whether a device computes in bfloat16 by itself."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    return True


def choose_device(flags: Mapping[str, Any]) -> torch.device:
    """The best device that is there, unless `use_cpu` or `device_id` say otherwise.

    Raises:
        UnknownDevice: `device_id` names no device of this machine.
    """
    parts = [str(part).lower() for part in flags.get("use_cpu") or ()]
    if "all" in parts:
        return torch.device("cpu")
    if torch.cuda.is_available():
        return torch.device("cuda", _index(flags.get("device_id"), torch.cuda.device_count()))
    xpu = getattr(torch, "xpu", None)
    if xpu is not None and xpu.is_available():
        return torch.device("xpu", _index(flags.get("device_id"), xpu.device_count()))
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def _index(wanted: Any, count: int) -> int:
    if wanted in (None, ""):
        return 0
    if not str(wanted).isdigit() or int(wanted) >= count:
        allowed = "0" if count == 1 else f"0 to {count - 1}"
        raise UnknownDevice(f"--device-id: {wanted!r} is not a device; allowed: {allowed}.")
    return int(wanted)
