"""Where in a model's networks a part of an adapter acts."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Piece:
    """Some or all outputs of one layer."""

    network: str
    """Key of `LoadedModel.networks`: "unet", "text_encoder", …"""
    module: str
    """Path of the layer in that network."""
    rows: tuple[int, int] | None = None
    """Range of its outputs; None: all of them."""


@dataclass(frozen=True)
class Target:
    """What one entry of an adapter changes: a layer, or several that its file keeps as one.

    The original layouts of some families hold query, key and value as one matrix, so that one
    adapter entry changes three layers here. The outputs of the pieces, joined in order, are the
    outputs that the adapter speaks of.
    """

    pieces: tuple[Piece, ...]
    block: str = ""
    """Where in the network it lies, for block weights: "BASE", "IN04", "MID", "OUT03", …"""

    @property
    def network(self) -> str:
        """The network of its pieces; they are all of one."""
        return self.pieces[0].network

    @property
    def is_text(self) -> bool:
        """Whether it belongs to a text encoder."""
        return self.network.startswith("text_encoder")
