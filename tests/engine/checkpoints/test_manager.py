"""Loading models: every layout gives the same networks, and a failed load keeps the former one."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from modules.engine.checkpoints import LoadedModel, ModelLoadError, ModelManager
from modules.engine.conditioning import stack
from modules.engine.device import DevicePolicy, choose_policy
from tests.engine.checkpoints.conftest import EnginePaths, tiny
from tests.pickles.hostile import system_call, write_zip
from tests.support.tiny_models import TinyComponents, TinyShape, original_vae

CPU = DevicePolicy(torch.device("cpu"), torch.float32, torch.float32, torch.float32)


@pytest.fixture
def manager(engine_paths: EnginePaths) -> ModelManager:
    return ModelManager(engine_paths, CPU)


@pytest.fixture
def models(engine_paths: EnginePaths) -> Path:
    return engine_paths.checkpoint_dirs[0]


def answers(model: LoadedModel) -> list[torch.Tensor]:
    """What the three networks say to fixed inputs."""
    generator = torch.Generator().manual_seed(5)
    x = torch.randn(2, 4, 8, 8, generator=generator)
    conditioning = stack(model.encode_prompts(("a red (apple:1.3)", "pear")))
    predicted = model.predict(x, torch.tensor([500.5, 20.0]), conditioning)
    pixels = model.decode(x)
    return [conditioning.context, predicted, pixels, model.encode(pixels)]


def same(left: list[torch.Tensor], right: list[torch.Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(left, right, strict=True))


@pytest.mark.parametrize("dtype", ["float16", "float32", "bfloat16"])
def test_folder_and_single_file_with_the_same_weights_answer_the_same(
    manager: ModelManager, models: Path, apple: TinyComponents, dtype: str
) -> None:
    folder = tiny(models, components=apple, dtype=dtype)
    single = tiny(models, components=apple, dtype=dtype, layout="single")
    from_folder = answers(manager.load(folder))
    manager.unload()
    assert same(from_folder, answers(manager.load(single)))


def test_the_networks_answer_exactly_as_diffusers_own(
    manager: ModelManager, models: Path, apple: TinyComponents
) -> None:
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
    from transformers.models.clip.modeling_clip import CLIPTextModel

    folder = tiny(models, components=apple, dtype="float32")
    model = manager.load(folder)
    unet = UNet2DConditionModel.from_pretrained(folder / "unet")
    vae = AutoencoderKL.from_pretrained(folder / "vae")
    text = CLIPTextModel.from_pretrained(folder / "text_encoder")
    x = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(1))
    ids = torch.tensor([[49406, 320, 736, 3055, *[49407] * 73]])
    with torch.no_grad():
        context = text(ids).last_hidden_state
        assert torch.equal(model.conditioner.encode("a red apple").context, context)
        predicted = unet(x, torch.tensor([500.0]), context).sample
        decoded = vae.decode(x / 0.18215).sample.clamp(-1, 1)
        encoded = vae.encode(decoded).latent_dist.mean * 0.18215
    conditioning = model.conditioner.encode("a red apple")
    assert torch.equal(model.predict(x, torch.tensor([500.0]), conditioning), predicted)
    assert torch.equal(model.decode(x), decoded)
    assert torch.equal(model.encode(decoded), encoded)


def test_names_hash_and_sidecar_are_known(
    manager: ModelManager, models: Path, apple: TinyComponents
) -> None:
    single = tiny(models / "fruit", name="apple", components=apple, layout="single")
    single.with_suffix(".easel.json").write_text('{"default_parameters": {"steps": 7}}')
    model = manager.load(single)
    digest = hashlib.sha256(single.read_bytes()).hexdigest()
    assert model.title == f"fruit/apple.safetensors [{digest[:10]}]"
    assert (model.name, model.hash, model.family) == ("fruit_apple", digest[:10], "sd1")
    assert model.default_parameters == {"steps": 7}
    assert (model.latent_channels, model.vae_scale) == (4, 8)
    assert (model.vae_name, model.vae_hash) == (None, None)


def test_progress_rises_from_nothing_to_one(
    manager: ModelManager, models: Path, apple: TinyComponents
) -> None:
    path = tiny(models, components=apple)
    for known in (False, True):
        heard: list[float] = []
        manager.load(path, progress=heard.append)
        assert heard == sorted(heard)
        assert (heard[0], heard[-1]) == (0.0, 1.0)
        assert len(heard) <= 102
        assert len({round(fraction, 1) for fraction in heard}) >= (5 if known else 3)
        manager.unload()


def test_loading_the_same_again_costs_nothing_until_the_file_changes(
    manager: ModelManager, models: Path, apple: TinyComponents, pear: TinyComponents
) -> None:
    path = tiny(models, components=apple, layout="single")
    first = manager.load(path)
    before = answers(first)
    assert manager.load(path) is first
    tiny(models, components=pear, layout="single")
    second = manager.load(path)
    assert second is not first
    assert not same(before, answers(second))


def test_a_swap_between_models_of_one_shape_reuses_the_networks(
    manager: ModelManager, models: Path, apple: TinyComponents, pear: TinyComponents
) -> None:
    apple_path = tiny(models, name="apple", components=apple, dtype="float32")
    pear_path = tiny(models, name="pear", components=pear, dtype="float32")
    first = manager.load(apple_path)
    apples, unet = answers(first), first.networks["unet"]
    second = manager.load(pear_path)
    assert second.networks["unet"] is unet
    fresh = ModelManager(manager.paths, CPU).load(pear_path)
    assert same(answers(second), answers(fresh))
    assert same(apples, answers(manager.load(apple_path)))


def test_a_model_of_another_shape_gets_networks_of_its_own(
    manager: ModelManager, models: Path, apple: TinyComponents
) -> None:
    manager.load(tiny(models, name="apple", components=apple))
    shape = TinyShape(unet_channels=(32, 32, 64), unet_attention=(False, True, True))
    for layout in ("folder", "single"):
        other = tiny(models, name="other", shape=shape, seed=9, layout=layout)
        model = manager.load(other)
        assert model.networks["unet"].config.block_out_channels in ((32, 32, 64), [32, 32, 64])
        assert torch.isfinite(answers(model)[1]).all()


def test_what_shapes_do_not_tell_comes_from_the_sidecar(
    manager: ModelManager, models: Path
) -> None:
    shape = TinyShape(
        unet_heads=4,
        unet_groups=16,
        text_width=128,
        text_heads=4,
        vae_groups=4,
        scaling_factor=1.0,
        vae_mid_attention=False,
    )
    made = {"shape": shape, "seed": 4, "prediction_type": "v_prediction", "zero_terminal_snr": True}
    from_folder = manager.load(tiny(models, name="a", **made))
    expected = answers(from_folder)
    sigmas = from_folder.model_sampling
    from_file = manager.load(tiny(models, name="b", layout="single", **made))
    assert same(expected, answers(from_file))
    for model_sampling in (sigmas, from_file.model_sampling):
        assert model_sampling.prediction_type == "v_prediction"
        assert model_sampling.zero_terminal_snr


def break_nothing_there(path: Path) -> str:
    shutil.rmtree(path)
    return "not there"


def break_shape(path: Path) -> str:
    file = path / "unet" / "diffusion_pytorch_model.safetensors"
    state = load_file(str(file))
    state["conv_in.weight"] = torch.zeros(16, 4, 3, 3)
    save_file(state, str(file))
    return "conv_in.weight"


def break_missing(path: Path) -> str:
    file = path / "vae" / "diffusion_pytorch_model.safetensors"
    state = load_file(str(file))
    del state["decoder.conv_out.bias"]
    save_file(state, str(file))
    return "decoder.conv_out.bias"


def break_integers(path: Path) -> str:
    file = path / "text_encoder" / "model.safetensors"
    state = {key: value.to(torch.int8) for key, value in load_file(str(file)).items()}
    save_file(state, str(file))
    return "quantised"


def break_cut(path: Path) -> str:
    file = path / "unet" / "diffusion_pytorch_model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    return "cut short"


def break_config(path: Path) -> str:
    file = path / "unet" / "config.json"
    config = json.loads(file.read_text())
    file.write_text(json.dumps({**config, "norm_num_groups": 7}))
    return "impossible configuration"


def break_class(path: Path) -> str:
    file = path / "unet" / "config.json"
    config = json.loads(file.read_text())
    file.write_text(json.dumps({**config, "down_block_types": ["os.system", "DownBlock2D"]}))
    return "os.system"


def break_huge(path: Path) -> str:
    file = path / "unet" / "config.json"
    config = json.loads(file.read_text())
    file.write_text(json.dumps({**config, "layers_per_block": 10**9}))
    return "layers_per_block"


def break_json(path: Path) -> str:
    (path / "model_index.json").write_text("{")
    return "model_index.json"


def break_code(path: Path) -> str:
    (path / "pipeline.py").write_text("raise SystemExit")
    return "never run"


def break_schedule(path: Path) -> str:
    (path / "scheduler" / "scheduler_config.json").write_text('{"prediction_type": "magic"}')
    return "magic"


def break_tokenizer(path: Path) -> str:
    file = path / "tokenizer" / "tokenizer.json"
    file.parent.mkdir()
    file.write_text("{}")
    return "tokenizer is not valid"


BREAKAGES: list[Callable[[Path], str]] = [
    break_nothing_there,
    break_shape,
    break_missing,
    break_integers,
    break_cut,
    break_config,
    break_class,
    break_huge,
    break_json,
    break_code,
    break_schedule,
    break_tokenizer,
]


@pytest.mark.parametrize("breakage", BREAKAGES, ids=lambda f: f.__name__)
def test_a_broken_model_is_named_and_the_former_one_goes_on_unchanged(
    manager: ModelManager,
    models: Path,
    apple: TinyComponents,
    pear: TinyComponents,
    breakage: Callable[[Path], str],
) -> None:
    good = manager.load(tiny(models, name="good", components=apple))
    before = answers(good)
    bad = tiny(models, name="bad", components=pear)
    said = breakage(bad)
    with pytest.raises(ModelLoadError) as caught:
        manager.load(bad)
    assert caught.value.name == "bad"
    assert said in caught.value.sentence
    assert "\n" not in caught.value.sentence
    assert manager.current is good
    good.conditioner.forget()
    assert same(before, answers(good))


def test_a_read_error_in_the_middle_of_a_swap_gives_the_former_weights_back(
    manager: ModelManager, models: Path, apple: TinyComponents, pear: TinyComponents
) -> None:
    good = manager.load(tiny(models, name="good", components=apple))
    before = answers(good)
    unet = good.networks["unet"].conv_in.weight.clone()
    other = tiny(models, name="other", components=pear)
    vae = other / "vae" / "diffusion_pytorch_model.safetensors"
    content, overwritten = vae.read_bytes(), []

    def cut() -> None:
        if not torch.equal(unet, good.networks["unet"].conv_in.weight) and not overwritten:
            overwritten.append(True)
            vae.write_bytes(content[: len(content) // 2])

    with pytest.raises(ModelLoadError, match="changed while it was loaded"):
        manager.load(other, tick=cut)
    assert overwritten, "the former weights were in danger"
    assert manager.current is good
    good.conditioner.forget()
    assert same(before, answers(good))


@pytest.mark.parametrize(
    ("left_out", "said"),
    [
        ({"with_vae": False}, "has no VAE; put one"),
        ({"with_text_encoder": False}, "has no text encoder"),
    ],
)
def test_a_single_file_without_a_part_says_which(
    manager: ModelManager, models: Path, apple: TinyComponents, left_out: Any, said: str
) -> None:
    path = tiny(models, components=apple, layout="single", **left_out)
    with pytest.raises(ModelLoadError, match=said):
        manager.load(path)


def test_hostile_files_and_strange_files_are_refused_by_name(
    manager: ModelManager, models: Path
) -> None:
    models.mkdir(parents=True)
    write_zip(models / "evil.ckpt", system_call(models / "ran"))
    with pytest.raises(ModelLoadError, match=r"evil\.ckpt: asks for"):
        manager.load(models / "evil.ckpt")
    save_file({"lora_down.weight": torch.zeros(2, 2)}, str(models / "l.safetensors"))
    with pytest.raises(ModelLoadError, match="LoRA"):
        manager.load(models / "l.safetensors")
    assert manager.current is None


@pytest.mark.parametrize("layout", ["original", "diffusers", "folder"])
def test_a_separate_vae_replaces_the_one_inside_and_can_be_taken_back(
    manager: ModelManager, models: Path, apple: TinyComponents, pear: TinyComponents, layout: str
) -> None:
    path = tiny(models, name="apple", components=apple, dtype="float32")
    pear_folder = tiny(models, name="pear", components=pear, dtype="float32")
    vae = models / "vae.safetensors"
    if layout == "original":
        save_file({k: v.contiguous() for k, v in original_vae(pear).items()}, str(vae))
    elif layout == "diffusers":
        shutil.copy(pear_folder / "vae" / "diffusion_pytorch_model.safetensors", vae)
    else:
        vae = pear_folder / "vae"
    own = manager.load(path)
    with_own = answers(own)
    other = manager.load(path, vae)
    assert other.conditioner is own.conditioner, "encoded prompts stay valid"
    with_other = answers(other)
    assert torch.equal(with_own[1], with_other[1])
    assert not torch.equal(with_own[2], with_other[2])
    assert torch.equal(with_other[2], answers(manager.load(pear_folder))[2])
    back = manager.load(path)
    assert same(with_own, answers(back))
    if layout != "folder":
        again = manager.load(path, vae)
        assert again.vae_name == "vae.safetensors"
        assert again.vae_hash == hashlib.sha256(vae.read_bytes()).hexdigest()[:10]


def test_a_vae_makes_a_checkpoint_without_one_complete(
    manager: ModelManager, models: Path, apple: TinyComponents
) -> None:
    path = tiny(models, components=apple, layout="single", with_vae=False)
    vae = models / "v.safetensors"
    save_file({k: v.half().contiguous() for k, v in original_vae(apple).items()}, str(vae))
    whole = tiny(models, name="whole", components=apple, layout="single")
    assert same(answers(manager.load(path, vae)), answers(manager.load(whole)))


def test_a_vae_of_another_family_is_refused(
    manager: ModelManager, models: Path, apple: TinyComponents
) -> None:
    path = tiny(models, components=apple)
    state = {k: v.contiguous() for k, v in original_vae(apple).items()}
    state["decoder.conv_in.weight"] = torch.zeros(32, 16, 3, 3)
    save_file(state, str(models / "v.safetensors"))
    with pytest.raises(ModelLoadError, match="16 latent channels"):
        manager.load(path, models / "v.safetensors")


def test_unload_frees_and_reload_brings_back(
    manager: ModelManager, models: Path, apple: TinyComponents
) -> None:
    assert manager.reload() is None
    path = tiny(models, components=apple)
    before = answers(manager.load(path))
    manager.unload()
    assert manager.current is None
    model = manager.reload()
    assert model is not None and model.path == path
    assert same(before, answers(model))


def test_thirty_swaps_do_not_grow(
    manager: ModelManager, models: Path, apple: TinyComponents, pear: TinyComponents
) -> None:
    psutil = pytest.importorskip("psutil")
    paths = [
        tiny(models, name="apple", components=apple),
        tiny(models, name="pear", components=pear),
    ]
    process = psutil.Process()
    for number in range(30):
        manager.load(paths[number % 2])
        if number == 9:
            before = process.memory_info().rss
    assert process.memory_info().rss < before * 1.05


def test_the_moving_average_alone_is_enough(
    manager: ModelManager, models: Path, apple: TinyComponents
) -> None:
    path = tiny(models, name="whole", components=apple, layout="single")
    state = {
        "model_ema." + k.removeprefix("model.").replace(".", "")
        if k.startswith("model.diffusion_model.")
        else k: v
        for k, v in load_file(str(path)).items()
    }
    save_file(state, str(models / "ema.safetensors"))
    expected = answers(manager.load(path))
    assert same(expected, answers(manager.load(models / "ema.safetensors")))


def test_no_network_is_asked_for_anything(
    manager: ModelManager, models: Path, apple: TinyComponents, monkeypatch: pytest.MonkeyPatch
) -> None:
    import socket

    def refuse(*arguments: Any, **named: Any) -> None:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    manager.load(tiny(models, components=apple, layout="single"))


def test_formats_follow_the_flags() -> None:
    policy = choose_policy({"use_cpu": ("all",)})
    assert (policy.device.type, policy.unet_dtype) == ("cpu", torch.float32)
    half = choose_policy({"use_cpu": ["all"], "precision": "half"})
    assert (half.unet_dtype, half.vae_dtype) == (torch.float16, torch.float16)
    kept = choose_policy({"use_cpu": ["all"], "precision": "half", "no_half_vae": True})
    assert (kept.unet_dtype, kept.vae_dtype) == (torch.float16, torch.float32)
    full = choose_policy({"use_cpu": ["all"], "precision": "half", "no_half": True})
    assert full.unet_dtype == torch.float32


def test_weights_are_converted_to_the_policys_formats(
    engine_paths: EnginePaths, models: Path, apple: TinyComponents
) -> None:
    policy = DevicePolicy(torch.device("cpu"), torch.bfloat16, torch.float32, torch.float16)
    model = ModelManager(engine_paths, policy).load(tiny(models, components=apple))
    assert model.networks["unet"].dtype == torch.bfloat16
    assert model.networks["vae"].dtype == torch.float32
    assert model.networks["text_encoder"].dtype == torch.float16
    x = torch.randn(1, 4, 8, 8)
    predicted = model.predict(x, torch.tensor([10.0]), model.conditioner.encode("a"))
    assert predicted.dtype == torch.float32
