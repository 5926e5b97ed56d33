"""Jobs and the models in memory: nothing is read twice, loading can be interrupted, TAESD."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from modules.engine.generation.control import JobControl
from modules.engine.process import Office
from modules.requests.events import Event, ModelGone, ModelLoading, ModelReady, Started
from tests.engine.checkpoints.test_pixels import tiny_autoencoder
from tests.engine.generation.conftest import Studio, difference
from tests.support.tiny_models import tiny_sd


@pytest.fixture(scope="module")
def refiner(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_sd(tmp_path_factory.mktemp("refiner"), dtype="float32", seed=34, name="second")


def read(events: list[Event]) -> list[str]:
    """The checkpoints that were read, in order."""
    found: list[str] = []
    for event in events:
        if isinstance(event, ModelLoading) and event.fraction == 0.0:
            found.append(event.name)
    return found


def test_a_refiner_is_read_once_for_all_batches_where_the_budget_allows(
    studio: Studio, refiner: Path
) -> None:
    job = {"refiner_checkpoint": "second", "refiner_switch_at": 0.5, "n_iter": 3, "steps": 2}
    resources = {"resources": {"refiner": str(refiner)}}
    studio.engine.desk.unload()
    frugal = studio.make(options={"sd_checkpoints_limit": 1}, **job, **resources)
    assert read(frugal.events) == ["tiny", "second", "tiny", "second", "tiny", "second"]
    studio.engine.desk.unload()
    result = studio.make(options={"sd_checkpoints_limit": 2}, **job, **resources)
    assert read(result.events) == ["tiny", "second"]
    assert [p.tobytes() for p in result.pictures] == [p.tobytes() for p in frugal.pictures]
    ready = result.of(ModelReady)
    assert [Path(event.path).name for event in ready] == ["tiny", "second"] * 3
    assert ready[-1].resident[-1].startswith("second [") and len(ready[-1].resident) == 2


@pytest.mark.parametrize("limit", [1, 2])
def test_interrupting_while_a_model_loads_leaves_the_former_one_in_force(
    studio: Studio, refiner: Path, limit: int
) -> None:
    options = {"sd_checkpoints_limit": limit}
    expected = studio.picture(options=options)
    former = studio.engine.models.current

    def interrupt(event: Event, control: JobControl) -> None:
        if isinstance(event, ModelLoading) and event.fraction > 0.2:
            control.signal("interrupt")

    studio.engine.models.unload()
    studio.picture(options=options)
    result = studio.make(checkpoint=refiner, options=options, listen=interrupt)
    assert result.done.interrupted and result.pictures == []
    assert not result.of(Started)
    assert result.of(ModelReady)[-1].name == "tiny", "the page is told what is in force"
    assert max(event.fraction for event in result.of(ModelLoading)) < 0.9
    assert studio.engine.models.current.path == former.path
    again = studio.make(options=options)
    assert read(again.events) == []
    assert difference(again.pictures[0], expected) == 0


def test_a_load_without_a_job_can_be_cancelled(studio: Studio, refiner: Path) -> None:
    studio.picture()
    heard: list[Event] = []
    office = Office(heard.append)
    office.engine = studio.engine

    def hear(event: Event) -> None:
        heard.append(event)
        if isinstance(event, ModelLoading) and event.fraction > 0.2:
            office._sort({"cmd": "cancel_load"})

    studio._listen = hear
    assert not studio.engine.desk.cancel(), "nothing is loading"
    studio.engine.desk.unload()
    with pytest.raises(Exception) as caught:
        studio.engine.carry_out({"cmd": "load", "checkpoint": str(refiner)})
    assert studio.engine.refusal(caught.value) == {
        "error": "Loading was cancelled.",
        "cancelled": True,
    }
    assert isinstance(heard[-1], ModelGone), "there was none before"
    assert studio.make().done


def test_interrupting_while_the_refiner_loads_keeps_what_there_is(
    studio: Studio, refiner: Path
) -> None:
    studio.engine.desk.unload()

    def interrupt(event: Event, control: JobControl) -> None:
        if isinstance(event, ModelLoading) and event.name == "second" and event.fraction > 0.2:
            control.signal("interrupt")

    result = studio.make(
        refiner_checkpoint="second",
        refiner_switch_at=0.5,
        resources={"refiner": str(refiner)},
        listen=interrupt,
    )
    assert result.done.interrupted
    assert len(result.pictures) == 1 and result.facts.get("incomplete")
    assert studio.engine.models.current.name == "tiny"


def test_unloading_frees_upscalers_too(studio: Studio) -> None:
    from modules.engine.postprocess.upscale import SHELF

    SHELF._shelf[("x", 0, 0, "cpu", "float32")] = object()
    studio.picture()
    assert studio.engine.carry_out({"cmd": "memory"})["models"][-1]["bytes"] > 0
    studio.engine.carry_out({"cmd": "unload"})
    assert len(SHELF._shelf) == 0
    assert studio.engine.carry_out({"cmd": "memory"})["models"] == []


@pytest.fixture
def taesd(studio: Studio) -> Iterator[torch.nn.Module]:
    network = tiny_autoencoder()
    folder = studio.paths.vae_approx
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "taesd.safetensors"
    save_file(network.state_dict(), str(file))
    yield network
    file.unlink()


TINY: dict[str, Any] = {"sd_vae_decode_method": "TAESD", "sd_vae_encode_method": "TAESD"}


def test_taesd_encodes_and_decodes_where_the_settings_say_so(
    studio: Studio, photo: Image.Image, taesd: torch.nn.Module
) -> None:
    job = {"kind": "img2img", "init_images": [photo], "denoising_strength": 0.5}
    full = studio.make(**job)
    assert "VAE Decoder" not in full.extra
    result = studio.make(options=TINY, **job)
    assert result.extra["VAE Decoder"] == result.extra["VAE Encoder"] == "TAESD"
    assert difference(result.pictures[0], full.pictures[0]) > 1
    decoded = studio.make(options={"sd_vae_decode_method": "TAESD"})
    assert decoded.extra["VAE Decoder"] == "TAESD" and "VAE Encoder" not in decoded.extra
    assert decoded.warnings == []


def test_without_its_files_the_vae_does_it_and_says_so(studio: Studio) -> None:
    expected = studio.picture()
    result = studio.make(options=TINY)
    assert difference(result.pictures[0], expected) == 0
    assert result.warnings == [
        "TAESD's decoder is not in models/VAE-approx for this model; the VAE did it."
    ]
    assert "VAE Decoder" not in result.extra
