"""SD upscale, the travels, A/B compare."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest
from PIL import Image

from modules.addons.scripts.compare import AB_COMPARE
from modules.addons.scripts.registry import PLANNED
from modules.addons.scripts.sd_upscale import SD_UPSCALE
from modules.addons.scripts.travel import PROMPT_TRAVEL, SEED_TRAVEL, mixed
from modules.requests.errors import RequestError
from modules.requests.extras import ExtrasRequest
from modules.requests.generation import GenerationRequest
from modules.requests.plans import Lists, Tools, UnitResult
from tests.addons.scripts.conftest import Painted, answered

OPTIONS = {"img_max_size_mp": 200}


def request(**fields):
    return GenerationRequest(**{"seed": 10, "width": 64, "height": 64, **fields})


def test_titles_are_a1111s_and_no_two_are_alike():
    names = [script.name for script in PLANNED]

    assert len(set(names)) == len(names)
    assert {"x/y/z plot", "prompt matrix", "loopback", "sd upscale"} <= set(names)
    for script in PLANNED:
        assert len(script.filled([])) == len(script.arguments)


class TestSdUpscale:
    def run(self, carry_out, *values, picture=None, **fields):
        kept = {"input:0": picture or Image.new("RGB", (60, 50), "blue")}

        def keep(image):
            kept[f"input:{len(kept)}"] = image
            return f"input:{len(kept) - 1}"

        def answer(unit):
            """Extras enlarge; a tile comes back as it was."""
            image = kept[unit.request.init_images[0]] if unit.request.kind == "img2img" else None
            if isinstance(unit.request, ExtrasRequest):
                before = kept[unit.request.images[0]]
                factor = unit.request.upscaling_resize
                image = before.resize([int(side * factor) for side in before.size])
            picture = Painted("x\nSteps: 1", 1)
            object.__setattr__(picture, "image", lambda: image)
            return UnitResult((picture,))

        tools = Tools(
            options=OPTIONS,
            lists=Lists(upscalers=("None", "Lanczos")),
            keep_picture=keep,
            read_picture=lambda ref: kept[ref],
        )
        asked = request(kind="img2img", init_images=["input:0"], **fields)
        plan = SD_UPSCALE.plan(asked, SD_UPSCALE.filled(["", *values]), tools)
        return carry_out(plan, answer)

    def test_the_enlarged_picture_is_repainted_tile_by_tile(self, carry_out):
        gradient = Image.fromarray(np.tile(np.arange(60, dtype=np.uint8) * 4, (50, 1))).convert(
            "RGB"
        )

        units, (outcome,) = self.run(carry_out, 16, "lanczos", 2.0, picture=gradient)

        assert isinstance(units[0].request, ExtrasRequest)
        assert len(units) == 1 + 3 * 2
        assert not any(unit.result for unit in units)
        assert outcome.image.size == (120, 100)
        expected = np.asarray(gradient.resize((120, 100)), int)
        assert np.abs(np.asarray(outcome.image, int) - expected).max() <= 1

    def test_without_an_upscaler_only_the_tiles_are_painted(self, carry_out):
        units, _ = self.run(carry_out, 0, 0, 2.0)

        assert {unit.request.kind for unit in units} == {"img2img"}

    def test_each_batch_has_another_seed(self, carry_out):
        units, outcomes = self.run(carry_out, 0, "None", 2.0, n_iter=2)

        assert len(outcomes) == 2
        assert {unit.request.seed for unit in units} == {10, 11}

    @pytest.mark.parametrize(
        "values",
        [
            (64, "None", 2),
            (-1, "None", 2),
            (8, "no such", 2),
            (8, 7, 2),
            (8, "None", 99),
            ("x", 0, 2),
        ],
    )
    def test_what_cannot_be_done_is_refused(self, carry_out, values):
        with pytest.raises(RequestError):
            self.run(carry_out, *values)


class TestTravel:
    def run(self, carry_out, script, first, *values, **fields):
        names = [argument.label for argument in script.arguments]
        filled = script.filled([])
        filled[: len(first)] = first
        changed = dict(zip(values[::2], values[1::2], strict=True))
        for label, value in changed.items():
            filled[names.index(label)] = value
        return carry_out(script.plan(request(**fields), filled, Tools(options=OPTIONS)))

    def test_seeds_are_mixed_on_the_way(self, carry_out):
        units, outcomes = self.run(
            carry_out, SEED_TRAVEL, ["20, 30", 0], "Frames from one to the next", 2, "Film", "webp"
        )

        asked = [(u.request.seed, u.request.subseed, u.request.subseed_strength) for u in units]
        assert asked == [(10, 20, 0), (10, 20, 0.5), (20, 30, 0), (20, 30, 0.5), (30, 30, 0)]
        assert [one.suffix for one in outcomes] == [".webp"]
        assert Image.open(io.BytesIO(outcomes[0].data)).n_frames >= 1

    def test_random_destinations_are_the_same_again(self, carry_out):
        first, _ = self.run(carry_out, SEED_TRAVEL, ["", 3], "Film", "none")
        again, _ = self.run(carry_out, SEED_TRAVEL, ["", 3], "Film", "none")

        assert [u.request.seed for u in first] == [u.request.seed for u in again]

    def test_a_loop_comes_back(self, carry_out):
        units, _ = self.run(
            carry_out, SEED_TRAVEL, ["20", 0], "Frames from one to the next", 1,
            "Return to the beginning", True, "Film", "none",
        )  # fmt: skip

        assert [(u.request.seed, u.request.subseed) for u in units] == [(10, 20), (20, 10)]

    def test_prompts_are_mixed_with_the_noise_frozen(self, carry_out):
        units, outcomes = self.run(
            carry_out, PROMPT_TRAVEL, ["a dog --neg dull"], "Frames from one to the next", 4,
            "Film", "mp4", prompt="a cat", negative_prompt="blurry",
        )  # fmt: skip

        assert [u.request.prompt for u in units] == [
            "a cat",
            "a cat :0.75 AND a dog :0.25",
            "a cat :0.5 AND a dog :0.5",
            "a cat :0.25 AND a dog :0.75",
            "a dog",
        ]
        assert {u.request.seed for u in units} == {10}
        assert [u.request.negative_prompt for u in units] == ["blurry"] * 2 + ["dull"] * 3
        assert [one.suffix for one in outcomes] == [".mp4", ".webp"]

    def test_parts_of_a_prompt_keep_their_weights(self):
        assert mixed("a AND b :0.5", "c", 0.5) == "a :0.5 AND b :0.25 AND c :0.5"

    @pytest.mark.parametrize(
        ("script", "first"),
        [
            (SEED_TRAVEL, ["", 0]),
            (SEED_TRAVEL, ["x", 0]),
            (SEED_TRAVEL, ["1", "many"]),
            (SEED_TRAVEL, ["1-500", 0, 500]),
            (SEED_TRAVEL, ["1", 0, 0]),
            (SEED_TRAVEL, ["1", 0, 5, False, "Odd"]),
            (SEED_TRAVEL, ["1", 0, 5, False, "Linear", "avi"]),
            (PROMPT_TRAVEL, [""]),
            (PROMPT_TRAVEL, ["only one"]),
        ],
    )
    def test_what_cannot_be_done_is_refused(self, carry_out, script, first):
        with pytest.raises(RequestError):
            self.run(carry_out, script, first)


class TestCompare:
    def run(self, carry_out, *values, answer=answered, **fields):
        tools = Tools(options=OPTIONS)
        return carry_out(AB_COMPARE.plan(request(**fields), list(values), tools), answer)

    def test_both_are_painted_with_one_seed_and_their_difference_is_shown(self, carry_out):
        def answer(unit):
            return UnitResult((Painted("x", 1, (100 + unit.request.steps, 0, 0), (64, 64)),))

        units, (sheet, table) = self.run(carry_out, "--steps 30", 4, answer=answer, steps=20)

        assert [(u.request.steps, u.request.seed) for u in units] == [(20, 10), (30, 10)]
        assert sheet.image.getpixel((sheet.image.width - 10, sheet.image.height - 10)) == (40, 0, 0)
        (_, row) = csv.reader(io.StringIO(table.data.decode("utf-8-sig")))
        assert row[2:5] == ["3.333", "10.0", "100.0"]

    def test_equal_pictures_have_no_difference(self, carry_out):
        _, (_, table) = self.run(carry_out, "--seed 10", 4)

        assert b"0.0,0.0,0.0,99.0" in table.data

    @pytest.mark.parametrize("values", [("steps 30", 4), ("--nonsense 1", 4), ("--steps 30", 0)])
    def test_what_cannot_be_done_is_refused(self, carry_out, values):
        with pytest.raises(RequestError):
            self.run(carry_out, *values)
