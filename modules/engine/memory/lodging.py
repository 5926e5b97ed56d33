"""Bring weights to where they compute for as long as they are needed, and send them home again.

A network's own tensors are exchanged, never copied back: what rests at home stays valid, so going
home costs nothing. Whoever changes weights in place may do so at any time; what was changed while
a network is away is taken home with it. torch's own hooks are used and not accelerate's, because
these leave a network without weights between its calls (nothing could be refilled or merged into
it) and do not send them home when a call fails, which is when the memory ladder needs it most.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from modules.engine.memory.forms import DISK, FP8, WeightForm
from modules.engine.memory.heap import trim_heap
from modules.engine.memory.packed import Product, formats_within
from modules.engine.memory.visit import Visit, converted, on_device

Refill = Callable[[], None]
ReadOne = Callable[[str], Tensor]
"""Reads one weight from its file, in 16 bits or more, on the CPU."""
_EIGHT_BIT_LAYERS = (torch.nn.Linear, torch.nn.Conv2d)
_ATTRIBUTE = "easel_lodging"


class Stage:
    """The device, on which one network at a time has its turn. One per model manager."""

    def __init__(self) -> None:
        self.present: Lodging | None = None
        self.resident = 0
        """Bytes of weights that were brought and are there now."""
        self.most = 0
        """The largest `resident` there has been."""

    def enter(self, lodging: Lodging) -> None:
        """Give a network its turn; the one before it goes home first."""
        if self.present is lodging:
            return
        self.clear()
        if lodging.form.device.type == "cpu":
            trim_heap()  # of what the one before it has worked with
        lodging.bring()
        self.present = lodging

    def clear(self) -> None:
        """Send home whoever is there."""
        present, self.present = self.present, None
        if present is not None:
            present.send_home()

    def count(self, change: int) -> None:
        """So many bytes more are on the device."""
        self.resident += change
        self.most = max(self.most, self.resident)


class Lodging:
    """How one network is kept; see `lodge`."""

    def __init__(self, network: torch.nn.Module, stage: Stage) -> None:
        self.form = WeightForm.plain(torch.device("cpu"), torch.float32)
        self.stage = stage
        self.refill: Refill | None = None
        self.read_one: ReadOne | None = None
        self.blocks: dict[str, str] = {}
        """Names of the weights that may rest in blocks, and the formats of these."""
        self.products: dict[str, list[Product]] = {}
        """What adapters add to weights that rest in blocks, by the weights' names."""
        self._halves: dict[str, Tensor] = {}
        self._network = network
        self._away: list[_Away] = []
        self._hooks: list[torch.utils.hooks.RemovableHandle] = []

    def settle(self, form: WeightForm) -> None:
        """Take a network that has just been filled, in its resting formats, into this form."""
        self.close()
        self.form, self.blocks = form, dict(form.blocks)
        self._halves.clear()
        if form.way == "network":
            self._take_turns()
        if form.way == "layer" or form.fp8 or form.blocks:
            self._visit_layers()
        if form.home == DISK:
            self._away = self._all_of_it()
            self._drop()

    def close(self) -> None:
        """Weights at home and no hooks; a network that rests on disk is read."""
        if self.form.home == DISK:
            self.wake()
            self._away.clear()
        if self.stage.present is self:
            self.stage.clear()
        for hook in self._hooks:
            hook.remove()
        self._hooks.clear()

    def wake(self) -> None:
        """Make sure that the weights are in memory, to be read or changed."""
        if self.form.home == DISK:
            self.stage.enter(self)

    def reform(self, form: WeightForm) -> None:
        """Go over to another form, with the weights that are there now."""
        self.close()
        kinds = resting(self._network, form)
        home = _filled(form.home, form.device)
        for name, table, key in _tensors(self._network):
            weight = table[key]
            table[key] = _like(weight, converted(weight, home, kinds.get(name, weight.dtype)))
        self.settle(form)

    def exact(self, name: str) -> Tensor | None:
        """A weight before it was rounded to eight bits; see `exact_weight`."""
        if not self.form.halves or self.read_one is None:
            return None
        if name not in self._halves:
            shape = self._network.get_parameter(name).shape
            self._halves[name] = self.read_one(name).reshape(shape)
        return self._halves[name]

    # -- a turn of the whole network ------------------------------------------------------------

    def bring(self) -> None:
        """Bring all weights to the device."""
        if self.form.way != "network" or (self._away and self.form.home != DISK):
            return
        with torch.inference_mode(False), torch.no_grad():
            # Not in inference mode: changes of such tensors cannot be told.
            try:
                if self.form.home == DISK:
                    self._read()
                else:
                    self._fetch()
            except BaseException:
                self.send_home()
                raise

    def send_home(self) -> None:
        """Let go of what is on the device."""
        if self.form.home == DISK:
            if not any(one.changed for one in self._away):
                self._drop()
            return
        with torch.inference_mode(False), torch.no_grad():
            for one in self._away:
                self.stage.count(-one.size)
                if one.table.get(one.key) is None:
                    continue  # somebody has taken it out
                if one.changed:
                    one.take_home()
                one.table[one.key] = one.home
        self._away.clear()

    def _fetch(self) -> None:
        for _name, table, key in _tensors(self._network):
            home = table[key]
            copy = home.to(self.form.device, copy=True)
            table[key] = copy
            self._away.append(_Away(table, key, home, copy))
            self.stage.count(self._away[-1].size)

    def _read(self) -> None:
        """From disk; buffers that no file carries never left."""
        if any(one.copy is not None for one in self._away):
            return
        from modules.engine.checkpoints.arena import room_for  # it is above this room

        assert self.refill is not None
        wanted = {
            str(number): (tuple(one.home.shape), one.home.dtype)
            for number, one in enumerate(self._away)
        }
        room = room_for(wanted, self.form.device)
        for number, one in enumerate(self._away):
            one.table[one.key] = _like(one.home, room[str(number)])
            one.copy = one.table[one.key]
            self.stage.count(one.size)
        self.refill()
        for one in self._away:
            one.version = one.copy._version

    def _all_of_it(self) -> list[_Away]:
        """Every weight that files carry; `home` is its shape and format without memory."""
        found = []
        for _name, table, key in _tensors(self._network, of_files=True):
            weight = table[key]
            found.append(_Away(table, key, _like(weight, weight.to("meta")), weight))
            self.stage.count(found[-1].size)
        return found

    def _drop(self) -> None:
        for one in self._away:
            if one.copy is not None:
                one.table[one.key] = _like(one.copy, one.home)
                one.copy = None
                self.stage.count(-one.size)

    def _take_turns(self) -> None:
        def begin(
            module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
        ) -> tuple[tuple[Any, ...], dict[str, Any]]:
            self.stage.enter(self)
            return on_device(args, kwargs, self.form.device)

        # A VAE is called by its parts.
        for module in (self._network, *self._network.children()):
            self._hooks.append(module.register_forward_pre_hook(begin, with_kwargs=True))

    # -- layer by layer -------------------------------------------------------------------------

    def _visit_layers(self) -> None:
        def begin(
            module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
        ) -> tuple[tuple[Any, ...], dict[str, Any]]:
            self.stage.enter(self)
            return on_device(args, kwargs, self.form.device)

        if self.form.way == "layer":
            self._hooks.append(self._network.register_forward_pre_hook(begin, with_kwargs=True))
        for name, module in self._network.named_modules():
            packed = formats_within(name, self.blocks, module)
            if packed or self._visited(module):
                visit = Visit(module, self.form, self.stage, packed, self._products_of(name))
                enter = module.register_forward_pre_hook(visit.enter, with_kwargs=True)
                leave = module.register_forward_hook(visit.leave, always_call=True)
                self._hooks += [enter, leave]

    def _products_of(self, prefix: str) -> Callable[[str], Sequence[Product]]:
        return lambda key: self.products.get(f"{prefix}.{key}" if prefix else key, ())

    def _visited(self, module: torch.nn.Module) -> bool:
        own = [
            t for t in (*module._parameters.values(), *module._buffers.values()) if t is not None
        ]
        if self.form.way == "layer" and self.form.home != self.form.device:
            return bool(own)
        return any(t.is_floating_point() and t.dtype != self.form.dtype for t in own) or (
            self.form.way == "layer" and bool(own) and self.form.rest == self.form.dtype
        )


