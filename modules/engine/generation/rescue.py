"""Sampling that ran out of memory, or gave NaN, is repeated with ever more sparing means."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from modules.engine.checkpoints import NotANumberError
from modules.engine.generation.ladder import InMemory, Ladder
from modules.engine.generation.memory import free_caches, is_out_of_memory
from modules.engine.generation.pictures import MemoryExhausted, Warn
from modules.engine.memory import upcast

Result = TypeVar("Result")
SPLIT, UPCAST = "prompts one by one", "UNet in 32 bits"


class Rescue:
    """The memory ladder of sampling.

    Out of memory: free caches; prompt and negative prompt one after the other; attention in slices;
    only the network that works in memory; pictures of a batch one after the other; weights layer by
    layer; 16 bits. So far as they can, these rungs give the same picture: what changes it comes
    last. NaN: the denoising network in 32 bits.
    """

    def __init__(self, models: InMemory, warn: Warn, ladder: Ladder | None = None) -> None:
        self._models = models
        self._warn = warn
        self._ladder = ladder or Ladder(models, warn)
        self.split_guidance = False
        """Prompt and negative prompt go through the network one after the other."""
        self.facts: dict[str, str] = {}
        """Infotext keys of what was changed, beside those of the ladder."""

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
        ladder, doing = self._ladder, work

        def split_batch() -> bool:
            nonlocal doing
            if smaller is None:
                return False
            doing = smaller
            ladder.take(
                "pictures one by one",
                "Memory ran out: the pictures of a batch are made one after the other.",
            )
            return True

        rungs = iter(
            (
                ladder.free,
                self._split_guidance,
                ladder.slice_attention,
                ladder.offload,
                split_batch,
                ladder.visit_layers,
                ladder.lower_precision,
            )
        )
        while True:
            try:
                with ladder.sparing():
                    return doing()
            except NotANumberError:
                if not self._upcast():
                    raise
                continue
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
            # Out here the traceback no longer keeps the tensors of the failed try alive.
            free_caches(self._models.current.device)
            if not any(rung() for rung in rungs):
                raise MemoryExhausted(
                    "Out of memory while making the picture. Try a smaller size or batch, or close "
                    "other programs."
                )

    @property
    def rungs(self) -> tuple[str, ...]:
        """What was done, in order; see :meth:`take_again`."""
        return (*self._ladder.taken, *([UPCAST] if self.facts else []))

    def take_again(self, rungs: Sequence[str]) -> None:
        """A job that was paused goes on as it was: what changes rounding is done again."""
        ways = {
            SPLIT: self._split_guidance,
            "attention in slices": self._ladder.slice_attention,
            "networks by turns": self._ladder.offload,
            "layer by layer": self._ladder.visit_layers,
            "16 bits": self._ladder.lower_precision,
            UPCAST: self._upcast,
        }
        for rung in rungs:
            if rung in ways:
                ways[rung]()
            elif rung not in self._ladder.taken:
                self._ladder.taken.append(rung)

    def _split_guidance(self) -> bool:
        if self.split_guidance:
            return False
        self.split_guidance = True
        self._ladder.take(
            SPLIT,
            "Memory ran out: prompt and negative prompt are computed one after the other.",
        )
        return True

    def _upcast(self) -> bool:
        """Switch the denoising network to float32; False when it already is."""
        if not upcast(self._models.current.networks["unet"]):
            return False
        self.facts["UNet precision"] = "float32"
        self._warn("The model gave NaN in half precision and now works in float32.")
        return True
