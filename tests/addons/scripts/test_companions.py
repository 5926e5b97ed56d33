"""Prompt matrix, Prompts from file, Loopback."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.addons.scripts.from_file import PROMPTS_FROM_FILE
from modules.addons.scripts.loopback import LOOPBACK, strength_of
from modules.addons.scripts.matrix import PROMPT_MATRIX
from modules.requests.errors import RequestError
from modules.requests.generation import GenerationRequest
from modules.requests.plans import Tools, UnitResult

TOOLS = Tools(options={"img_max_size_mp": 200})


def request(**fields):
    return GenerationRequest(**{"seed": 10, "width": 64, "height": 48, **fields})


class TestMatrix:
    def run(self, carry_out, prompt, *values, **fields):
        values = PROMPT_MATRIX.filled(list(values))
        return carry_out(PROMPT_MATRIX.plan(request(prompt=prompt, **fields), values, TOOLS))

    def test_all_combinations_in_a1111s_order(self, carry_out):
        units, (sheet,) = self.run(carry_out, "a cat|in a hat| at night,")

        assert [unit.request.prompt for unit in units] == [
            "a cat",
            "a cat, in a hat",
            "a cat, at night",
            "a cat, in a hat, at night",
        ]
        assert {unit.request.seed for unit in units} == {10}
        assert sheet.image.width >= 128

    def test_variable_parts_first_joined_by_spaces_with_other_seeds(self, carry_out):
        units, _ = self.run(carry_out, "a cat|red", True, True, "positive", "space")

        assert [unit.request.prompt for unit in units] == ["a cat", "red a cat"]
        assert [unit.request.seed for unit in units] == [10, 11]

    def test_the_negative_prompt_can_vary(self, carry_out):
        units, _ = self.run(
            carry_out, "x", False, False, "negative", "comma", negative_prompt="a|b"
        )

        assert [unit.request.negative_prompt for unit in units] == ["a", "a, b"]

    @pytest.mark.parametrize(
        ("prompt", "values"),
        [
            ("|".join("abcdefghijkl"), ()),
            ("a|b", (False, False, "both")),
            ("a|b", (False, False, "positive", "semicolon")),
            ("a|b", (False, False, "positive", "comma", "wide")),
        ],
    )
    def test_what_cannot_be_done_is_refused(self, carry_out, prompt, values):
        with pytest.raises(RequestError):
            self.run(carry_out, prompt, *values)


class TestFromFile:
    def run(self, carry_out, text, iterate=False, same=False, position="start", **fields):
        values = [iterate, same, position, text]
        tools = Tools(options=TOOLS.options, seed_was_random=fields.pop("random", False))
        units, outcomes = carry_out(PROMPTS_FROM_FILE.plan(request(**fields), values, tools))
        assert outcomes == []
        return [unit.request for unit in units]

    def test_a_line_is_a_prompt(self, carry_out):
        asked = self.run(carry_out, "a cat\n\n  a dog  \n")

        assert [one.prompt for one in asked] == ["a cat", "a dog"]

    @pytest.mark.parametrize(
        ("position", "prompt"), [("start", "a cat in oil"), ("end", "in oil a cat")]
    )
    def test_the_forms_own_prompt_goes_before_or_behind(self, carry_out, position, prompt):
        (asked,) = self.run(carry_out, "a cat", position=position, prompt="in oil")

        assert asked.prompt == prompt

    def test_flags_change_their_fields(self, carry_out):
        (asked,) = self.run(
            carry_out,
            '--prompt "a cat" --negative_prompt "bad, worse" --steps 7 --cfg_scale 3.5 --width 128'
            " --sampler_name 'Euler a' --styles 'one, two' --tiling true --seed 99"
            " --sd_model other.safetensors --prompt_for_display x",
            override_settings={"CLIP_stop_at_last_layers": 2},
        )

        assert (asked.prompt, asked.negative_prompt) == ("a cat", "bad, worse")
        assert (asked.steps, asked.cfg_scale, asked.width) == (7, 3.5, 128)
        assert (asked.sampler_name, asked.styles, asked.tiling) == ("Euler a", ["one", "two"], True)
        assert asked.seed == 99
        assert asked.override_settings == {
            "CLIP_stop_at_last_layers": 2,
            "sd_model_checkpoint": "other.safetensors",
        }

    def test_texts_need_no_quotes(self, carry_out):
        (asked,) = self.run(carry_out, "--prompt a black cat --steps 3")

        assert (asked.prompt, asked.steps) == ("a black cat", 3)

    def test_seeds_stay_grow_or_are_drawn_per_line(self, carry_out):
        lines = "a\nb\nc"

        def seeds(**how):
            return [one.seed for one in self.run(carry_out, lines, **how)]

        assert seeds() == [10, 10, 10]
        assert seeds(iterate=True, batch_size=2) == [10, 12, 14]
        assert seeds(same=True, random=True) == [10, 10, 10]
        assert len(set(seeds(random=True))) == 3
        assert seeds(random=True) == seeds(random=True)

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "--nonsense 3",
            "--steps",
            "--steps many",
            "--steps 99999",
            '--prompt "open',
            "--sampler_index 999",
            "--tiling maybe",
            "--steps 3 more",
            "\n".join("x" for _ in range(3000)),
        ],
    )
    def test_a_line_that_cannot_be_read_is_named(self, carry_out, text):
        with pytest.raises(RequestError, match=r"Line 1|lines; allowed"):
            self.run(carry_out, text)

    @given(text=st.text(max_size=300))
    def test_any_text_gives_requests_or_one_sentence(self, text):
        try:
            batch = next(PROMPTS_FROM_FILE.plan(request(), [False, False, "start", text], TOOLS))
        except RequestError as refusal:
            assert refusal.sentence
        else:
            assert all(unit.request.seed >= 0 for unit in batch.units)


class TestLoopback:
    def run(self, carry_out, *values, answer=None, **fields):
        kept = []

        def keep(image):
            kept.append(image)
            return f"input:{len(kept)}"

        tools = Tools(
            options=TOOLS.options,
            keep_picture=keep,
            interrogate=lambda image, model: f"found by {model}",
        )
        asked = request(kind="img2img", init_images=["input:0"], denoising_strength=0.8, **fields)
        plan = LOOPBACK.plan(asked, LOOPBACK.filled(list(values)), tools)
        return carry_out(plan, answer) if answer else carry_out(plan)

    def test_each_picture_is_the_next_ones_beginning(self, carry_out):
        units, (sheet,) = self.run(carry_out, 3, 0.4, prompt="x")

        asked = [unit.request for unit in units]
        assert [one.init_images for one in asked] == [["input:0"], ["input:1"], ["input:2"]]
        assert [one.seed for one in asked] == [10, 11, 12]
        assert [round(one.denoising_strength, 3) for one in asked] == [0.8, 0.6, 0.4]
        assert [one.inpainting_fill for one in asked] == [0, 1, 1]
        assert sheet.image is not None

    def test_several_batches_begin_anew(self, carry_out):
        units, _ = self.run(carry_out, 2, n_iter=2)

        assert [unit.request.init_images[0] for unit in units] == [
            "input:0",
            "input:1",
            "input:0",
            "input:3",
        ]
        assert {unit.request.n_iter for unit in units} == {1}

    def test_what_is_found_in_the_picture_joins_the_prompt(self, carry_out):
        units, _ = self.run(carry_out, 2, 0.5, "Linear", "CLIP", prompt="x")

        assert [unit.request.prompt for unit in units] == ["x", "x, found by clip"]

    def test_an_interruption_keeps_what_is_there(self, carry_out):
        units, outcomes = self.run(carry_out, 4, answer=lambda unit: UnitResult(error="stopped"))

        assert len(units) == 1
        assert outcomes == []

    def test_the_curves_meet_at_both_ends(self):
        for curve in ("Aggressive", "Linear", "Lazy"):
            assert strength_of(0, 5, 0.8, 0.2, curve) == pytest.approx(0.8)
            assert strength_of(4, 5, 0.8, 0.2, curve) == pytest.approx(0.2)
        middle = [strength_of(2, 5, 0.0, 1.0, curve) for curve in ("Lazy", "Linear", "Aggressive")]
        assert middle == sorted(middle)
        assert strength_of(0, 1, 0.8, 0.2, "Lazy") == 0.8

    @pytest.mark.parametrize(
        "values",
        [(0,), (1000,), ("x",), (4, 2.0), (4, None), (4, 0.5, "Odd"), (4, 0.5, "Lazy", "BLIP")],
    )
    def test_what_cannot_be_done_is_refused(self, carry_out, values):
        with pytest.raises(RequestError):
            self.run(carry_out, *values)
