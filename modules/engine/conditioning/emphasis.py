"""What `(word:1.2)` does to text states: A1111's emphasis modes."""

from __future__ import annotations

import torch

ORIGINAL = "Original"
NO_NORM = "No norm"
IGNORE = "Ignore"
NONE = "None"
MODES = (NONE, IGNORE, ORIGINAL, NO_NORM)


def apply_emphasis(states: torch.Tensor, weights: torch.Tensor, mode: str) -> torch.Tensor:
    """Scale text states [texts, tokens, width] by the weights [texts, tokens] of their tokens.

    "Original" then scales everything so that the mean of all states is what it was; the mean runs
    over all texts given, which A1111 encodes together (those of one schedule). "No norm" only
    scales. "Ignore" and "None" change nothing ("None" also reads brackets as text, elsewhere).

    Raises:
        ValueError: an unknown mode.
    """
    if mode not in MODES:
        raise ValueError(f"emphasis: {mode!r} is not one of {', '.join(MODES)}")
    if mode in (IGNORE, NONE) or bool((weights == 1).all()):
        return states
    scaled = states * weights.to(states)[..., None]
    if mode == NO_NORM:
        return scaled
    before, after = states.float().mean(), scaled.float().mean()
    # All weights 0 leave nothing to restore a mean from.
    factor = torch.where(after == 0, torch.ones_like(after), before / after)
    return scaled * factor.to(scaled)
