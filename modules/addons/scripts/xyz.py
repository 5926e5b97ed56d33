"""X/Y/Z plot: one picture for each combination of three axes' values, and grids of them."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from modules.addons.scripts.axes import Axis, axes_for, find_axis
from modules.gallery.errors import GalleryError
from modules.gallery.infotext import quote
from modules.gallery.labelled_grid import Legend, check_size, labelled_grid
from modules.requests.errors import RequestError
from modules.requests.generation import SEED_MAX, GenerationRequest
from modules.requests.plans import (
    Batch,
    Outcome,
    Plan,
    PlannedScript,
    Tools,
    Unit,
    UnitResult,
)
from modules.requests.scripts import ScriptArgument

MOST_CELLS = 2000
SEED_AXES = ("Seed", "Var. seed")


@dataclass(frozen=True)
class AxisValues:
    """One axis with the values that it takes."""

    axis: Axis
    values: tuple[Any, ...]
    text: str
    """The values as they were typed, for the infotext."""

    @property
    def legends(self) -> list[str]:
        """One label per value."""
        return [self.axis.legend(value) for value in self.values]


@dataclass(frozen=True)
class Plot:
    """What is asked for, read from the arguments."""

    x: AxisValues
    y: AxisValues
    z: AxisValues
    draw_legend: bool
    lone_images: bool
    sub_grids: bool
    keep_random: bool
    vary: tuple[bool, bool, bool]
    """Whether the seed grows along x, y, z."""
    margin: int
    as_csv: bool

    @property
    def axes(self) -> tuple[AxisValues, AxisValues, AxisValues]:
        """All three."""
        return self.x, self.y, self.z

    @property
    def places(self) -> list[tuple[int, int, int]]:
        """The cells (x, y, z) in the order in which they are painted: dear axes change last."""
        order = sorted(range(3), key=lambda number: (-self.axes[number].axis.cost, -number))
        counts = [range(len(axis.values)) for axis in self.axes]
        found = []
        for combined in product(*(counts[number] for number in order)):
            place = dict(zip(order, combined, strict=True))
            found.append((place[0], place[1], place[2]))
        return found

    @classmethod
    def read(cls, kind: str, values: Sequence[Any], tools: Tools) -> Plot:
        """Read ``script_args`` in A1111's order.

        Raises:
            RequestError: an axis is unknown, or a value cannot be used.
        """
        axes = [_axis(kind, *values[start : start + 3], tools) for start in (0, 3, 6)]
        margin = values[16]
        if isinstance(margin, bool) or not isinstance(margin, (int, float)):
            raise RequestError("script_args", margin, "The margin is a number of pixels.")
        plot = cls(
            x=axes[0],
            y=axes[1],
            z=axes[2],
            draw_legend=bool(values[9]),
            lone_images=bool(values[10]),
            sub_grids=bool(values[11]),
            keep_random=bool(values[12]),
            vary=(bool(values[13]), bool(values[14]), bool(values[15])),
            margin=max(0, min(500, int(margin))),
            as_csv=bool(values[17]),
        )
        cells = len(plot.places)
        if cells > MOST_CELLS:
            raise RequestError(
                "script_args", cells, f"{cells} cells; allowed: {MOST_CELLS} in one plot."
            )
        return plot

    def with_fixed_seeds(self, base: GenerationRequest, tools: Tools) -> Plot:
        """-1 on a seed axis becomes one seed for all its cells, unless it is to stay."""
        if self.keep_random:
            return self
        fixed = {
            name: _fixed(held, base, tools) for name, held in zip("xyz", self.axes, strict=True)
        }
        return replace(self, **fixed)

    def request(
        self, base: GenerationRequest, place: tuple[int, int, int], tools: Tools
    ) -> GenerationRequest:
        """The request of one cell, its seeds fixed."""
        request = base
        if self.keep_random and tools.seed_was_random:
            request = base.model_copy(update={"seed": -1})
        for held, number in _pairs(self, place):
            request = held.axis.apply(request, held.values[number], held.values)
        seeds = {}
        for name in ("seed", "subseed"):
            value = getattr(request, name)
            seeds[name] = tools.draw_seed(base, name, *place) if value < 0 else value
        seeds["seed"] = min(seeds["seed"] + self._further(place), SEED_MAX)
        return request.model_copy(update={**seeds, "do_not_save_grid": True})

    def _further(self, place: tuple[int, int, int]) -> int:
        """What is added to the seed where it varies along the axes."""
        further, step = 0, 1
        for held, number, varies in zip(self.axes, place, self.vary, strict=True):
            if varies:
                further += number * step
                step *= len(held.values)
        return further

    def label(self, place: tuple[int, int, int]) -> str:
        """What one cell is, for the progress line."""
        return ", ".join(filter(None, (held.legends[n] for held, n in _pairs(self, place))))


def plan(request: GenerationRequest, values: list[Any], tools: Tools) -> Plan:
    """Paint all cells; then one grid per value of z, and one of these if z has several."""
    plot = Plot.read(request.kind, values, tools).with_fixed_seeds(request, tools)
    _check_sheet(plot, request, tools)
    places = plot.places
    units = tuple(Unit(plot.request(request, place, tools), plot.label(place)) for place in places)
    results = yield Batch(units)
    cells = dict(zip(places, results, strict=True))
    return _outcomes(plot, cells, tools)


def _outcomes(
    plot: Plot, cells: dict[tuple[int, int, int], UnitResult], tools: Tools
) -> list[Outcome]:
    if not any(result.pictures for result in cells.values()):
        return []
    text = _infotext(plot, cells)
    options = tools.options
    sheets = []
    for z in range(len(plot.z.values)):
        shown = [
            _first(cells[x, y, z])
            for y in range(len(plot.y.values))
            for x in range(len(plot.x.values))
        ]
        if any(shown):
            legend = Legend(plot.x.legends, plot.y.legends)
            sheet = labelled_grid(shown, legend, options, plot.margin, draw_legend=plot.draw_legend)
            sheets.append((plot.z.legends[z], sheet))
    outcomes = []
    if len(plot.z.values) > 1:
        legend = Legend([label for label, _ in sheets], [""])
        whole = labelled_grid(
            [sheet for _, sheet in sheets],
            legend,
            options,
            plot.margin,
            draw_legend=plot.draw_legend,
        )
        outcomes.append(Outcome("xyz_grid", whole, infotext=text))
    if len(sheets) == 1 or plot.sub_grids:
        outcomes += [Outcome("xyz_grid", sheet, infotext=text) for _, sheet in sheets]
    return [*outcomes, Outcome("xyz_grid", data=_table(plot, cells), suffix=".csv")]


def _first(result: UnitResult) -> Any:
    return result.pictures[0].image() if result.pictures else None


def _infotext(plot: Plot, cells: dict[tuple[int, int, int], UnitResult]) -> str:
    """The first picture's text with the axes behind it, in A1111's keys."""
    first = next(result.pictures[0] for result in cells.values() if result.pictures)
    parts = ["Script: X/Y/Z plot"]
    for name, held in zip("XYZ", plot.axes, strict=True):
        if held.axis.label == "Nothing":
            continue
        parts.append(f"{name} Type: {quote(held.axis.label)}")
        parts.append(f"{name} Values: {quote(held.text)}")
        if held.axis.label in SEED_AXES and not plot.keep_random:
            fixed = ", ".join(map(str, held.values))
            parts.append(f"Fixed {name} Values: {quote(fixed)}")
    return f"{first.infotext}, {', '.join(parts)}"


def _table(plot: Plot, cells: dict[tuple[int, int, int], UnitResult]) -> bytes:
    """One row per cell: the axes' values, seed, size and what went wrong."""
    stream = io.StringIO()
    writer = csv.writer(stream)
    writer.writerow([*(held.axis.label for held in plot.axes), "seed", "error", "infotext"])
    for place in sorted(cells):
        result = cells[place]
        shown = [_plain(held.legends[number]) for held, number in _pairs(plot, place)]
        first = result.pictures[0] if result.pictures else None
        seed, text = (first.seed, first.infotext) if first else ("", "")
        writer.writerow([*shown, seed, _plain(result.error), _plain(text)])
    return stream.getvalue().encode("utf-8-sig")


