"""Which device the engine works on, and in which number formats."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

logger = logging.getLogger("easel.engine")


class UnknownDevice(ValueError):  # noqa: N818 - reads as what happened
    """A flag names a device that this machine does not have."""


@dataclass(frozen=True)
class DevicePolicy:
    """Device and number formats of each part of a model."""

    device: torch.device
    unet_dtype: torch.dtype
    vae_dtype: torch.dtype
    text_dtype: torch.dtype

    @property
    def name(self) -> str:
        """The device for people: "NVIDIA H200", "Apple GPU" or "CPU"."""
        if self.device.type == "cuda":
            return torch.cuda.get_device_name(self.device)
        return {"mps": "Apple GPU", "xpu": "Intel GPU"}.get(self.device.type, "CPU")


def choose_policy(flags: Mapping[str, Any] | None = None) -> DevicePolicy:
    """Choose device and formats from A1111's flags and what the machine has.

    Known flags: `use_cpu` (list; "all" keeps everything on the CPU), `device_id`, `no_half`,
    `no_half_vae`, `precision` ("full", "half", "autocast"), `upcast_sampling`.

    A CPU computes in float32: bfloat16 took 1.1 to 2 times as long where it was measured. CUDA
    computes in float16. Apple's GPU too, but its VAE in float32, which gives no black pictures.

    Raises:
        UnknownDevice: `device_id` names no device of this machine.
    """
    flags = flags or {}
    device = choose_device(flags)
    half = torch.float16 if device.type != "cpu" else torch.float32
    if flags.get("precision") == "half":
        half = torch.float16
    if flags.get("no_half") or flags.get("precision") == "full":
        half = torch.float32
    vae = half
    if flags.get("no_half_vae") or device.type == "mps":
        vae = torch.float32
    return DevicePolicy(device, half, vae, half)


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
