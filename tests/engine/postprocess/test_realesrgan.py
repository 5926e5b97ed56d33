"""Real-ESRGAN: the shipped weights, and the package's own class at work."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from modules.engine.postprocess.realesrgan import Upsampler, load_network
from modules.engine.postprocess.upscale import Upscaling
from modules.engine.postprocess.watch import Watch
from tests.engine.postprocess.conftest import DATA

SHIPPED = Path(__file__).resolve().parents[3] / "models" / "RealESRGAN"
ANIME_VIDEO = SHIPPED / "realesr-animevideov3.safetensors"
CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("name", "recorded"),
    [
        ("R-ESRGAN 4x+", "RealESRGAN_x4plus.png"),
        ("R-ESRGAN 4x+ Anime6B", "RealESRGAN_x4plus_anime_6B.png"),
        ("R-ESRGAN AnimeVideo", "realesr-animevideov3.png"),
    ],
)
def test_a_shipped_model_gives_the_picture_that_ncnn_gives(
    name: str, recorded: str, photo: Image.Image, resources: dict[str, Any]
) -> None:
    ours = Upscaling(CPU, resources, {"ESRGAN_tile": 0}).upscale(photo, name, 4)
    theirs = np.asarray(Image.open(DATA / recorded)).astype(int)
    difference = np.abs(np.asarray(ours).astype(int) - theirs)
    assert ours.size == (224, 160)
    # ncnn adds up in another order: a value that lies between two steps may fall either way.
    assert difference.max() <= 1
    assert (difference > 0).mean() < 0.001


@pytest.mark.parametrize("tile", [0, 24])
def test_the_pixels_are_those_of_the_bare_package(
    tile: int, photo: Image.Image, resources: dict[str, Any], tmp_path: Path
) -> None:
    from realesrgan import RealESRGANer
    from realesrgan.archs.srvgg_arch import SRVGGNetCompact

    network, _ = load_network(ANIME_VIDEO, CPU, torch.float32)
    pickled = tmp_path / "weights.pth"
    torch.save({"params": network.state_dict()}, pickled)
    bare = RealESRGANer(
        scale=4,
        model_path=str(pickled),
        model=SRVGGNetCompact(num_conv=16),
        tile=tile,
        tile_pad=8,
        pre_pad=0,
        device=CPU,
    )
    expected, _ = bare.enhance(np.asarray(photo)[:, :, ::-1])
    options = {"ESRGAN_tile": tile, "ESRGAN_tile_overlap": 8}
    ours = Upscaling(CPU, resources, options).upscale(photo, "R-ESRGAN AnimeVideo", 4)
    assert np.array_equal(np.asarray(ours), expected[:, :, ::-1])


def test_the_package_s_class_does_the_work() -> None:
    from realesrgan import RealESRGANer

    assert issubclass(Upsampler, RealESRGANer)
    for inherited in ("enhance", "pre_process", "process", "post_process"):
        assert getattr(Upsampler, inherited) is getattr(RealESRGANer, inherited)


def network_of_blocks() -> torch.nn.Module:
    """A network that reads pixels two by two and doubles the picture."""
    from basicsr.archs.rrdbnet_arch import RRDBNet

    torch.manual_seed(1)
    return RRDBNet(3, 3, scale=2, num_feat=8, num_block=1, num_grow_ch=4).eval()


@pytest.mark.parametrize("size", [(37, 23), (33, 31), (3, 50), (1, 1)])
@pytest.mark.parametrize("tile", [15, 0])
def test_odd_sizes_fit_a_network_that_reads_pixels_in_blocks(
    tile: int, size: tuple[int, int], photo: Image.Image
) -> None:
    upsampler = Upsampler(network_of_blocks(), 2, CPU, torch.float32)
    odd = np.asarray(photo.crop((0, 0, *size)))
    result = upsampler.run(odd, tile=tile, overlap=3, watch=Watch())
    assert result.shape == (size[1] * 2, size[0] * 2, 3)


def test_tiles_are_cut_where_the_package_cuts_them(photo: Image.Image) -> None:
    upsampler = Upsampler(network_of_blocks(), 2, CPU, torch.float32)
    odd = np.asarray(photo.crop((0, 0, 37, 23)))
    ours = upsampler.run(odd, tile=16, overlap=4, watch=Watch())
    upsampler.tile_size, upsampler.tile_pad = 16, 4
    with torch.inference_mode():
        theirs, _ = upsampler.enhance(odd[:, :, ::-1])
    assert np.array_equal(ours, theirs[:, :, ::-1])


def test_it_prints_nothing(
    photo: Image.Image, resources: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    Upscaling(CPU, resources, {"ESRGAN_tile": 32}).upscale(photo, "R-ESRGAN AnimeVideo", 4)
    assert capsys.readouterr().out == ""
