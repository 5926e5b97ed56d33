"""Whether prompt and negative prompt go through the network together, or one after the other.

Together is faster on GPUs and for small pictures; on a CPU with little cache it can be slower. Both
give the same picture but for rounding, and the same request must give the same bytes: the choice is
measured once per shape and kept on disk.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from pathlib import Path

import torch

from modules.engine.checkpoints import LoadedModel
from modules.engine.generation.prompts import PromptSet
from modules.settings.atomic import write_json

logger = logging.getLogger("easel.engine")

LONGEST_TRIAL = 1.5
"""Seconds of one evaluation above which nothing is measured: together is then the default, and the
measurement would cost more than it can save."""
MARGIN = 0.95
"""One after the other must take less than this share of the time to be chosen."""
ROUNDS = 3


def shape_key(model: LoadedModel, prompts: PromptSet, x: torch.Tensor) -> str:
    """Everything that the speed of an evaluation depends on."""
    rows = prompts.rows_at(0)
    tokens = ",".join(str(one.tokens) for one in rows.conditioning)
    signature = model.plan.components["unet"].signature
    dtype, threads = model.dtype, torch.get_num_threads()
    return f"{signature}|{tuple(x.shape)}|{tokens}|{dtype}|{threads}|{torch.__version__}"


class BatchingChoice:
    """Remembers per shape which way is faster on this machine."""

    def __init__(self, cache: Path | None) -> None:
        self._file = cache / "engine" / "cfg_batching.json" if cache else None
        self._known: dict[str, bool] = self._read()

    def together(self, key: str, device: torch.device, evaluate: Callable[[bool], object]) -> bool:
        """The choice for a shape, measured on first sight.

        Args:
            key: everything that the speed depends on: network, size of the latents, threads.
            evaluate: runs the network once, together (True) or one after the other.
        """
        if device.type != "cpu":
            return True
        if key not in self._known:
            self._known[key] = self._measure(evaluate)
            self._keep()
        return self._known[key]

    def _measure(self, evaluate: Callable[[bool], object]) -> bool:
        first = _seconds(evaluate, True)
        if first > LONGEST_TRIAL:
            return True
        best = {True: _seconds(evaluate, True), False: _seconds(evaluate, False)}
        for _ in range(ROUNDS - 1):
            for way in (False, True):
                best[way] = min(best[way], _seconds(evaluate, way))
        logger.info(
            "prompt and negative prompt together: %.4f s, one after the other: %.4f s",
            best[True],
            best[False],
        )
        return best[False] > MARGIN * best[True]

    def _read(self) -> dict[str, bool]:
        if self._file is None:
            return {}
        try:
            content = json.loads(self._file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        if not isinstance(content, dict):
            return {}
        return {str(key): value for key, value in content.items() if isinstance(value, bool)}

    def _keep(self) -> None:
        if self._file is None:
            return
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            write_json(self._file, self._known)
        except OSError as error:
            logger.warning("the measured batching could not be kept: %s", error)


def _seconds(evaluate: Callable[[bool], object], together: bool) -> float:
    """CPU time: other programs on the machine do not count."""
    begun = time.process_time()
    evaluate(together)
    return (time.process_time() - begun) / max(1, torch.get_num_threads())
