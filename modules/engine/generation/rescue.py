"""The memory ladder of sampling: each rung is tried once, told to the user, and written down."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch

from modules.engine.checkpoints import NotANumberError
from modules.engine.generation.memory import free_caches, is_out_of_memory
from modules.engine.generation.pictures import InMemory, MemoryExhausted, Warn

Result = TypeVar("Result")


class Rescue:
    """Repeats work that ran out of memory, or gave NaN, with ever more sparing means.

    Out of memory: free caches; prompt and negative prompt one after the other; pictures of a batch
    one after the other. NaN: the denoising network in 32 bits.
    """

    def __init__(self, models: InMemory, warn: Warn) -> None:
        self._models = models
        self._warn = warn
        self.split_guidance = False
        """Prompt and negative prompt go through the network one after the other."""
        self.facts: dict[str, str] = {}
        """Infotext keys of what was changed."""

    def attempt(
        self, work: Callable[[], Result], smaller: Callable[[], Result] | None = None
    ) -> Result:
        """Do ``work``; on failure take the next rung and do it again.

        Args:
            smaller: the same work in smaller pieces, if there is such a thing.

        Raises:
            MemoryExhausted: no rung is left.
            NotANumberError: it is NaN in 32 bits too.
        """
        rungs = iter((self._free, self._split))
        while True:
            trouble = None
            try:
                return work()
            except NotANumberError:
                if not self._upcast():
                    raise
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                trouble = type(error).__name__
            # Out here the traceback no longer keeps the tensors of the failed try alive.
            if trouble is None:
                continue
            free_caches(self._models.current.device)
            rung = next(rungs, None)
            if rung is not None:
                rung()
                continue
            if smaller is None:
                break
            self._note("the pictures of a batch are made one after the other")
            work, smaller = smaller, None
        raise MemoryExhausted(
            "Out of memory while making the picture. Try a smaller size or batch, or close other "
            "programs."
        )

    def _free(self) -> None:
        self._warn("Memory ran out; caches were emptied and the step begun again.")

    def _split(self) -> None:
        if not self.split_guidance:
            self.split_guidance = True
            self._note("prompt and negative prompt are computed one after the other")

    def _upcast(self) -> bool:
        """Switch the denoising network to float32; False when it already is."""
        network = self._models.current.networks["unet"]
        if next(network.parameters()).dtype == torch.float32:
            return False
        network.float()
        self.facts["UNet precision"] = "float32"
        self._warn("The model gave NaN in half precision and now works in float32.")
        return True

    def _note(self, change: str) -> None:
        self._warn(f"Memory ran out: {change}.")
