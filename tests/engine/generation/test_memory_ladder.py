"""Out of memory and NaN: told in a sentence, repaired where possible, never a black picture."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from modules.engine.generation.batching import BatchingChoice
from modules.engine.generation.hooks import HookPoint
from modules.engine.generation.ladder import KEY
from modules.engine.generation.memory import is_out_of_memory
from modules.engine.generation.pictures import Codec, MemoryExhausted
from tests.engine.generation.conftest import Studio, difference


@contextmanager
def hooked(studio: Studio, point: HookPoint, hook: Callable[[Any], None]) -> Iterator[None]:
    studio.engine.hooks.add(point, hook)
    try:
        yield
    finally:
        studio.engine.hooks.remove(point, hook)


def test_nan_fails_the_job_at_once_with_a_sentence(studio: Studio) -> None:
    def spoil(state: Any) -> None:
        state.combined = state.combined * float("nan")

    with hooked(studio, HookPoint.CFG_AFTER_CFG, spoil):
        result = studio.make(steps=6)
    assert result.failed.failure == "nan"
    assert "NaN" in result.failed.message
    assert result.pictures == []
    assert len(result.steps) == 0
    assert studio.make().done


def test_memory_that_comes_back_costs_only_a_warning(studio: Studio) -> None:
    expected = studio.picture()
    times = iter([torch.OutOfMemoryError("full")])

    def fail(state: Any) -> None:
        for error in times:
            raise error

    with hooked(studio, HookPoint.CFG_DENOISER, fail):
        result = studio.make()
    assert result.done
    assert any("Memory ran out" in warning for warning in result.warnings)
    assert difference(result.pictures[0], expected) <= 1


def test_a_batch_that_does_not_fit_is_made_one_by_one(studio: Studio) -> None:
    expected = studio.make(batch_size=2).pictures

    def fail(state: Any) -> None:
        if len(state.x) > 1:
            raise torch.OutOfMemoryError("full")

    with hooked(studio, HookPoint.CFG_DENOISER, fail):
        result = studio.make(batch_size=2)
    assert result.done
    assert any("one after the other" in warning for warning in result.warnings)
    for got, wanted in zip(result.pictures, expected, strict=True):
        assert difference(got, wanted) <= 1


def test_memory_that_stays_full_fails_the_job_and_the_engine_works_on(studio: Studio) -> None:
    def fail(state: Any) -> None:
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")

    with hooked(studio, HookPoint.CFG_DENOISER, fail):
        result = studio.make()
    assert result.failed.failure == "memory"
    assert "smaller size" in result.failed.message
    assert studio.make().done


def test_a_picture_that_does_not_fit_is_decoded_in_strips_then_in_tiles_and_says_so(
    studio: Studio,
) -> None:
    studio.make()
    models, warnings = studio.engine.models, []
    network = models.current.codec.network
    latents = torch.randn(4, 16, 16, generator=torch.Generator().manual_seed(1))
    whole = models.current.decode(latents[None])[0]
    needed = {"strips": lambda: "forward" in network.decoder.conv_out.__dict__}
    needed["tiles"] = lambda: network.use_tiling

    for way, fits in needed.items():
        handle = network.decoder.register_forward_pre_hook(_full_unless(fits))
        codec = Codec(models, warnings.append)
        try:
            pixels = codec.decode(latents)
        finally:
            handle.remove()
            codec.close()
        assert pixels.shape == (3, 128, 128)
        if way == "strips":
            torch.testing.assert_close(pixels, whole, rtol=1e-4, atol=1e-4)
        assert codec.ladder.facts[KEY].endswith(f"VAE in {way}")
        assert not any(fits() for fits in needed.values())
    assert any("in strips" in one for one in warnings)
    assert any("in tiles" in one for one in warnings)

    handle = network.decoder.register_forward_pre_hook(_full_unless(lambda: False))
    codec = Codec(models, warnings.append)
    try:
        with pytest.raises(MemoryExhausted, match="even in tiles"):
            codec.decode(latents)
    finally:
        handle.remove()
        codec.close()
        codec.ladder.close()
    assert torch.equal(models.current.decode(latents[None])[0], whole)


def _full_unless(fits: Callable[[], bool]) -> Callable[[Any, Any], None]:
    def full(module: Any, inputs: Any) -> None:
        if not fits():
            raise torch.OutOfMemoryError("full")

    return full


def test_other_errors_are_not_taken_for_memory() -> None:
    assert is_out_of_memory(MemoryError())
    assert is_out_of_memory(RuntimeError("could not create a primitive"))
    assert not is_out_of_memory(RuntimeError("shapes do not match"))
    assert not is_out_of_memory(ValueError("out of memory"))


def test_the_batching_is_measured_once_and_kept_on_disk(tmp_path: Path) -> None:
    calls: list[bool] = []
    cpu = torch.device("cpu")
    first = BatchingChoice(tmp_path).together("shape", cpu, calls.append)
    measured = len(calls)
    assert measured > 2
    assert BatchingChoice(tmp_path).together("shape", cpu, calls.append) is first
    assert len(calls) == measured
    assert BatchingChoice(tmp_path).together("other", torch.device("meta"), calls.append) is True
    (tmp_path / "engine" / "cfg_batching.json").write_text("not JSON")
    BatchingChoice(tmp_path).together("shape", cpu, calls.append)
    assert len(calls) > measured
