"""Upscaling by name: sizes, tiles, transparency, interrupts, memory, models of other kinds."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from modules.catalog.download import DownloadFailed
from modules.catalog.upscalers import UpscalerInfo
from modules.engine.checkpoints.errors import ModelLoadError
from modules.engine.generation.control import JobControl, StopSampling
from modules.engine.generation.pictures import MemoryExhausted
from modules.engine.postprocess.loaded import UpscalerShelf
from modules.engine.postprocess.upscale import Upscaling
from modules.requests.errors import NotFoundInList, RequestError

QUICK = "R-ESRGAN AnimeVideo"
CPU = torch.device("cpu")


def upscaling(resources: dict[str, Any], tile: int = 0, **more: Any) -> Upscaling:
    options = {"ESRGAN_tile": tile, "ESRGAN_tile_overlap": 8}
    return Upscaling(CPU, resources, options, **more)


def one_model(path: Path, name: str = "mine", scale: int = 4) -> dict[str, Any]:
    return {"upscalers": {name: UpscalerInfo(name, "model", scale, path).to_json()}}


def esrgan_network(seed: int = 0) -> torch.nn.Module:
    """A small network of the first ESRGAN's kind, which the realesrgan package does not know."""
    from modules.engine.compat.torchvision_ops import make_torchvision_importable

    make_torchvision_importable()
    from spandrel.architectures.ESRGAN import ESRGAN

    torch.manual_seed(seed)
    return ESRGAN(num_filters=8, num_blocks=1, scale=2).eval()


# -- sizes ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scale", "size"), [(4, (224, 160)), (2, (112, 80)), (1.3, (72, 48)), (0.5, (24, 16))]
)
@pytest.mark.parametrize("name", ["Lanczos", "Nearest", "None", QUICK])
def test_a_factor_gives_a_size_rounded_down_to_multiples_of_eight(
    name: str, scale: float, size: tuple[int, int], photo: Image.Image, resources: dict[str, Any]
) -> None:
    assert upscaling(resources).upscale(photo, name, scale).size == size


def test_a_target_size_is_met_exactly(photo: Image.Image, resources: dict[str, Any]) -> None:
    assert upscaling(resources).upscale_to(photo, QUICK, 101, 77).size == (101, 77)


def test_a_model_runs_again_until_the_picture_is_large_enough(
    photo: Image.Image, resources: dict[str, Any]
) -> None:
    told: list[tuple[int, int]] = []
    small = photo.crop((20, 10, 30, 18))
    result = upscaling(resources, progress=lambda *t: told.append(t)).upscale(small, QUICK, 10)
    assert result.size == (96, 80)
    assert told == [(1, 2), (2, 2)]


def test_a_model_runs_three_times_at_most(photo: Image.Image, resources: dict[str, Any]) -> None:
    told: list[tuple[int, int]] = []
    tiny = photo.crop((20, 10, 22, 12))
    result = upscaling(resources, progress=lambda *t: told.append(t)).upscale(tiny, QUICK, 100)
    assert result.size == (200, 200)
    assert told[-1] == (3, 3)


def test_a_single_pixel_can_be_enlarged(resources: dict[str, Any]) -> None:
    dot = Image.new("RGB", (1, 1), (200, 30, 40))
    result = upscaling(resources).upscale(dot, QUICK, 8)
    assert result.size == (8, 8)
    assert np.abs(np.asarray(result).mean((0, 1)) - (200, 30, 40)).max() < 40


def test_a_result_that_is_too_large_is_refused_before_any_work(
    photo: Image.Image, resources: dict[str, Any]
) -> None:
    with pytest.raises(RequestError, match="megapixels"):
        upscaling(resources).upscale_to(photo, QUICK, 30000, 30000)


def test_transparency_is_kept(photo: Image.Image, resources: dict[str, Any]) -> None:
    alpha = Image.new("L", photo.size, 0)
    alpha.paste(255, (10, 10, 40, 30))
    clear = photo.copy()
    clear.putalpha(alpha)
    result = upscaling(resources).upscale(clear, QUICK, 4)
    assert result.mode == "RGBA"
    assert result.getchannel("A").getpixel((100, 80)) == 255
    assert result.getchannel("A").getpixel((4, 4)) == 0
    opaque = upscaling(resources).upscale(photo, QUICK, 4)
    assert result.convert("RGB").tobytes() == opaque.tobytes()


