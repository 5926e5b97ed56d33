"""Latents and pixels: decoding, repair of NaN, tiling, previews by linear factors and TAESD."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from modules.engine.checkpoints import LoadedModel, ModelManager, NotANumberError
from modules.engine.checkpoints.preview import PreviewFactors, fit, patchwork, preview_factors
from modules.engine.checkpoints.taesd import TaesdFiles
from modules.engine.checkpoints.vae_codec import VaeCodec
from modules.engine.device import DevicePolicy
from tests.engine.checkpoints.conftest import EnginePaths, tiny
from tests.support.tiny_models import TinyComponents

CPU = DevicePolicy(torch.device("cpu"), torch.float32, torch.float32, torch.float32)


@pytest.fixture
def model(engine_paths: EnginePaths, apple: TinyComponents) -> LoadedModel:
    manager = ModelManager(engine_paths, CPU, hashing=False)
    return manager.load(tiny(engine_paths.checkpoint_dirs[0], components=apple))


def latents(seed: int = 0, batch: int = 2) -> torch.Tensor:
    return torch.randn(batch, 4, 8, 8, generator=torch.Generator().manual_seed(seed))


def test_a_batch_decodes_to_exactly_its_pictures_alone(model: LoadedModel) -> None:
    batch = latents()
    pixels = model.decode(batch)
    assert pixels.shape == (2, 3, 64, 64)
    assert pixels.dtype == torch.float32
    assert pixels.abs().max() <= 1
    assert torch.equal(pixels[1:], model.decode(batch[1:]))
    assert torch.equal(model.encode(pixels)[1:], model.encode(pixels[1:]))


def test_encoding_samples_with_the_given_noise_only(model: LoadedModel) -> None:
    pixels = model.decode(latents())
    mean = model.encode(pixels)
    assert torch.equal(mean, model.encode(pixels))
    assert torch.equal(mean, model.encode(pixels, torch.zeros_like(mean)))
    assert not torch.equal(mean, model.encode(pixels, torch.ones_like(mean)))


def test_nan_latents_are_an_error_that_says_so(model: LoadedModel) -> None:
    broken = latents()
    broken[1, 0, 0, 0] = float("nan")
    with pytest.raises(NotANumberError, match="denoising network"):
        model.decode(broken)


def overflowing(model: LoadedModel) -> VaeCodec:
    """A VAE that overflows half precision but not float32."""
    vae = model.networks["vae"]
    with torch.no_grad():
        vae.decoder.conv_in.weight.mul_(3e4)
        vae.decoder.conv_in.bias.mul_(3e4)
    return VaeCodec(vae.half(), model.plan.components["vae"].config)


def test_a_vae_that_overflows_in_half_precision_is_repaired_once_and_told(
    model: LoadedModel,
) -> None:
    codec = overflowing(model)
    pixels = codec.decode(latents(batch=1) * 5)
    assert torch.isfinite(pixels).all()
    assert codec.network.dtype == torch.float32
    assert len(codec.notes) == 1 and "float32" in codec.notes[0]
    codec.decode(latents(batch=1))
    assert len(codec.notes) == 1


def test_without_repair_nan_is_an_error(model: LoadedModel) -> None:
    codec = overflowing(model)
    with pytest.raises(NotANumberError, match="VAE"):
        codec.decode(latents(batch=1) * 5, repair=False)
    assert codec.network.dtype == torch.float16


def test_notes_are_handed_out_once(model: LoadedModel) -> None:
    model.codec.notes.append("something")
    assert model.take_notes() == ["something"]
    assert model.take_notes() == []


def test_tiling_makes_pictures_wrap_around_and_is_undone_exactly(model: LoadedModel) -> None:
    z = latents(batch=1)
    context = model.conditioner.encode("a")
    time = torch.tensor([300.0])
    plain = model.decode(z), model.predict(z, time, context)
    model.set_tiling(True)
    tiled = model.decode(z), model.predict(z, time, context)
    # What wraps around may be rolled before or after: the seams are nowhere.
    rolled = model.decode(z.roll((4, 4), (2, 3))).roll((-32, -32), (2, 3))
    assert torch.allclose(tiled[0], rolled, atol=1e-4)
    moved = model.predict(z.roll(4, 3), time, context).roll(-4, 3)
    assert torch.allclose(tiled[1], moved, atol=1e-4)
    model.set_tiling(False)
    assert torch.equal(model.decode(z), plain[0])
    assert torch.equal(model.predict(z, time, context), plain[1])
    assert not torch.equal(tiled[0], plain[0])


class LinearVae(torch.nn.Module):
    """Latents that are a linear map of the mean colour, so that the factors are known."""

    device = torch.device("cpu")
    dtype = torch.float32

    def __init__(self) -> None:
        super().__init__()
        self.map = torch.tensor([[1.0, 0.5, 0], [0, 1, 0.5], [0.2, 0, 1], [0.3, 0.3, 0.3]])

    def encode(self, pixels: torch.Tensor, return_dict: bool) -> tuple[LinearVae]:
        small = torch.nn.functional.avg_pool2d(pixels, 8)
        self.mean = torch.einsum("bchw,lc->blhw", small, self.map) + 0.1
        return (self,)


def test_preview_factors_recover_a_known_linear_vae() -> None:
    config = {"latent_channels": 4, "block_out_channels": [1] * 4, "scaling_factor": 0.5}
    codec = VaeCodec(LinearVae(), config)
    factors = fit(codec)
    picture = patchwork(64, 16)
    z = codec.encode(picture[None])
    expected = torch.nn.functional.avg_pool2d(picture[None], 8)
    assert torch.allclose(factors.apply(z), expected, atol=0.02)


def test_preview_factors_are_kept_on_disk_for_each_vae(
    model: LoadedModel, engine_paths: EnginePaths
) -> None:
    factors = model.preview_rgb
    rgb = factors.apply(latents())
    assert rgb.shape == (2, 3, 8, 8) and rgb.abs().max() <= 1
    (file,) = (engine_paths.cache / "preview").iterdir()
    kept = preview_factors(model.codec, engine_paths.cache)
    assert torch.allclose(kept.weights, factors.weights)
    content = json.loads(file.read_text())
    file.write_text(json.dumps({**content, "bias": [9.0, 9.0, 9.0]}))
    assert preview_factors(model.codec, engine_paths.cache).bias.tolist() == [9, 9, 9]
    file.write_text("{")
    again = preview_factors(model.codec, engine_paths.cache)
    assert torch.allclose(again.weights, factors.weights)
    with torch.no_grad():
        model.networks["vae"].decoder.conv_out.weight.add_(1)
    preview_factors(model.codec, engine_paths.cache)
    assert len(list((engine_paths.cache / "preview").iterdir())) == 2


def test_factors_apply_a_matrix_and_a_bias() -> None:
    weights = torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0]])
    factors = PreviewFactors(weights, torch.tensor([0.0, 0.1, 5.0]))
    z = torch.full((1, 4, 1, 1), 0.5)
    assert factors.apply(z).flatten().tolist() == pytest.approx([0.5, 0.6, 1.0])


def tiny_autoencoder(channels: int = 4) -> torch.nn.Module:
    from modules.engine.compat.torchvision_ops import make_torchvision_importable

    make_torchvision_importable()
    from diffusers.models.autoencoders.autoencoder_tiny import AutoencoderTiny

    torch.manual_seed(3)
    widths, blocks = (8, 8, 8, 8), (3, 3, 3, 1)
    return AutoencoderTiny(
        encoder_block_out_channels=widths,
        decoder_block_out_channels=widths,
        num_encoder_blocks=blocks[::-1],
        num_decoder_blocks=blocks,
        latent_channels=channels,
    ).eval()


def taesd(folder: Path, family: str = "sd1", channels: int = 4) -> TaesdFiles:
    return TaesdFiles(folder, family, channels, torch.device("cpu"), torch.float32)


@pytest.mark.parametrize("layout", ["original", "pth", "diffusers", "folder"])
@pytest.mark.parametrize(("family", "stem"), [("sd1", "taesd"), ("sdxl", "taesdxl")])
def test_taesd_works_as_diffusers_does_from_any_layout(
    tmp_path: Path, layout: str, family: str, stem: str
) -> None:
    network = tiny_autoencoder()
    state = network.state_dict()
    if layout in ("original", "pth"):
        for side, clamps in (("decoder", 1), ("encoder", 0)):
            original = {}
            for key, value in state.items():
                if key.startswith(side):
                    number, rest = key.removeprefix(f"{side}.layers.").split(".", 1)
                    original[f"{int(number) + clamps}.{rest}"] = value
            if layout == "pth":
                torch.save(original, tmp_path / f"{stem}_{side}.pth")
            else:
                save_file(original, str(tmp_path / f"{stem}_{side}.safetensors"))
    elif layout == "diffusers":
        save_file(state, str(tmp_path / f"{stem}.safetensors"))
    else:
        network.save_pretrained(tmp_path / stem)
    found = taesd(tmp_path, family)
    decoder, encoder = found.decoder(), found.encoder()
    assert decoder is not None and encoder is not None
    with torch.no_grad():
        expected = network.decode(latents()).sample.clamp(-1, 1)
        encoded = network.encode(expected).latents
    assert torch.allclose(decoder.decode(latents()), expected, atol=1e-6)
    assert torch.allclose(encoder.encode(expected), encoded, atol=1e-5)
    assert found.decoder().network is decoder.network, "it is read once"
    assert taesd(tmp_path, "flux").decoder() is None, "each family has its own"


def test_taesd_is_passed_over_when_it_is_missing_broken_or_for_another_family(
    tmp_path: Path, model: LoadedModel, caplog: pytest.LogCaptureFixture
) -> None:
    assert model.taesd.decoder() is None and model.taesd.encoder() is None
    found = taesd(tmp_path)
    assert found.decoder() is None
    save_file(tiny_autoencoder(16).state_dict(), str(tmp_path / "taesd.safetensors"))
    assert found.decoder() is None and found.encoder() is None
    assert "16 latent channels" in caplog.text
    (tmp_path / "taesd.safetensors").write_bytes(b"x" * 100)
    assert found.decoder() is None
    save_file({"a": torch.zeros(1)}, str(tmp_path / "taesd_decoder.safetensors"))
    assert found.decoder() is None
    save_file(tiny_autoencoder().state_dict(), str(tmp_path / "taesd.safetensors"))
    assert found.decoder() is not None, "a file that comes later is found"
