"""Adapters merged into a model's resident weights, the originals kept beside them.

Merged weights cost nothing while pictures are made, whatever the number of adapters. The originals
of the weights that are changed stay in memory; putting them back gives the same bytes as before.
Only what differs from the last call is worked on: a weight whose adapters and strengths are the
same stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence

import torch
from torch import Tensor

from modules.engine.adapters.groups import Group, Parts, Strength, Use, groups_of
from modules.engine.adapters.hypernetwork_hooks import (
    Hypernetwork,
    HypernetworkHooks,
    hypernetworks_key,
)
from modules.engine.adapters.layer_work import (
    Layer,
    Place,
    add,
    add_product,
    joined,
    kept,
    scale_bias,
)
from modules.engine.adapters.quantised import (
    hollow_layer,
    lend,
    lent_bytes,
    products_of,
    resting_format,
    rests_in_blocks,
    take_back,
    whole_weight,
)
from modules.engine.memory import Product, exact_weight, is_packed, wake

__all__ = ["ModelAdapters", "Strength", "Use"]


class ModelAdapters:
    """The adapters of one loaded model. One thread works with it."""

    def __init__(self, networks: Mapping[str, torch.nn.Module]) -> None:
        self._networks = networks
        self._originals: dict[tuple[str, str, str], Tensor | None] = {}
        """By network, layer and "weight" or "bias"; None for a bias that was not there."""
        self._merged: dict[Place, Parts] = {}
        self._text: Hashable = ()
        self._hypernetworks = HypernetworkHooks(networks["unet"])
        self.before_change: list[Callable[[str], None]] = []
        """Called with a network's key before its weights change, as copies become stale."""

    @property
    def text_key(self) -> Hashable:
        """Equal while the text encoders have the same weights: part of the key of cached texts."""
        return self._text

    @property
    def active(self) -> bool:
        """Whether the model differs from the checkpoint."""
        return bool(self._originals) or bool(self._hypernetworks.key)

    @property
    def bytes(self) -> int:
        """Bytes of memory that are kept beside the weights: originals, and what is lent to them."""
        originals = sum(one.nbytes for one in self._originals.values() if one is not None)
        return originals + sum(lent_bytes(network) for network in self._networks.values())

    def apply(self, uses: Sequence[Use]) -> None:
        """Make the weights those of the checkpoint with exactly these adapters, in this order.

        Raises:
            RuntimeError: memory ran out; the weights are the checkpoint's then.
        """
        with torch.inference_mode(False), torch.no_grad():
            try:
                self._apply(uses)
            except BaseException:
                self._restore(tuple(self._merged))
                raise

    def set_hypernetworks(self, wanted: Sequence[tuple[Hypernetwork, float]]) -> None:
        """Bring exactly these hypernetworks into force, at these strengths, in this order."""
        if self._hypernetworks.key != hypernetworks_key(wanted):
            self._tell("unet", set())
            self._hypernetworks.apply(wanted)

    def remove_all(self) -> None:
        """Give the checkpoint's weights back, bit for bit, and free what was kept of them."""
        self.set_hypernetworks(())
        with torch.inference_mode(False), torch.no_grad():
            self._restore(tuple(self._merged))

    # -- merging --------------------------------------------------------------------------------

    def _apply(self, uses: Sequence[Use]) -> None:
        groups = groups_of(uses)
        wanted = {place for group in groups for place in group.places}
        told: set[str] = set()
        self._restore([place for place in self._merged if place not in wanted], told)
        for group in groups:
            if any(self._merged.get(place) != group.key for place in group.places):
                self._tell(group.places[0][0], told)
                self._merge(group)
        self._text = tuple(
            (use.adapter.key, use.strength.key())
            for use in uses
            if use.adapter.touches_text and use.strength.text
        )

    def _merge(self, group: Group) -> None:
        """Compute the weights of some layers from their originals and write them."""
        if any(rests_in_blocks(self._networks[network], path) for network, path in group.places):
            self._restore(group.places, {group.places[0][0]})
            if self._lend(group):
                return
        work: dict[Place, Layer] = {}
        for place in group.places:
            # Noted before anything is written: whatever happens, it can be put back.
            self._merged[place] = ()
            work[place] = self._layer(place)
        for part, strength, rank in group.parts:
            weight = joined(part.target.pieces, work)
            change = part.change(weight, rank)
            if change.product is not None:
                add_product(part.target.pieces, work, change.product, strength)
            if change.weight is not None:
                add(part.target.pieces, work, change.weight, strength, "weight")
            if change.bias_factor is not None:
                scale_bias(part.target.pieces, work, change.bias_factor, strength)
            if change.bias is not None:
                add(part.target.pieces, work, change.bias, strength, "bias")
        for place, layer in work.items():
            self._write(place, layer)
            self._merged[place] = group.key

    def _lend(self, group: Group) -> bool:
        """Leave what is added to quantised weights in thin matrices; False where it has none."""
        networks = self._networks
        if not all(rests_in_blocks(networks[network], path) for network, path in group.places):
            return False
        work = {(name, path): hollow_layer(networks[name], path) for name, path in group.places}
        lent: dict[Place, list[Product]] = {place: [] for place in group.places}
        for part, strength, rank in group.parts:
            if not part.is_thin:
                return False
            change = part.change(joined(part.target.pieces, work), rank)
            if change.weight is not None:
                return False
            if change.product is not None:
                pieces = part.target.pieces
                for place, product in products_of(pieces, change.product, strength, work):
                    lent[place].append(product)
            if change.bias is not None:
                add(part.target.pieces, work, change.bias, strength, "bias")
        for place, layer in work.items():
            self._merged[place] = ()
            self._write(place, layer)
            lend(networks[place[0]], place[1], lent[place])
            self._merged[place] = group.key
        return True

    def _layer(self, place: Place) -> Layer:
        """A layer's original weights in 32 bits, where they are computed with."""
        module = self._module(place)
        exact = exact_weight(self._networks[place[0]], f"{place[1]}.weight")
        if exact is None:
            exact = whole_weight(self._networks[place[0]], place[1])
        weight = self._original(place, "weight", module.weight) if exact is None else exact
        device = module.weight.device
        bias = self._original(place, "bias", getattr(module, "bias", None))
        return Layer(
            weight.to(device=device, dtype=torch.float32, copy=True),
            None if bias is None else bias.to(device=device, dtype=torch.float32, copy=True),
        )

    def _original(self, place: Place, name: str, now: Tensor | None) -> Tensor | None:
        key = (*place, name)
        if key not in self._originals:
            return now
        return self._originals[key]

    def _write(self, place: Place, layer: Layer) -> None:
        module = self._module(place)
        for name, value in (("weight", layer.weight), ("bias", layer.bias)):
            if name not in layer.changed:
                continue
            now = getattr(module, name, None)
            key = (*place, name)
            if key not in self._originals:
                self._originals[key] = None if now is None else kept(now)
            if name == "weight" and is_packed(now):
                whole = value.to(resting_format(self._networks[place[0]]))
                module.weight = torch.nn.Parameter(whole, requires_grad=False)
                continue
            dtype = (module.weight if now is None else now).dtype
            if dtype == torch.uint8:
                dtype = resting_format(self._networks[place[0]])
            if dtype.itemsize == 1:  # larger numbers would become NaN
                value = value.clamp(torch.finfo(dtype).min, torch.finfo(dtype).max)
            if now is None:
                setattr(module, name, torch.nn.Parameter(value.to(dtype), requires_grad=False))
            else:
                now.copy_(value)

    # -- putting back ---------------------------------------------------------------------------

    def _restore(self, places: Iterable[Place], told: set[str] | None = None) -> None:
        told = set() if told is None else told
        for place in places:
            self._tell(place[0], told)
            module = self._module(place)
            take_back(self._networks[place[0]], place[1])
            for name in ("weight", "bias"):
                key = (*place, name)
                if key not in self._originals:
                    continue
                original = self._originals.pop(key)
                if original is None:
                    setattr(module, name, None)
                elif is_packed(original):
                    folded = original.to(module.weight.device)
                    module.weight = torch.nn.Parameter(folded, requires_grad=False)
                else:
                    getattr(module, name).copy_(original)
            self._merged.pop(place, None)
        if not self._merged:
            self._text = ()

    def _tell(self, network: str, told: set[str]) -> None:
        if network not in told:
            told.add(network)
            wake(self._networks[network])
            for listener in self.before_change:
                listener(network)

    def _module(self, place: Place) -> torch.nn.Module:
        network, path = place
        return self._networks[network].get_submodule(path)
