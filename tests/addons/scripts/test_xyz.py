"""X/Y/Z plot: which requests it makes, in which order, and what it draws of the results."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass

import pytest
from PIL import Image

from modules.addons.scripts.axes import AXES, axes_for, find_axis
from modules.addons.scripts.xyz import XYZ_PLOT
from modules.gallery.infotext import parse
from modules.requests.errors import RequestError
from modules.requests.generation import GenerationRequest
from modules.requests.plans import Lists, Tools, UnitResult

TOOLS = Tools(
    options={"img_max_size_mp": 200},
    lists=Lists(checkpoints=("b.safetensors", "A.safetensors"), upscalers=("Latent", "None")),
    find_checkpoint=lambda name: f"found {name}",
)


@dataclass(frozen=True)
class Picture:
    infotext: str
    seed: int
    colour: tuple[int, int, int] = (255, 0, 0)

    def image(self):
        return Image.new("RGB", (64, 48), self.colour)


def arguments(x=(0, ""), y=(0, ""), z=(0, ""), **others):
    values = XYZ_PLOT.filled([])
    for start, (axis, text, *chosen) in zip((0, 3, 6), (x, y, z), strict=True):
        values[start : start + 3] = [axis, text, chosen]
    labels = [argument.label for argument in XYZ_PLOT.arguments]
    for label, value in others.items():
        values[labels.index(label)] = value
    return values


def run(request=None, answer=None, tools=TOOLS, **axes):
    """All units, and the outcomes when each is answered."""
    request = request or GenerationRequest(prompt="a cat", seed=5, subseed=6, width=64, height=48)
    values = arguments(**axes) if "values" not in axes else axes["values"]
    plan = XYZ_PLOT.plan(request, values, tools)
    batch = next(plan)
    answer = answer or (
        lambda unit: UnitResult((Picture(f"{unit.request.prompt}\nSteps: 1", unit.request.seed),))
    )
    with pytest.raises(StopIteration) as end:
        plan.send([answer(unit) for unit in batch.units])
    return batch.units, end.value.value


def test_one_unit_for_each_combination():
    units, _ = run(x=("Steps", "1-3"), y=("CFG Scale", "5, 7.5"))

    asked = [(unit.request.steps, unit.request.cfg_scale) for unit in units]
    assert sorted(asked) == [(s, c) for s in (1, 2, 3) for c in (5.0, 7.5)]
    assert units[0].label == "Steps: 1, CFG Scale: 5.0"


def test_axes_are_given_by_place_in_the_tabs_list_or_by_name():
    assert find_axis("txt2img", 4).label == "Steps"
    assert find_axis("img2img", "image cfg scale").label == "Image CFG Scale"
    assert [axis.label for axis in axes_for("txt2img")].count("Sampler") == 1


@pytest.mark.parametrize("given", ["Nonsense", 999, -1, None, True, 1.5, [1]])
def test_an_unknown_axis_is_refused_with_the_list(given):
    with pytest.raises(RequestError, match="allowed: 0 to"):
        find_axis("txt2img", given)


@pytest.mark.parametrize("place", range(len(AXES)))
def test_every_axis_changes_a_request_that_stays_valid(place):
    texts = {
        "Prompt S/R": "cat, dog",
        "Prompt order": "cat, tree",
        "Sampler": "DPM++ 2M Karras",
        "Hires sampler": "Euler a",
        "Schedule type": "karras",
        "Hires upscaler": "latent",
        "VAE": "none",
        "Styles": "one",
        "Size": "512x256",
        "RNG source": "nv",
        "FP8 mode": "enable",
        "Face restore": "GFPGAN",
        "Always discard next-to-last sigma": "True",
        "SGM noise multiplier": "no",
    }
    axis = AXES[place]
    request = GenerationRequest(prompt="a cat by a tree", seed=1, kind=axis.kinds[0])
    values = axis.values(texts.get(axis.label, "1"), [], TOOLS)

    changed = axis.apply(request, values[-1], values)

    assert GenerationRequest.model_validate(changed.model_dump()) == changed
    nothing_new = {"Nothing", "Var. strength", "Clip skip"}
    if axis.label not in nothing_new and axis.label != "Seed":
        assert changed != request


def test_dear_axes_change_last():
    units, _ = run(x=("Checkpoint name", "a, b"), y=("Steps", "1, 2"))

    models = [unit.request.override_settings["sd_model_checkpoint"] for unit in units]
    assert models == ["found a", "found a", "found b", "found b"]


def test_values_may_be_chosen_from_the_list():
    units, _ = run(x=("Hires upscaler", "", "Latent", "None"))

    assert [unit.request.hr_upscaler for unit in units] == ["Latent", "None"]


def test_search_and_replace_in_both_prompts():
    request = GenerationRequest(prompt="a cat", negative_prompt="no cat", seed=1)

    units, _ = run(request, x=("Prompt S/R", "cat, dog"))

    assert [unit.request.prompt for unit in units] == ["a cat", "a dog"]
    assert [unit.request.negative_prompt for unit in units] == ["no cat", "no dog"]


def test_parts_of_a_prompt_exchange_their_places():
    request = GenerationRequest(prompt="red, [blue], green!", seed=1)

    units, _ = run(request, x=("Prompt order", "red, blue, green"))

    assert len(units) == 6
    assert "green, [red], blue!" in [unit.request.prompt for unit in units]


@pytest.mark.parametrize("axis", ["Prompt S/R", "Prompt order"])
def test_what_is_not_in_the_prompt_is_refused(axis):
    with pytest.raises(RequestError, match="did not find 'horse'"):
        run(x=(axis, "horse"))


def test_seeds_of_minus_one_are_drawn_once_and_the_same_again():
    first, _ = run(x=("Seed", "-1, 7"), y=("Steps", "1, 2"))
    again, _ = run(x=("Seed", "-1, 7"), y=("Steps", "1, 2"))

    seeds = [unit.request.seed for unit in first]
    assert seeds == [unit.request.seed for unit in again]
    assert min(seeds) >= 0
    assert len(set(seeds)) == 2


def test_seeds_may_stay_random_for_each_cell():
    tools = Tools(options=TOOLS.options, seed_was_random=True)

    units, _ = run(tools=tools, x=("Steps", "1-4"), **{"Keep -1 for seeds": True})

    assert len({unit.request.seed for unit in units}) == 4


def test_seeds_grow_along_the_axes_that_vary():
    units, _ = run(
        x=("Steps", "1, 2"), y=("CFG Scale", "1-3"), **{"Vary seeds for X": True},
        **{"Vary seeds for Y": True},
    )  # fmt: skip

    assert sorted(unit.request.seed for unit in units) == [5, 6, 7, 8, 9, 10]


def test_the_grid_has_each_picture_at_its_place():
    def answer(unit):
        colour = (40 * unit.request.steps, 30 * int(unit.request.cfg_scale), 0)
        return UnitResult((Picture("x\nSteps: 1", 1, colour),))

    _, outcomes = run(
        answer=answer, x=("Steps", "1-3"), y=("CFG Scale", "1, 2"), **{"Draw legend": False}
    )

    grid = outcomes[0].image
    assert grid.size == (3 * 64, 2 * 48)
    for column in range(3):
        for row in range(2):
            place = (column * 64 + 32, row * 48 + 24)
            assert grid.getpixel(place) == (40 * (column + 1), 30 * (row + 1), 0)


def test_the_legend_makes_room_above_and_before():
    _, outcomes = run(x=("Steps", "1-3"), y=("CFG Scale", "1, 2"))

    width, height = outcomes[0].image.size
    assert width > 3 * 64
    assert height > 2 * 48


def test_several_values_of_z_give_a_grid_of_grids_and_the_single_ones_on_request():
    axes = {"x": ("Steps", "1, 2"), "z": ("CFG Scale", "1, 2, 3"), "Draw legend": False}

    _, outcomes = run(**axes)
    _, more = run(**axes, **{"Include Sub Grids": True})

    assert [one.image.size for one in outcomes if one.image] == [(6 * 64, 48)]
    assert len([one for one in more if one.image]) == 4


def test_cells_that_were_not_painted_stay_empty_and_are_named_in_the_table():
    def answer(unit):
        if unit.request.steps == 2:
            return UnitResult(error="Out of memory.")
        return UnitResult((Picture("x\nSteps: 1", 1),))

    _, outcomes = run(answer=answer, x=("Steps", "1-3"), **{"Draw legend": False})

    assert outcomes[0].image.getpixel((96, 24)) == (255, 255, 255)
    rows = list(csv.reader(io.StringIO(outcomes[-1].data.decode("utf-8-sig"))))
    assert [row[4] for row in rows] == ["error", "", "Out of memory.", ""]


def test_without_any_picture_there_is_no_grid():
    _, outcomes = run(answer=lambda unit: UnitResult(error="stopped"), x=("Steps", "1, 2"))

    assert outcomes == []


def test_the_grids_infotext_names_the_axes():
    _, outcomes = run(x=("Seed", "-1, 7"), y=("Prompt S/R", '"cat", "a dog, a fox"'))

    parameters = parse(outcomes[0].infotext).parameters
    assert parameters["Script"] == "X/Y/Z plot"
    assert parameters["X Type"] == "Seed"
    assert parameters["Fixed X Values"].endswith(", 7")
    assert parameters["Y Values"] == '"cat", "a dog, a fox"'


@pytest.mark.parametrize(
    "axes",
    [
        {"x": ("Seed", "1-1000"), "y": ("Steps", "1-3")},
        {"x": ("Size", "12")},
        {"x": ("Steps", "")},
        {"x": ("Steps", "5000")},
        {"x": ("Sampler", "no such")},
        {"x": ("VAE", "no such")},
        {"x": ("Steps", "1-900"), "request": GenerationRequest(width=1024, height=1024, seed=1)},
        {"x": ("Steps", "1"), "Grid margins (px)": "wide"},
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_is_painted(axes):
    with pytest.raises(RequestError):
        run(**axes)