class _Away:
    """One tensor that is where it computes, and what rests at home meanwhile."""

    __slots__ = ("copy", "home", "key", "size", "table", "version")

    def __init__(self, table: dict[str, Any], key: str, home: Tensor, copy: Tensor | None) -> None:
        self.table, self.key, self.home, self.copy = table, key, home, copy
        self.version = 0 if copy is None else copy._version
        self.size = home.numel() * home.element_size()

    @property
    def changed(self) -> bool:
        """Whether somebody wrote into it, or put another tensor in its place."""
        if self.copy is None:
            return False
        if self.table[self.key] is not self.copy:
            self.copy = self.table[self.key]
            return True
        return self.copy._version != self.version

    def take_home(self) -> None:
        """Keep what somebody made of it; a quantised weight may have been unfolded, or folded."""
        assert self.copy is not None
        if self.copy.dtype == self.home.dtype:
            self.home.copy_(self.copy)
        else:
            self.home = _like(self.home, self.copy.to(self.home.device))


def lodge(
    network: torch.nn.Module,
    form: WeightForm,
    stage: Stage,
    refill: Refill | None = None,
    read_one: ReadOne | None = None,
) -> Lodging:
    """Keep a network in this form from now on. Its weights are filled and in their resting formats
    (see `resting`); call it again after they were filled anew.

    Args:
        refill: fills the network's tensors from its files; needed if it rests on disk.
        read_one: reads one weight by its name; needed if weights are kept in 16 bits too.
    """
    lodging = lodging_of(network)
    if lodging is None:
        lodging = Lodging(network, stage)
        object.__setattr__(network, _ATTRIBUTE, lodging)
    lodging.stage = stage
    lodging.settle(form)
    lodging.refill, lodging.read_one = refill, read_one
    return lodging


