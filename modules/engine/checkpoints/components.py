"""The networks of a model: planned from headers, built without memory, then filled from files."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from modules.catalog.errors import UnreadableModelError, UnsupportedModelError, shown
from modules.catalog.gguf import BLOCKS
from modules.catalog.header import Header
from modules.engine.checkpoints.arena import room_for
from modules.engine.checkpoints.networks import BUILDERS
from modules.engine.checkpoints.tensor_file import (
    CARELESS,
    FLOATING,
    Care,
    TensorFile,
    copy_within,
)
from modules.engine.memory.packed import is_packed, packed_shape

Progress = Callable[[float], None]


@dataclass(frozen=True)
class Source:
    """Where a weight comes from: a tensor of a file whose header has been read, or parts of it."""

    header: Header
    tensor: str
    rows: tuple[tuple[int, int], ...] = ()
    """Ranges of rows (first axis) that are joined in this order; empty for the whole tensor. So a
    fused query, key and value are told apart, and halves change places."""
    transposed: bool = False
    """The file holds the matrix with its axes exchanged."""
    scale: str = ""
    """Tensor of one number that all are to be multiplied with (scaled fp8 files); none if empty."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the weight, as the network sees it."""
        shape = self.header.tensors[self.tensor].shape
        if self.rows:
            shape = (sum(end - begin for begin, end in self.rows), *shape[1:])
        return shape[::-1] if self.transposed else shape

    @property
    def size(self) -> int:
        """Bytes to be read."""
        entry = self.header.tensors[self.tensor]
        whole = entry.end - entry.begin
        if not self.rows:
            return whole
        return whole // max(1, entry.shape[0]) * sum(end - begin for begin, end in self.rows)

    def part(self, index: int, count: int) -> Source:
        """The rows of one of `count` equal parts.

        Raises:
            ValueError: the rows cannot be divided so.
        """
        length = self.header.tensors[self.tensor].shape[0]
        if length % count:
            raise ValueError(f"tensor {self.tensor!r} has {length} rows, not {count} equal parts")
        step = length // count
        return replace(self, rows=((index * step, (index + 1) * step),))


@dataclass(frozen=True)
class ComponentPlan:
    """One network: how to build it and where each of its weights lies."""

    kind: str
    """Key of `networks.BUILDERS`."""
    config: Mapping[str, Any]
    sources: Mapping[str, Source]
    """Name of a weight in the network to its place in a file."""
    path: Path
    """The model that is named when something is wrong."""
    part: str
    """What the network is called in messages: "UNet", "VAE", "text encoder"."""

    @property
    def signature(self) -> str:
        """Equal for networks of one shape, which can take each other's weights."""
        return f"{self.kind}:{json.dumps(self.config, sort_keys=True)}"

    @property
    def size(self) -> int:
        """Bytes to be read."""
        return sum(source.size for source in self.sources.values())


def build_empty(plan: ComponentPlan) -> torch.nn.Module:
    """The network on the meta device (no memory), checked to fit the plan's tensors exactly.

    Raises:
        UnreadableModelError: a weight is missing or has another shape.
        UnsupportedModelError: the configuration is not possible or weights are quantised.
    """
    try:
        with torch.device("meta"):
            network = BUILDERS[plan.kind](plan.config)
    except (
        ValueError,
        TypeError,
        KeyError,
        IndexError,
        ZeroDivisionError,
        AttributeError,
    ) as error:
        reason = f"its {plan.part} has an impossible configuration ({shown(str(error))})"
        raise UnsupportedModelError(plan.path, reason) from error
    check_fits(plan, network)
    return network.eval().requires_grad_(False)


def materialise(
    network: torch.nn.Module,
    dtype: torch.dtype | Mapping[str, torch.dtype],
    device: torch.device,
) -> torch.nn.Module:
    """Give a network from `build_empty` memory; its weights are not set yet.

    `dtype` may differ by weight (see `modules.engine.memory.resting`).
    """
    weights = network.state_dict()
    kinds = dict.fromkeys(weights, dtype) if isinstance(dtype, torch.dtype) else dtype
    state = room_for({name: (tuple(w.shape), kinds[name]) for name, w in weights.items()}, device)
    network.load_state_dict(state, strict=True, assign=True)
    for module in network.modules():
        for name, buffer in module.named_buffers(recurse=False):
            if buffer.device.type == "meta":
                setattr(module, name, _constant_buffer(name, buffer, device))
    return network.eval().requires_grad_(False)


