"""Seeds of a job's images, drawn before it is stored so that a restart repeats the pictures."""

from __future__ import annotations

import secrets

RANDOM_SEEDS = 2**32 - 1
"""Random seeds lie in 0 .. 2^32 - 2, as A1111 draws them."""


def fix_seed(seed: int) -> int:
    """The seed itself, or a random one for -1 (any negative number)."""
    return secrets.randbelow(RANDOM_SEEDS) if seed < 0 else seed


def expand_seeds(
    seed: int, subseed: int, subseed_strength: float, count: int
) -> tuple[list[int], list[int]]:
    """Seeds and variation seeds of ``count`` images.

    With a variation strength all images share the seed and only the variation seed counts up.
    """
    all_seeds = [seed if subseed_strength > 0 else seed + i for i in range(count)]
    return all_seeds, [subseed + i for i in range(count)]
