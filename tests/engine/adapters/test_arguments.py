"""The arguments of `<lora:…>`: A1111's forms, schedules and block weights."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.engine.adapters.arguments import LoraArguments, read_arguments
from modules.engine.adapters.blocks import PRESETS, read_blocks
from modules.engine.adapters.schedule import read_curve
from modules.prompts.networks import find_networks


def read(text: str) -> LoraArguments:
    ((_, _, network),) = find_networks(text)
    return read_arguments(network)


def strengths(text: str, *, second: bool = False) -> tuple[float, float]:
    found = read(text).strength(0, 20, second=second)
    return found.text, found.image


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<lora:x>", (1, 1)),
        ("<lora:x:0.5>", (0.5, 0.5)),
        ("<lora:x:0.5:0.2>", (0.5, 0.2)),
        ("<lora:x:te=0.5>", (0.5, 0.5)),
        ("<lora:x:unet=0.5>", (1, 0.5)),
        ("<lora:x:0.3:te=0.5>", (0.5, 0.5)),
        ("<lora:x:0.3:0.4:te=0.5>", (0.5, 0.4)),
        ("<lora:x:te=0.5:unet=-1>", (0.5, -1)),
        ("<lora:x: .5 >", (0.5, 0.5)),
        ("<lora:x:1:lbw=OUTALL>", (1, 1)),
        ("<lora:x:0.7:IND>", (0.7, 0.7)),
    ],
)
def test_weights_are_read_as_a1111_reads_them(text: str, expected: tuple[float, float]) -> None:
    assert strengths(text) == expected


def test_the_second_pass_may_have_weights_of_its_own() -> None:
    assert strengths("<lora:x:0.5:hr=1>", second=True) == (1, 1)
    assert strengths("<lora:x:0.5:hr=1>") == (0.5, 0.5)
    assert strengths("<lora:x:0.5:hr=1:hrte=0>", second=True) == (0, 1)
    assert strengths("<lora:x:0.5:hrunet=0.2>", second=True) == (0.5, 0.2)
    assert strengths("<lora:x:0.5>", second=True) == (0.5, 0.5)


def test_ranks_and_names() -> None:
    assert read("<lora:x:1:1:8>").rank == 8
    assert read("<lora:x:1:dyn=4>").rank == 4
    assert read("<lora: my look :1>").name == "my look"
    assert read("<lora:x:1:foo=3>").unknown == ("foo",)


@pytest.mark.parametrize(
    "text",
    [
        *("<lora:x:y>", "<lora:x:1:dyn=a>", "<lora:x:nan>", "<lora:x:1e9>"),
        *("<lora:x:1:lbw=1,2,3>", "<lora:x:1@a>", "<lora:x:1:start=x>", "<lora:x:1:in=x>"),
    ],
)
def test_what_cannot_be_read_is_said(text: str) -> None:
    with pytest.raises(ValueError, match=r"number|values|weight|between"):
        read(text)


@given(st.text(alphabet="0123456789.@,;-:=+ etunhrlbwdyspaINOUT", max_size=60))
def test_no_text_is_read_in_any_other_way(text: str) -> None:
    for _, _, network in find_networks(f"<lora:x:{text}>"):
        try:
            found = read_arguments(network)
        except ValueError:
            continue
        for step in (0, 5, 19):
            strength = found.strength(step, 20)
            assert math.isfinite(strength.text)
            assert math.isfinite(strength.image)


def test_curves_run_evenly_between_their_points() -> None:
    curve = read_curve("0@0,1@0.5,0@1")
    assert [round(curve.at(step, 5), 3) for step in range(5)] == [0, 0.5, 1, 0.5, 0]
    assert read_curve("0.25@0.5,1@1").at(0, 20) == 0.25
    steps = read_curve("0@5;1@7")
    assert [steps.at(step, 20) for step in (0, 5, 6, 7, 19)] == [0, 0, 0.5, 1, 1]
    assert read_curve("0.7").is_constant
    assert read_curve("0.7@0.2").at(19, 20) == 0.7


@given(st.lists(st.tuples(st.floats(-2, 2), st.floats(0, 1)), min_size=1, max_size=6))
def test_a_curve_never_leaves_the_range_of_its_weights(points: list[tuple[float, float]]) -> None:
    curve = read_curve(",".join(f"{weight:.4f}@{when:.4f}" for weight, when in points))
    weights = [round(weight, 4) for weight, _ in points]
    for step in range(10):
        assert min(weights) - 1e-6 <= curve.at(step, 10) <= max(weights) + 1e-6


def test_block_weights_have_the_extensions_orders() -> None:
    numbers = ",".join(str(n) for n in range(17))
    blocks = read_blocks(numbers)
    assert (blocks["BASE"], blocks["IN04"], blocks["MID"], blocks["OUT11"]) == (0, 3, 7, 16)
    assert blocks["IN00"] == blocks["OUT00"] == 0
    whole = read_blocks(",".join(str(n) for n in range(26)))
    assert (whole["IN00"], whole["IN11"], whole["MID"], whole["OUT00"]) == (1, 12, 13, 14)
    xl = read_blocks(",".join(str(n) for n in range(12)))
    assert (xl["IN08"], xl["MID"], xl["OUT05"]) == (4, 5, 11)
    assert all(len(read_blocks(name)) >= 26 for name in PRESETS)