def lodging_of(network: torch.nn.Module) -> Lodging | None:
    """How a network is kept; None for one that was never lodged."""
    return getattr(network, _ATTRIBUTE, None)


def form_of(network: torch.nn.Module) -> WeightForm:
    """The form that a network is in now."""
    lodging = lodging_of(network)
    if lodging is not None and lodging.form.moves:
        return lodging.form
    weight = next(network.parameters(), torch.empty(0))
    return WeightForm.plain(weight.device, weight.dtype)


def wake(network: torch.nn.Module) -> None:
    """Make sure that a network's weights are in memory, wherever: to be read or changed."""
    lodging = lodging_of(network)
    if lodging is not None:
        lodging.wake()


def exact_weight(network: torch.nn.Module, name: str) -> Tensor | None:
    """The checkpoint's own weight where what rests in the network is a rounded one; None where
    nothing better is kept (A1111's setting `cache_fp16_weight`)."""
    lodging = lodging_of(network)
    return None if lodging is None else lodging.exact(name)


def upcast(network: torch.nn.Module) -> bool:
    """Make a network compute in float32 from now on; False when it does already."""
    lodging = lodging_of(network)
    form = form_of(network)
    if form.dtype == torch.float32:
        return False
    if lodging is None or not lodging.form.moves:
        network.float()
        return True
    rest = form.rest if form.way == "layer" else torch.float32
    lodging.reform(replace(form, dtype=torch.float32, rest=rest))
    return True


def resting(network: torch.nn.Module, form: WeightForm) -> dict[str, torch.dtype]:
    """Name of each weight to the number format that it rests in.

    A network's first weight rests in the working format: diffusers' classes tell their format, and
    so what they want to be given, by it. "wo" is a layer of T5 that reads its weight's format.
    """
    eighth = set()
    if form.fp8:
        eighth = {
            f"{name}.weight"
            for name, module in network.named_modules()
            if isinstance(module, _EIGHT_BIT_LAYERS) and name.rsplit(".", 1)[-1] != "wo"
        }
    first = next((name for name, w in network.named_parameters() if w.is_floating_point()), "")
    kinds = {}
    for name, weight in network.state_dict().items():
        if not weight.is_floating_point():
            kinds[name] = weight.dtype
        elif name == first:
            kinds[name] = form.dtype
        else:
            kinds[name] = FP8 if name in eighth else form.rest
    return kinds


def _tensors(
    network: torch.nn.Module, *, of_files: bool = False
) -> list[tuple[str, dict[str, Any], str]]:
    """(name, table, key) of every tensor of a network."""
    found = []
    for prefix, module in network.named_modules():
        passing = module._non_persistent_buffers_set if of_files else ()
        for table in (module._parameters, module._buffers):
            for key, tensor in table.items():
                if tensor is not None and key not in passing:
                    found.append((f"{prefix}.{key}" if prefix else key, table, key))
    return found


def _filled(home: torch.device, device: torch.device) -> torch.device:
    """Where weights are put before they rest."""
    return device if home == DISK else home


def _like(old: Tensor, new: Tensor) -> Tensor:
    """`new` as a parameter if `old` is one."""
    if isinstance(old, torch.nn.Parameter) and not isinstance(new, torch.nn.Parameter):
        return torch.nn.Parameter(new, requires_grad=False)
    return new