# -- tiles, interrupts, memory ----------------------------------------------------------------


def test_every_tile_is_told(photo: Image.Image, resources: dict[str, Any]) -> None:
    told: list[tuple[int, int]] = []
    upscaling(resources, 24, progress=lambda *t: told.append(t)).upscale(photo, QUICK, 4)
    assert told == [(number, 6) for number in range(1, 7)]


def test_an_interrupt_ends_the_work_before_the_next_tile(
    photo: Image.Image, resources: dict[str, Any]
) -> None:
    control = JobControl("job")
    told: list[tuple[int, int]] = []

    def progress(done: int, total: int) -> None:
        told.append((done, total))
        control.signal("interrupt")

    with pytest.raises(StopSampling):
        upscaling(resources, 24, progress=progress, control=control).upscale(photo, QUICK, 4)
    assert told == [(1, 6)]


class _LimitedMemory(torch.nn.Module):
    """Doubles pixels, and runs out of memory on pictures with more than `side` pixels a side."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.side = side

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        if max(pixels.shape[2:]) > self.side:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        return pixels.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)


class _Shelf(UpscalerShelf):
    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network = network

    def get(self, *_: Any, **__: Any) -> Any:
        from modules.engine.postprocess.realesrgan import Upsampler

        return Upsampler(self.network, 2, CPU, torch.float32)


def test_tiles_get_smaller_when_memory_runs_out(tmp_path: Path) -> None:
    file = tmp_path / "model.pth"
    file.touch()
    warned: list[str] = []
    picture = Image.effect_noise((300, 200), 60).convert("RGB")
    work = upscaling(one_model(file), 0, warn=warned.append, shelf=_Shelf(_LimitedMemory(100)))
    result = work.upscale(picture, "mine", 2)
    assert result.tobytes() == picture.resize((600, 400), Image.Resampling.NEAREST).tobytes()
    assert len(warned) == 2
    assert "tiles of 75 pixels" in warned[-1]


def test_memory_that_is_too_small_for_any_tile_is_said(tmp_path: Path) -> None:
    file = tmp_path / "model.pth"
    file.touch()
    work = upscaling(one_model(file), 0, shelf=_Shelf(_LimitedMemory(10)))
    with pytest.raises(MemoryExhausted, match="even in small tiles"):
        work.upscale(Image.new("RGB", (300, 200)), "mine", 2)


# -- models -----------------------------------------------------------------------------------


def test_an_unknown_name_is_refused_with_the_names_there_are(
    photo: Image.Image, resources: dict[str, Any]
) -> None:
    with pytest.raises(NotFoundInList, match="Did you mean 'Lanczos'"):
        upscaling(resources).upscale(photo, "Lanzcos", 2)


def test_upscalers_stay_loaded_until_others_take_their_place(
    photo: Image.Image, resources: dict[str, Any], tmp_path: Path
) -> None:
    shelf = UpscalerShelf(places=1)
    small = photo.crop((0, 0, 8, 8))
    for _ in range(3):
        upscaling(resources, shelf=shelf).upscale(small, QUICK, 4)
    assert shelf.loads == 1
    file = tmp_path / "old.safetensors"
    save_file(esrgan_network().state_dict(), file)
    upscaling(one_model(file), shelf=shelf).upscale(small, "mine", 2)
    upscaling(resources, shelf=shelf).upscale(small, QUICK, 4)
    assert shelf.loads == 3


@pytest.mark.parametrize("form", ["safetensors", "zip", "legacy"])
def test_another_architecture_runs_through_spandrel(
    form: str, photo: Image.Image, tmp_path: Path
) -> None:
    network = esrgan_network()
    file = tmp_path / ("2x-old.safetensors" if form == "safetensors" else "2x-old.pth")
    if form == "safetensors":
        save_file(network.state_dict(), file)
    else:
        torch.save(network.state_dict(), file, _use_new_zipfile_serialization=form == "zip")
    result = upscaling(one_model(file)).upscale(photo, "mine", 2)
    pixels = torch.from_numpy(np.asarray(photo).copy()).permute(2, 0, 1)[None] / 255
    with torch.inference_mode():
        expected = network(pixels)[0].clamp(0, 1).mul(255).round().to(torch.uint8)
    assert np.array_equal(np.asarray(result), expected.permute(1, 2, 0).numpy())


def test_a_network_that_works_in_windows_takes_any_size(photo: Image.Image, tmp_path: Path) -> None:
    from modules.engine.compat.torchvision_ops import make_torchvision_importable

    make_torchvision_importable()
    from spandrel.architectures.SwinIR import SwinIR

    network = SwinIR(
        upscale=2,
        img_size=(32, 32),
        window_size=8,
        depths=[2],
        embed_dim=12,
        num_heads=[2],
        mlp_ratio=2,
        upsampler="nearest+conv",
    )
    file = tmp_path / "swin.safetensors"
    save_file({name: part.contiguous() for name, part in network.state_dict().items()}, file)
    odd = photo.crop((0, 0, 45, 37))
    for side in (0, 32):
        work = Upscaling(CPU, one_model(file), {"ESRGAN_tile": 0, "SWIN_tile": side})
        assert work.upscale_to(odd, "mine", 90, 74).size == (90, 74)


def test_a_network_that_fails_at_work_is_named(photo: Image.Image, tmp_path: Path) -> None:
    file = tmp_path / "model.pth"
    file.touch()
    too_wide = torch.nn.Conv2d(4, 4, 3)
    work = upscaling(one_model(file), shelf=_Shelf(too_wide))
    with pytest.raises(ModelLoadError, match="mine: does not work on this picture"):
        work.upscale(photo, "mine", 2)


def test_tiles_of_such_a_network_show_no_seams(photo: Image.Image, tmp_path: Path) -> None:
    file = tmp_path / "2x-old.safetensors"
    save_file(esrgan_network().state_dict(), file)
    options = {"ESRGAN_tile": 32, "ESRGAN_tile_overlap": 24}
    told: list[tuple[int, int]] = []
    whole = upscaling(one_model(file)).upscale(photo, "mine", 2)
    tiled = Upscaling(CPU, one_model(file), options, lambda *t: told.append(t)).upscale(
        photo, "mine", 2
    )
    assert len(told) == told[-1][1] > 1
    difference = np.abs(np.asarray(whole).astype(int) - np.asarray(tiled))
    assert difference.max() <= 6


def test_a_pickle_that_would_run_code_is_refused_and_runs_nothing(
    photo: Image.Image, tmp_path: Path
) -> None:
    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (tmp_path / "ran",)

    file = tmp_path / "evil.pth"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("evil/data.pkl", pickle.dumps({"params": Evil()}, protocol=2))
    with pytest.raises(ModelLoadError, match=r"evil\.pth"):
        upscaling(one_model(file)).upscale(photo, "mine", 2)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("content", [b"", b"<html>", b"PK\x03\x04 cut short"])
def test_a_damaged_file_is_named(content: bytes, photo: Image.Image, tmp_path: Path) -> None:
    file = tmp_path / "broken.pth"
    file.write_bytes(content)
    with pytest.raises(ModelLoadError, match=r"broken\.pth: "):
        upscaling(one_model(file)).upscale(photo, "mine", 2)


def test_a_network_that_is_no_upscaler_is_refused(photo: Image.Image, tmp_path: Path) -> None:
    file = tmp_path / "odd.safetensors"
    save_file({"layer.weight": torch.zeros(3, 3)}, file)
    with pytest.raises(ModelLoadError, match="no architecture that is known"):
        upscaling(one_model(file)).upscale(photo, "mine", 2)


def test_a_missing_file_without_an_address_says_where_it_belongs(
    photo: Image.Image, tmp_path: Path
) -> None:
    with pytest.raises(DownloadFailed, match=r"mine\.pth is missing. Put it into"):
        upscaling(one_model(tmp_path / "mine.pth")).upscale(photo, "mine", 2)
