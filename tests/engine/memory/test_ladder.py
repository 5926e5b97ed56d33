"""Every rung of the memory ladder, reached by failures in the real engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from torch.overrides import _get_current_function_mode_stack

from modules.engine.checkpoints import LoadedModel
from modules.engine.checkpoints.machine_memory import Memory
from modules.engine.generation.ladder import KEY, Ladder
from modules.engine.generation.vae_parts import VaeParts
from modules.engine.memory.attention import SlicedAttention
from modules.engine.memory.lodging import form_of, lodging_of
from tests.engine.generation.conftest import Result, Studio, difference

FREED = "caches emptied"
SPLIT = "prompts one by one"
SLICED = "attention in slices"
TURNS = "networks by turns"
SINGLY = "pictures one by one"
LAYERS = "layer by layer"
LOWER = "16 bits"
STRIPS = "VAE in strips"
TILES = "VAE in tiles"
JOB: dict[str, Any] = {"batch_size": 2, "steps": 2}

Fits = Callable[[LoadedModel, torch.Tensor], bool]


def slices(model: LoadedModel, x: torch.Tensor) -> bool:
    return any(isinstance(one, SlicedAttention) for one in _get_current_function_mode_stack())


def alone(model: LoadedModel, x: torch.Tensor) -> bool:
    weight = next(model.networks["vae"].parameters())
    return weight.device.type == "meta"


def by_layers(model: LoadedModel, x: torch.Tensor) -> bool:
    return form_of(model.networks["unet"]).way == "layer"


@contextmanager
def full_unless(studio: Studio, module: torch.nn.Module, fits: Fits) -> Iterator[None]:
    """The module runs out of memory as long as something is not so."""
    model = studio.engine.models.current

    def full(module: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        if not fits(model, inputs[0]):
            raise torch.OutOfMemoryError("full")

    handle = module.register_forward_pre_hook(full)
    try:
        yield
    finally:
        handle.remove()


@pytest.fixture
def usual(plain: Studio) -> Result:
    """What the job gives without trouble."""
    return plain.make(**JOB)


def _networks(studio: Studio) -> dict[str, torch.nn.Module]:
    return dict(studio.engine.models.current.networks)


def _untouched(studio: Studio, usual: Result) -> None:
    """After the job everything is as before, and so are the pictures."""
    for network in _networks(studio).values():
        assert form_of(network).way == "stay"
        assert next(network.parameters()).dtype == torch.float32
        assert not lodging_of(network)._hooks
        assert all(isinstance(one, torch.nn.Parameter) for one in network.parameters())
    again = studio.make(**JOB)
    assert KEY not in again.extra
    for got, wanted in zip(again.pictures, usual.pictures, strict=True):
        assert np.array_equal(got, wanted)


@pytest.mark.parametrize(
    ("fits", "rungs"),
    [
        (lambda model, x: len(x) <= 2, [FREED, SPLIT]),
        (slices, [FREED, SPLIT, SLICED]),
        (alone, [FREED, SPLIT, SLICED, TURNS]),
        (lambda model, x: len(x) == 1, [FREED, SPLIT, SLICED, TURNS, SINGLY]),
        (by_layers, [FREED, SPLIT, SLICED, TURNS, SINGLY, LAYERS]),
    ],
)
def test_sampling_climbs_until_it_fits_and_gives_the_same_pictures(
    plain: Studio, usual: Result, fits: Fits, rungs: list[str]
) -> None:
    with full_unless(plain, _networks(plain)["unet"].mid_block, fits):
        result = plain.make(**JOB)
    assert result.done
    assert result.extra[KEY] == " + ".join(rungs)
    assert len([one for one in result.warnings if "Memory ran out" in one]) == len(rungs)
    for got, wanted in zip(result.pictures, usual.pictures, strict=True):
        assert difference(got, wanted) <= 1
    _untouched(plain, usual)


def test_the_last_rung_computes_in_16_bits_and_the_weights_come_back_exactly(
    plain: Studio, usual: Result, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = plain.engine.models.policy
    unet = _networks(plain)["unet"]
    fits = lambda model, x: x.dtype != torch.float32  # noqa: E731
    with full_unless(plain, unet.mid_block, fits):
        forbidden = plain.make(**JOB)  # --no-half: the user wants 32 bits
    assert forbidden.failed.failure == "memory"
    monkeypatch.setattr(
        "modules.engine.generation.ladder.possible", lambda d: ("float32", "bfloat16")
    )
    object.__setattr__(policy, "may_lower", True)
    try:
        with full_unless(plain, unet.mid_block, fits):
            result = plain.make(**JOB)
    finally:
        object.__setattr__(policy, "may_lower", False)
    assert result.done
    assert result.extra[KEY].endswith(f"{LAYERS} + {LOWER}")
    for got, wanted in zip(result.pictures, usual.pictures, strict=True):
        assert 0 < difference(got, wanted) < 40
    _untouched(plain, usual)


@pytest.mark.parametrize(
    ("fits", "rungs", "exact"),
    [
        (slices, [FREED, SLICED], True),
        (
            lambda model, x: "forward" in model.networks["vae"].decoder.conv_out.__dict__,
            [FREED, SLICED, STRIPS],
            True,
        ),
        (
            lambda model, x: next(model.networks["unet"].parameters()).device.type == "meta",
            [FREED, SLICED, STRIPS, TURNS],
            True,
        ),
        (
            lambda model, x: model.networks["vae"].use_tiling,
            [FREED, SLICED, STRIPS, TURNS, TILES],
            False,
        ),
    ],
)
def test_decoding_climbs_until_it_fits(
    plain: Studio, usual: Result, fits: Fits, rungs: list[str], exact: bool
) -> None:
    with full_unless(plain, _networks(plain)["vae"].decoder, fits):
        result = plain.make(**JOB)
    assert result.done
    assert result.extra[KEY] == " + ".join(rungs)
    for got, wanted in zip(result.pictures, usual.pictures, strict=True):
        assert difference(got, wanted) <= (1 if exact else 255)
    _untouched(plain, usual)


def test_a_rung_that_was_taken_while_sampling_is_not_taken_again(plain: Studio) -> None:
    plain.picture()
    networks = _networks(plain)
    with (
        full_unless(plain, networks["unet"].mid_block, slices),
        full_unless(plain, networks["vae"].decoder, slices),
    ):
        result = plain.make(**JOB)
    assert result.extra[KEY] == " + ".join([FREED, SPLIT, SLICED])
    assert len(result.warnings) == 3


def test_memory_that_is_full_whatever_is_done_is_told_and_the_engine_works_on(
    plain: Studio, usual: Result
) -> None:
    with full_unless(plain, _networks(plain)["vae"].decoder, lambda model, x: False):
        result = plain.make(**JOB)
    assert result.failed.failure == "memory"
    assert "even in tiles" in result.failed.message
    _untouched(plain, usual)


def test_the_settings_take_the_rungs_from_the_start(plain: Studio, usual: Result) -> None:
    seen: list[bool] = []

    def note(model: LoadedModel, x: torch.Tensor) -> bool:
        seen.append(
            slices(model, x) and "forward" in model.networks["vae"].decoder.conv_out.__dict__
        )
        return True

    options = {"attention_slicing": "Always", "vae_parts": "Strips"}
    with full_unless(plain, _networks(plain)["vae"].decoder, note):
        result = plain.make(options=options, **JOB)
    assert seen == [True, True]
    assert KEY not in result.extra
    for got, wanted in zip(result.pictures, usual.pictures, strict=True):
        assert difference(got, wanted) <= 1
    tiled = plain.make(options={"vae_parts": "Tiles"}, **JOB)
    assert tiled.extra["VAE parts"] == "Tiles"
    _untouched(plain, usual)


@pytest.mark.parametrize(
    ("free", "rungs"),
    [(11.0, []), (5.0, [STRIPS]), (3.0, [STRIPS, TILES])],
)
def test_a_processor_works_in_parts_before_the_system_ends_the_program(
    plain: Studio, free: float, rungs: list[str]
) -> None:
    plain.picture()
    models, told = plain.engine.models, []
    inner = 4 * 64 * 64 * 32  # bytes of a picture of 64 pixels with 32 channels
    ladder = Ladder(models, told.append)
    parts = VaeParts(models, ladder, memory=lambda: Memory(10**12, int(free * inner)))
    try:
        parts.prepare("decod", 64 * 64)
        assert ladder.taken == rungs
        assert len(told) == len(rungs)
        assert all("Too little memory is free" in one for one in told)
    finally:
        parts.close()
