"""Where the weights of a network rest, and where and in which number format they compute."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import torch

from modules.engine.device import DevicePolicy
from modules.engine.memory.packed import Blocks, blocks_of

if TYPE_CHECKING:
    from modules.engine.checkpoints.components import ComponentPlan
    from modules.engine.checkpoints.families.base import ModelPlan

Way = Literal["stay", "network", "layer"]
"""How weights come to where they compute: they are there; a network as a whole for its turn; each
layer for its own call."""

SD3_T5 = "text_encoder_3"
FP8 = torch.float8_e4m3fn
FP8_LARGEST = 448.0
DISK = torch.device("meta")
"""Weights that rest nowhere in memory: they are read from their file again."""
_HALVES = {"F16": torch.float16, "BF16": torch.bfloat16}


@dataclass(frozen=True)
class WeightForm:
    """How one network is kept."""

    device: torch.device
    """Where it computes."""
    dtype: torch.dtype
    """In what it computes."""
    home: torch.device
    """Where its weights rest between two uses."""
    rest: torch.dtype
    """In what they rest there; never loses anything of `dtype` or of the file."""
    way: Way = "stay"
    fp8: bool = False
    """Weights of linear layers and convolutions rest in eight bits."""
    halves: bool = False
    """Those that adapters change are kept in 16 bits too, to be computed from."""
    blocks: Blocks = ()
    """Weights that rest in the blocks of their quantised file."""

    @classmethod
    def plain(cls, device: torch.device, dtype: torch.dtype) -> WeightForm:
        """The usual form: the weights are where and in what they compute."""
        return cls(device, dtype, device, dtype)

    @property
    def moves(self) -> bool:
        """Whether weights have to be brought into their working form for each use."""
        return self.way != "stay" or self.fp8 or bool(self.blocks)


@dataclass(frozen=True)
class MemorySettings:
    """What flags and settings say about memory."""

    medvram: bool = False
    medvram_sdxl: bool = False
    lowvram: bool = False
    fp8_storage: str = "Disable"
    cache_fp16: bool = False
    """Keep 16-bit weights in RAM beside the eight-bit ones, for adapters to be added to."""
    sd3_t5: bool = True
    """SD3 uses its biggest text encoder where it is there (A1111's `sd3_enable_t5`)."""

    @classmethod
    def of(cls, flags: Mapping[str, Any], options: Mapping[str, Any]) -> MemorySettings:
        """From A1111's flags `medvram`, `medvram_sdxl`, `lowvram` and its settings `fp8_storage`
        and `cache_fp16_weight`."""
        return cls(
            medvram=bool(flags.get("medvram")),
            medvram_sdxl=bool(flags.get("medvram_sdxl")),
            lowvram=bool(flags.get("lowvram")),
        ).with_options(options)

    def with_options(self, options: Mapping[str, Any]) -> MemorySettings:
        """The same flags with other settings."""
        return replace(
            self,
            fp8_storage=str(options.get("fp8_storage") or "Disable"),
            cache_fp16=bool(options.get("cache_fp16_weight", False)),
            sd3_t5=bool(options.get("sd3_enable_t5", True)),
        )

    def spared(self, plan: ModelPlan) -> ModelPlan:
        """The plan without what the settings leave out; it says so in `left_out`."""
        if self.sd3_t5 or plan.family != "sd3" or SD3_T5 not in plan.components:
            return plan
        kept = {name: one for name, one in plan.components.items() if name != SD3_T5}
        return replace(plan, components=kept, left_out=(SD3_T5,))

    def suits(self, plan: ModelPlan) -> bool:
        """Whether a loaded plan has the components that the settings want now."""
        if plan.family != "sd3":
            return True
        return not plan.left_out if self.sd3_t5 else SD3_T5 not in plan.components

    def way(self, family: str) -> Way:
        """How the networks of a family come to the device."""
        if self.lowvram:
            return "layer"
        if self.medvram or (self.medvram_sdxl and is_sdxl(family)):
            return "network"
        return "stay"

    def in_fp8(self, family: str) -> bool:
        """Whether a family's weights rest in eight bits."""
        return self.fp8_storage == "Enable" or (
            self.fp8_storage == "Enable for SDXL" and is_sdxl(family)
        )

    def form(self, policy: DevicePolicy, family: str, name: str, plan: ComponentPlan) -> WeightForm:
        """The form of the network `name` of a model."""
        device, dtype = policy.device, policy.dtype_of(name, family)
        way = self.way(family)
        if way == "layer" and name == "vae":
            way = "network"  # each of its layers is used once per picture
        blocks = blocks_of(plan)
        # What is quantised already is as small as it was meant to be.
        fp8 = not blocks and name != "vae" and device.type != "mps" and self.in_fp8(family)
        return WeightForm(
            device=device,
            dtype=dtype,
            home=home_of(device, way),
            rest=rest_of(device, dtype, way, plan),
            way=way,
            fp8=fp8,
            halves=fp8 and self.cache_fp16,
            blocks=blocks,
        )


def is_sdxl(family: str) -> bool:
    """Whether a family is Stable Diffusion XL, its refiner or a descendant of its shape."""
    return family.startswith("sdxl")


def home_of(device: torch.device, way: Way) -> torch.device:
    """Where weights rest. Beside a GPU that is the RAM; without one it is the file."""
    if way == "stay" or (way == "layer" and device.type == "cpu"):
        return device
    return DISK if device.type == "cpu" else torch.device("cpu")


def rest_of(device: torch.device, dtype: torch.dtype, way: Way, plan: ComponentPlan) -> torch.dtype:
    """In what weights rest: on a CPU that works layer by layer, in the 16 bits of their file."""
    if way != "layer" or device.type != "cpu" or dtype != torch.float32:
        return dtype
    kinds = {source.header.tensors[source.tensor].dtype for source in plan.sources.values()}
    return _HALVES.get(kinds.pop(), dtype) if len(kinds) == 1 else dtype
