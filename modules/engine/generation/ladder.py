"""The memory ladder: what one job has done to fit into memory. Each rung is taken once, told to the
user and written into the infotext."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Protocol

import torch

from modules.engine.checkpoints import LoadedModel
from modules.engine.generation.memory import free_caches, is_out_of_memory
from modules.engine.memory.attention import SlicedAttention
from modules.engine.memory.forms import WeightForm, home_of, rest_of
from modules.engine.memory.heap import trim_heap
from modules.engine.memory.lodging import Lodging, lodging_of
from modules.engine.precision import NAMES, possible

logger = logging.getLogger("easel.engine")

KEY = "Memory ladder"
"""Infotext key; its value names the rungs in the order in which they were taken."""
Warn = Callable[[str], None]


class InMemory(Protocol):
    """Whoever knows which model is in memory now."""

    current: LoadedModel

    def make_room(self) -> None:
        """Bring models that wait on the device into main memory."""


class Ladder:
    """The rungs that any work of one job may take; sampling and decoding have more of their own."""

    def __init__(self, models: InMemory, warn: Warn, *, slice_attention: bool = False) -> None:
        """
        Args:
            warn: told of every rung that is taken.
            slice_attention: setting: attention in slices from the start.
        """
        self._models = models
        self._warn = warn
        self._slicing = SlicedAttention() if slice_attention else None
        self._before: dict[Lodging, WeightForm] = {}
        self._rounded: set[Lodging] = set()
        self.taken: list[str] = []

    @property
    def facts(self) -> dict[str, str]:
        """Infotext keys of what was done."""
        return {KEY: " + ".join(self.taken)} if self.taken else {}

    def take(self, rung: str, sentence: str) -> None:
        """A rung has been taken: note it for the infotext and tell the user."""
        if rung not in self.taken:
            self.taken.append(rung)
        self._warn(sentence)

    def sparing(self) -> AbstractContextManager[object]:
        """All work goes on inside of it."""
        return self._slicing or contextlib.nullcontext()

    # -- rungs: each says whether it changed anything -------------------------------------------

    def free(self) -> bool:
        """Empty the caches and send other models off the device; what failed is begun again."""
        self._models.make_room()
        trim_heap()
        free_caches(self._models.current.device)
        self.take("caches emptied", "Memory ran out; caches were emptied and the step begun again.")
        return True

    def slice_attention(self) -> bool:
        """Attention in slices from now on."""
        if self._slicing is not None:
            return False
        self._slicing = SlicedAttention()
        self.take("attention in slices", "Memory ran out: attention is computed in slices.")
        return True

    def offload(self) -> bool:
        """Only the network that works is on the device; on a processor, in memory at all."""
        return self._reform_all(
            self._by_turns,
            "networks by turns",
            "Memory ran out: only the part of the model that works is kept in memory.",
        )

    def visit_layers(self) -> bool:
        """The denoising network's weights rest in RAM, or in 16 bits, and come layer by layer."""
        return self._reform_all(
            self._by_layers,
            "layer by layer",
            "Memory ran out: the model's weights are brought layer by layer, which takes longer.",
        )

    def lower_precision(self) -> bool:
        """Compute in 16 bits where 32 are usual, unless the user asked for these."""
        return self._reform_all(
            self._in_half,
            "16 bits",
            "Memory ran out: the model computes in 16 bits, which may take longer.",
        )

    def close(self) -> None:
        """Give the networks back in the forms in which they were found."""
        before, self._before = self._before, {}
        for lodging, form in before.items():
            try:
                with torch.inference_mode(False), torch.no_grad():
                    lodging.reform(form)
                    if lodging in self._rounded and lodging.refill is not None:
                        lodging.refill()
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                logger.warning("a network stays in its sparing form: %s", error)
        self._rounded.clear()

    # -- other forms ----------------------------------------------------------------------------

    def _reform_all(
        self,
        find: Callable[[LoadedModel, str, WeightForm], WeightForm | None],
        rung: str,
        sentence: str,
    ) -> bool:
        """Bring the networks into the forms that `find` gives; None leaves one as it is."""
        model = self._models.current
        wanted: dict[Lodging, WeightForm] = {}
        for name, network in model.networks.items():
            lodging = lodging_of(network)
            form = None if lodging is None else find(model, name, lodging.form)
            if form is not None:
                wanted[lodging] = form
        if not wanted:
            return False
        with torch.inference_mode(False), torch.no_grad():
            for lodging, form in wanted.items():
                self._before.setdefault(lodging, lodging.form)
                if form.dtype != lodging.form.dtype:
                    self._rounded.add(lodging)
                lodging.reform(form)
        free_caches(model.device)
        trim_heap()
        self.take(rung, sentence)
        return True

    def _by_turns(self, model: LoadedModel, name: str, form: WeightForm) -> WeightForm | None:
        if form.way != "stay" or model.altered(name):
            return None
        return replace(form, way="network", home=home_of(form.device, "network"))

    def _by_layers(self, model: LoadedModel, name: str, form: WeightForm) -> WeightForm | None:
        if form.way == "layer" or name == "vae":
            return None
        rest = rest_of(form.device, form.dtype, "layer", model.plan.components[name])
        home = home_of(form.device, "layer")
        if (home == form.device and rest == form.rest) or (
            rest != form.rest and model.altered(name)
        ):
            return None
        return replace(form, way="layer", home=home, rest=rest)

    def _in_half(self, model: LoadedModel, name: str, form: WeightForm) -> WeightForm | None:
        if name == "vae" or form.dtype != torch.float32 or model.altered(name):
            return None
        if not model.policy.may_lower:
            return None
        half = next((one for one in possible(form.device) if one != "float32"), None)
        if half is None:
            return None
        return replace(form, dtype=NAMES[half], rest=NAMES[half])