def fill(
    network: torch.nn.Module,
    plan: ComponentPlan,
    progress: Progress | None = None,
    *,
    care: Care = CARELESS,
    only: Collection[str] | None = None,
    touched: set[str] | None = None,
) -> None:
    """Read the weights of the plan into the network, converting number formats.

    Args:
        progress: hears the fraction of this network's bytes that has been read.
        only: read these weights and no others.
        touched: gets the name of every weight before it is overwritten.

    Raises:
        UnreadableModelError: a file ended early, cannot be read, or is another one by now; the
            network is then half old, half new.
    """
    weights = network.state_dict()
    order = [
        (name, source) for name, source in _in_file_order(plan) if only is None or name in only
    ]
    done, total = 0, max(1, sum(source.size for _, source in order))
    with contextlib.ExitStack() as stack:
        files: dict[Path, TensorFile] = {}
        for name, source in order:
            path = source.header.path
            if path not in files:
                files[path] = stack.enter_context(TensorFile(source.header, care))
            if touched is not None:
                touched.add(name)
            read_source(files[path], source, weights[name])
            done += source.size
            if progress is not None:
                progress(done / total)
        for file in files.values():
            file.check_unchanged()


def read_half(source: Source) -> torch.Tensor:
    """One weight from its file in float16, on the CPU.

    Raises:
        UnreadableModelError: it cannot be read.
    """
    weight = torch.empty(source.shape, dtype=torch.float16)
    with TensorFile(source.header) as file:
        read_source(file, source, weight)
    return weight


def read_source(file: TensorFile, source: Source, destination: torch.Tensor) -> None:
    """Fill `destination` with one weight from its open file.

    Raises:
        UnreadableModelError: the file ended early, cannot be read or holds NaN.
    """
    if is_packed(destination):
        with torch.no_grad():
            file.read_blocks(source.tensor, destination, source.rows)
        return
    if not source.scale:
        file.read_into(source.tensor, destination, rows=source.rows, transposed=source.transposed)
        return
    scale = file.get(source.scale).float().reshape(())
    # In full: eight bits cannot be multiplied where they are.
    whole = torch.empty(destination.shape, dtype=torch.float32)
    file.read_into(source.tensor, whole, rows=source.rows, transposed=source.transposed)
    with torch.no_grad():
        copy_within(destination, whole.mul_(scale))


def _in_file_order(plan: ComponentPlan) -> Iterator[tuple[str, Source]]:
    def place(item: tuple[str, Source]) -> tuple[str, int, tuple[tuple[int, int], ...]]:
        source = item[1]
        return (
            str(source.header.path),
            source.header.tensors[source.tensor].begin,
            source.rows,
        )

    yield from sorted(plan.sources.items(), key=place)


def check_fits(plan: ComponentPlan, network: torch.nn.Module) -> None:
    """Check that a plan has exactly the weights of a network, in shapes and number formats.

    Raises:
        UnreadableModelError: a weight is missing or has another shape.
        UnsupportedModelError: there are weights too many, or they are quantised.
    """
    expected = network.state_dict()
    missing = [name for name in expected if name not in plan.sources]
    if missing:
        raise UnreadableModelError(
            plan.path, f"its {plan.part} lacks {_some(missing)} of {len(expected)} weights"
        )
    surplus = [name for name in plan.sources if name not in expected]
    if surplus:
        raise UnsupportedModelError(
            plan.path, f"its {plan.part} has weights that do not belong there: {_some(surplus)}"
        )
    for name, weight in expected.items():
        source = plan.sources[name]
        own = packed_shape(source) if _stays_packed(source, weight) else source.shape
        if _core(own) != _core(tuple(weight.shape)):
            raise UnreadableModelError(
                plan.path,
                f"its {plan.part} has {shown(source.tensor)!r} of shape {list(source.shape)}, "
                f"expected {list(weight.shape)}",
            )
        dtype = source.header.tensors[source.tensor].dtype
        if dtype not in FLOATING and dtype not in BLOCKS:
            raise UnsupportedModelError(
                plan.path, f"its {plan.part} is quantised ({dtype}), which is not supported yet"
            )


def _stays_packed(source: Source, weight: torch.Tensor) -> bool:
    """Whether a weight rests in the blocks of its file."""
    return is_packed(weight) and source.header.tensors[source.tensor].dtype in BLOCKS


def _core(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(length for length in shape if length != 1)


def _some(names: list[str]) -> str:
    listed = ", ".join(repr(shown(name)) for name in names[:3])
    return listed if len(names) <= 3 else f"{listed} and {len(names) - 3} more"


def _constant_buffer(name: str, buffer: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Buffers that files do not carry; CLIP's row of position numbers is the only one known."""
    if name != "position_ids":
        raise RuntimeError(f"buffer {name!r} has no known value")
    return torch.arange(buffer.shape[-1], device=device).expand(buffer.shape)
