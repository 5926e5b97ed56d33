"""The callbacks of every call of the network, and what they may change."""

from __future__ import annotations

import pytest

from tests.engine.generation.conftest import difference

SEEN = """
def before(params):
    assert params.x.shape == (2, 4, 8, 8) and params.sigma.shape == (2,)
    assert params.text_cond.shape == params.text_uncond.shape
    assert params.text_cond.shape[:2] == (1, 77)
    assert params.denoiser.p.steps == 4 and params.denoiser.step == params.sampling_step
    note(f"before {params.sampling_step}/{params.total_sampling_steps}")
def denoised(params):
    assert params.x.shape == (2, 4, 8, 8)
    note("denoised")
def after(params):
    assert params.x.shape == (1, 4, 8, 8)
    note("after")
script_callbacks.on_cfg_denoiser(before)
script_callbacks.on_cfg_denoised(denoised)
script_callbacks.on_cfg_after_cfg(after)
"""


def test_they_see_what_a1111_shows_them(extend, notes):
    studio = extend(SEEN)
    result = studio.make()
    found = notes()
    assert not [line for line in found if "Error" in line]
    assert found[:4] == ["before 0/4", "denoised", "after", "before 1/4"]
    assert len(found) == 12
    studio.engine.conductor = None
    assert difference(result.pictures[0], studio.picture()) == 0


@pytest.mark.parametrize(
    "change",
    [
        "script_callbacks.on_cfg_denoiser(lambda params: params.sigma.mul_(0.7))",
        "script_callbacks.on_cfg_denoiser(lambda params: params.x.mul_(0.5))",
        "script_callbacks.on_cfg_denoiser(lambda params: params.text_cond.mul_(0.0))",
        "script_callbacks.on_cfg_denoised(lambda params: params.x.mul_(0.5))",
        "script_callbacks.on_cfg_after_cfg(lambda params: params.x.mul_(0.5))",
    ],
)
def test_a_change_in_place_changes_the_picture(extend, change):
    studio = extend(change)
    changed = studio.picture()
    studio.engine.conductor = None
    assert difference(changed, studio.picture()) > 4


def test_assigning_the_negative_conditioning_is_as_another_negative_prompt(extend):
    studio = extend("""
    def before(params):
        params.text_uncond = params.text_cond.clone()
    script_callbacks.on_cfg_denoiser(before)
    """)
    changed = studio.picture(prompt="a pear", negative_prompt="grey")
    studio.engine.conductor = None
    same = studio.picture(prompt="a pear", negative_prompt="a pear")
    assert difference(changed, same) <= 1
