"""A1111's ``total_tqdm``: a progress bar on the console, which the program does not draw."""

from __future__ import annotations


class TotalTQDM:
    """Takes all calls and draws nothing."""

    def reset(self) -> None:
        """Begin."""

    def update(self) -> None:
        """One step."""

    def updateTotal(self, new_total: int) -> None:  # noqa: N802 - A1111's name
        """Another number of steps."""

    def clear(self) -> None:
        """End."""