def _fixed(held: AxisValues, base: GenerationRequest, tools: Tools) -> AxisValues:
    if held.axis.label not in SEED_AXES:
        return held
    values = tuple(
        tools.draw_seed(base, held.axis.label, number) if value < 0 else value
        for number, value in enumerate(held.values)
    )
    return replace(held, values=values)


def _pairs(plot: Plot, place: tuple[int, int, int]) -> list[tuple[AxisValues, int]]:
    return list(zip(plot.axes, place, strict=True))


def _plain(text: str) -> str:
    """A cell that no spreadsheet takes for a formula."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


def _axis(kind: str, given: Any, text: Any, chosen: Any, tools: Tools) -> AxisValues:
    axis = find_axis(kind, given)
    listed = [str(value) for value in chosen] if isinstance(chosen, list) else []
    typed = str(text or "")
    values = tuple(axis.values(typed, listed, tools))
    if listed and axis.choices:
        typed = ", ".join(f'"{value}"' if "," in value else value for value in listed)
    return AxisValues(axis, values, typed)


def _check_sheet(plot: Plot, request: GenerationRequest, tools: Tools) -> None:
    """Refuse before painting what could not be drawn afterwards."""
    columns, rows = len(plot.x.values), len(plot.y.values)
    sheets = len(plot.z.values)
    sized = request.sized()
    try:
        check_size(columns * sized.width * sheets, rows * sized.height, tools.options)
    except GalleryError as error:
        raise RequestError("script_args", columns * rows * sheets, str(error)) from None


def _controls() -> tuple[ScriptArgument, ...]:
    rows: list[ScriptArgument] = []
    names = [axis.label for axis in axes_for("txt2img")]
    for name, start in (("X", "Seed"), ("Y", "Nothing"), ("Z", "Nothing")):
        rows += [
            ScriptArgument(f"{name} type", names.index(start)),
            ScriptArgument(f"{name} values", ""),
            ScriptArgument(f"{name} values", []),
        ]
    return (
        *rows,
        ScriptArgument("Draw legend", True),
        ScriptArgument("Include Sub Images", False),
        ScriptArgument("Include Sub Grids", False),
        ScriptArgument("Keep -1 for seeds", False),
        ScriptArgument("Vary seeds for X", False),
        ScriptArgument("Vary seeds for Y", False),
        ScriptArgument("Vary seeds for Z", False),
        ScriptArgument("Grid margins (px)", 0, 0, 500, 2),
        ScriptArgument("Use text inputs instead of dropdowns", False),
    )


def _details(kind: str, tools: Tools) -> dict[str, Any]:
    """The axes of a tab with the values that can be chosen."""
    return {
        "axes": [
            {"label": axis.label, "choices": list(axis.choices(tools)) if axis.choices else []}
            for axis in axes_for(kind)
        ]
    }


XYZ_PLOT = PlannedScript("X/Y/Z plot", _controls(), plan, details=_details)
