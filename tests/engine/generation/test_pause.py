"""A job that is paused, stored and gone on with ends in the bytes of one that was not."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from modules.engine.generation.control import JobControl
from modules.engine.generation.pause_state import (
    RESOURCE,
    FinishedWalk,
    HalfWalk,
    PauseState,
    Position,
    UnusableState,
    fingerprint,
)
from modules.engine.runner import Engine
from modules.engine.sampling import SamplerStep
from modules.requests.events import Event, ImageDone, Paused, Step
from modules.requests.samplers import SAMPLERS
from tests.engine.generation.conftest import Result, Studio
from tests.support.tiny_models import tiny_sd

FULL = pytest.mark.full
NAMES = [sampler.name for sampler in SAMPLERS]


def pause_at(*places: int, mode: str = "pause") -> list[Callable[[Event, JobControl], None]]:
    """Listeners for the runs of a job: each signals after so many steps of its run."""

    def listener(place: int) -> Callable[[Event, JobControl], None]:
        seen = itertools.count(1)

        def listen(event: Event, control: JobControl) -> None:
            if isinstance(event, Step) and next(seen) == place:
                control.signal(mode)

        return listen

    return [listener(place) for place in places]


class Interrupted(Result):
    """Everything that all runs of a job said."""


def run_in_parts(
    studio: Studio,
    folder: Path,
    listeners: list[Callable[[Event, JobControl], None]],
    between: Callable[[Path], None] = lambda path: None,
    **fields: Any,
) -> Interrupted:
    """Run a job, pausing it by each listener in turn; every part is a fresh engine run."""
    prepared = studio.prepare(**fields)
    result = Interrupted()
    path = folder / "state"
    for listen in [*listeners, None]:
        control = JobControl(prepared.id)

        def hear(event: Event, listen=listen, control=control) -> None:
            result.events.append(event)
            if listen is not None:
                listen(event, control)

        studio._listen = hear
        studio.engine.run(prepared, control)
        if listen is None:
            return result
        paused = result.of(Paused)
        assert paused, (result.events[-1], "it was not paused")
        path.write_bytes(paused[-1].data)
        between(path)
        prepared = replace(prepared, resources={**prepared.resources, RESOURCE: str(path)})
    raise AssertionError


def assert_same(result: Result, whole: Result) -> None:
    """The same pictures with the same facts, each role and index once or more, never different."""
    expected = {(one.role, one.index): one for one in whole.of(ImageDone)}
    found = result.of(ImageDone)
    assert {(one.role, one.index) for one in found} == set(expected)
    for one in found:
        wanted = expected[one.role, one.index]
        assert one.data == wanted.data, (one.role, one.index)
        assert one.facts == wanted.facts


@pytest.mark.parametrize(
    "name",
    # One that chooses its own steps takes ten times as long.
    [pytest.param(name, marks=[FULL] if name == "DPM adaptive" else []) for name in NAMES],
)
def test_every_sampler_goes_on_to_the_same_bytes(studio: Studio, tmp_path: Path, name: str) -> None:
    asked = {
        "sampler_name": name,
        "steps": 4,
        "batch_size": 2,
        "prompt": "a [cat|dog] [apple:pear:0.5]",
    }
    if name == "DPM adaptive":  # its hundred steps are its own choice
        asked |= {"width": 32, "height": 32}
    whole = studio.make(**asked)
    result = run_in_parts(studio, tmp_path, pause_at(2), **asked)
    assert_same(result, whole)
    assert len(result.steps) == len(whole.steps) + 1  # the last step before the pause is told again


@pytest.mark.full
@pytest.mark.parametrize("place", [1, 3, 4, 5])
@pytest.mark.parametrize("name", NAMES)
def test_every_sampler_goes_on_from_every_step(
    studio: Studio, tmp_path: Path, name: str, place: int
) -> None:
    asked = {
        "sampler_name": name,
        "steps": 8,
        "batch_size": 2,
        "prompts": ["a [cat|dog] [apple:pear:0.5]", "a cat AND a dog :0.4"],
        "s_churn": 2.0,
    }
    whole = studio.make(**asked)
    result = run_in_parts(studio, tmp_path, pause_at(place, 2), **asked)
    assert_same(result, whole)


NOISY = ("DPM++ 2M SDE", "DPM++ SDE", "Euler a", "Restart")


@pytest.mark.parametrize(
    ("name", "rng"),
    [
        ("DPM++ 2M SDE", "CPU"),
        ("Restart", "NV"),
        *(pytest.param(name, rng, marks=FULL) for name in NOISY for rng in ("CPU", "NV")),
    ],
)
def test_noise_goes_on_where_it_was(studio: Studio, tmp_path: Path, name: str, rng: str) -> None:
    asked = {
        "sampler_name": name,
        "options": {"randn_source": rng, "eta_noise_seed_delta": 31337},
        "subseed": 4,
        "subseed_strength": 0.3,
        "s_churn": 2.0,
    }
    assert_same(run_in_parts(studio, tmp_path, pause_at(2), **asked), studio.make(**asked))


@pytest.mark.parametrize(
    ("upscaler", "place"),
    [
        ("Lanczos", 6),
        ("Latent", 2),
        *(pytest.param("Lanczos", place, marks=FULL) for place in (1, 4, 5, 7)),
        *(pytest.param("Latent", place, marks=FULL) for place in (1, 4, 5, 7)),
    ],
)
def test_both_passes_of_hires_fix_can_be_paused(
    studio: Studio, tmp_path: Path, upscaler: str, place: int
) -> None:
    asked = {
        "enable_hr": True,
        "hr_scale": 1.5,
        "hr_upscaler": upscaler,
        "denoising_strength": 0.9,
        "sampler_name": "DPM++ 2M SDE",
        "batch_size": 2,
        "hr_prompt": "a [blue:green:2] pear",
        "options": {"save_images_before_highres_fix": True},
    }
    result = run_in_parts(studio, tmp_path, pause_at(place), **asked)
    assert_same(result, studio.make(**asked))
    steps = [(step.step, step.steps) for step in result.steps]
    assert sorted(set(steps)) == [(number, 8) for number in range(1, 9)]


@pytest.mark.parametrize("fill", [2, *(pytest.param(fill, marks=FULL) for fill in (0, 1, 3))])
def test_inpainting_goes_on_to_the_same_bytes(
    studio: Studio, tmp_path: Path, photo: Image.Image, hole: Image.Image, fill: int
) -> None:
    asked = {
        "kind": "img2img",
        "init_images": [photo],
        "mask": hole,
        "inpainting_fill": fill,
        "denoising_strength": 0.9,
        "sampler_name": "Euler a",
        "n_iter": 2,
    }
    assert_same(run_in_parts(studio, tmp_path, pause_at(2, 3), **asked), studio.make(**asked))


def test_soft_inpainting_and_img2img_batches_go_on_too(
    studio: Studio, tmp_path: Path, photo: Image.Image, hole: Image.Image
) -> None:
    asked = {
        "kind": "img2img",
        "init_images": [photo, photo.rotate(90)],
        "batch_size": 2,
        "denoising_strength": 0.7,
        "sampler_name": "DPM++ 3M SDE",
        "steps": 8,
    }
    assert_same(run_in_parts(studio, tmp_path, pause_at(3), **asked), studio.make(**asked))
    soft = {**asked, "mask": hole, "soft_inpainting": {}}
    assert_same(run_in_parts(studio, tmp_path, pause_at(3), **soft), studio.make(**soft))


def test_the_windows_of_an_outpainting_are_not_painted_twice(
    studio: Studio, tmp_path: Path, photo: Image.Image
) -> None:
    asked = {
        "kind": "img2img",
        "init_images": [photo],
        "outpaint": {"left": 32, "right": 32, "up": 0, "down": 0},
        "denoising_strength": 0.9,
        "sampler_name": "Euler a",
    }
    whole = studio.make(**asked)
    result = run_in_parts(studio, tmp_path, pause_at(2, 4), **asked)
    assert_same(result, whole)
    # The last step before each pause is told once more when the job goes on.
    assert len(result.steps) == len(whole.steps) + 2


def test_the_refiner_stays_at_work(studio: Studio, tmp_path: Path) -> None:
    refiner = tiny_sd(tmp_path, dtype="float32", seed=33, name="refiner")
    asked = {
        "refiner_checkpoint": "refiner",
        "refiner_switch_at": 0.3,
        "resources": {"refiner": str(refiner)},
        "sampler_name": "Restart",
        "steps": 8,
    }
    whole = studio.make(**asked)
    assert "Refiner" in whole.extra
    assert_same(run_in_parts(studio, tmp_path, pause_at(1, 5), **asked), whole)


def test_another_job_may_run_between(studio: Studio, tmp_path: Path) -> None:
    asked = {"sampler_name": "UniPC", "steps": 8}
    whole = studio.make(**asked)

    def work(path: Path) -> None:
        studio.make(prompt="something else", sampler_name="Euler a", batch_size=3)

    result = run_in_parts(studio, tmp_path, pause_at(4), work, **asked)
    assert_same(result, whole)


def test_a_fresh_engine_goes_on_to_the_same_bytes(studio: Studio, tmp_path: Path) -> None:
    asked = {"sampler_name": "DPM++ 2M", "steps": 6, "n_iter": 2}
    whole = studio.make(**asked)
    before = studio.engine

    def restart(path: Path) -> None:
        studio.engine = Engine(studio.paths, {}, lambda event: studio._listen(event))

    try:
        assert_same(run_in_parts(studio, tmp_path, pause_at(8), restart, **asked), whole)
    finally:
        studio.engine = before


def test_pause_after_the_current_batch_finishes_it_first(studio: Studio, tmp_path: Path) -> None:
    asked = {"n_iter": 3}
    result = run_in_parts(studio, tmp_path, pause_at(2, mode="pause_after_current"), **asked)
    assert_same(result, studio.make(**asked))
    assert [step.step for step in result.steps] == [1, 2, 3, 4] * 3
    assert result.of(Paused)[0].iteration == 1
    last = studio.make(listen=pause_at(2, mode="pause_after_current")[0])
    assert not last.done.paused  # nothing was left to do


def test_pausing_twice_without_a_step_between_keeps_the_state(
    studio: Studio, tmp_path: Path
) -> None:
    def at_once(event: Event, control: JobControl) -> None:
        control.signal("pause")

    asked = {"enable_hr": True, "denoising_strength": 0.5, "sampler_name": "LMS"}
    listeners = [*pause_at(6), at_once]
    result = run_in_parts(studio, tmp_path, listeners, **asked)
    assert_same(result, studio.make(**asked))


@pytest.mark.parametrize(
    "damage", ["flip", *(pytest.param(one, marks=FULL) for one in (b"", "cut"))]
)
def test_a_damaged_state_begins_the_job_again_with_a_note(
    studio: Studio, tmp_path: Path, damage: bytes | str
) -> None:
    def spoil(path: Path) -> None:
        data = path.read_bytes()
        middle = len(data) // 2
        spoilt = {
            "flip": data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :],
            "cut": data[:-1],
        }
        path.write_bytes(spoilt[damage] if isinstance(damage, str) else damage)

    result = run_in_parts(studio, tmp_path, pause_at(2), spoil)
    assert_same(result, studio.make())
    (note,) = result.warnings
    assert note.startswith("What was kept of the paused job cannot be used:")


def test_a_state_serves_only_its_own_job_and_checkpoint(studio: Studio, tmp_path: Path) -> None:
    prepared = studio.prepare()
    state = PauseState(Position(prepared.id, "0123456789", fingerprint(prepared)))
    path = tmp_path / "state"
    path.write_bytes(state.to_bytes())
    assert PauseState.from_file(path, prepared, "0123456789") == state
    for other in (studio.prepare(), replace(prepared, all_seeds=[8])):
        with pytest.raises(UnusableState, match="another job"):
            PauseState.from_file(path, other, "0123456789")
    with pytest.raises(UnusableState, match="checkpoint is another"):
        PauseState.from_file(path, prepared, "9876543210")
    with pytest.raises(UnusableState, match="cannot be read"):
        PauseState.from_file(tmp_path / "none", prepared, "0123456789")


def test_a_state_keeps_every_bit() -> None:
    x = torch.randn(2, 4, 8, 8)
    step = SamplerStep(3, 0.1 + 0.2, 1e-38, x, x * 0.1, (x[:1], x.double()[0, 0]), 1 / 3)
    half = HalfWalk(step, [7, torch.arange(5, dtype=torch.uint8)], 9, ("cfg",), True, False)
    finished = FinishedWalk(x.half(), ("early",), True, {"NGMS": 0.1})
    state = PauseState(
        Position("job", "", "", 2, 5, ("16 bits",), {"torch": "2"}),
        {(0, 2, 1): finished},
        ((1, 2, 1), half),
    )
    read = PauseState.from_bytes(state.to_bytes())
    assert read.position == state.position
    (key, walk), (half_key, back) = next(iter(read.finished.items())), read.half
    assert (key, half_key) == ((0, 2, 1), (1, 2, 1))
    assert torch.equal(walk.latents, finished.latents) and walk.latents.dtype == torch.float16
    assert (walk.left_out, walk.handed_over, walk.extra) == (("early",), True, {"NGMS": 0.1})
    assert (back.step.sigma, back.step.sigma_next, back.step.fraction) == (0.1 + 0.2, 1e-38, 1 / 3)
    assert all(
        torch.equal(one, other) and one.dtype == other.dtype
        for one, other in zip(back.step.history, step.history, strict=True)
    )
    assert back.noise[0] == 7 and torch.equal(back.noise[1], half.noise[1])
    assert (back.calls, back.left_out, back.handed_over, back.together) == (
        9,
        ("cfg",),
        True,
        False,
    )
