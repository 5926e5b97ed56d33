"""Checkpoints and VAEs that cannot be used: one sentence, quickly, and the former one works on."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from modules.engine.checkpoints import LoadedModel, ModelLoadError, ModelManager
from modules.engine.checkpoints.residency import ResidencyRules
from modules.engine.device import DevicePolicy
from tests.engine.checkpoints.conftest import EnginePaths, tiny
from tests.engine.checkpoints.test_manager import answers, same
from tests.support.tiny_models import TinyComponents, original_vae

CPU = DevicePolicy(torch.device("cpu"), torch.float32, torch.float32, torch.float32)
WEIGHTS = "diffusion_pytorch_model.safetensors"
SECONDS = 2.0
MEGABYTES = 200


class Bench:
    """A manager with a good model in force, and good files to spoil."""

    def __init__(self, folder: Path, apple: TinyComponents, pear: TinyComponents) -> None:
        self.folder = folder
        self.good = tiny(folder, name="good", components=apple)
        self.file = tiny(folder / "source", name="file", components=pear, layout="single")
        self.tree = tiny(folder / "source", name="tree", components=pear)
        self.vae = folder / "source" / "vae.safetensors"
        save_file({k: v.half().contiguous() for k, v in original_vae(pear).items()}, str(self.vae))
        paths = EnginePaths((folder,), folder / "cache", folder / "VAE-approx")
        self.managers = {
            limit: ModelManager(paths, CPU, hashing=False, rules=ResidencyRules(limit=limit))
            for limit in (1, 2)
        }
        self.models = {limit: one.load(self.good) for limit, one in self.managers.items()}
        self.before = answers(self.models[1])

    def new(self, kind: str) -> Path:
        """A fresh copy: of a "file", a "tree" or a "vae"."""
        source = getattr(self, kind)
        target = self.folder / f"bad{source.suffix}"
        if source.is_dir():
            shutil.rmtree(target, ignore_errors=True)
            return Path(shutil.copytree(source, target))
        return Path(shutil.copy(source, target))


@pytest.fixture(scope="module")
def bench(
    tmp_path_factory: pytest.TempPathFactory, apple: TinyComponents, pear: TinyComponents
) -> Iterator[Bench]:
    yield Bench(tmp_path_factory.mktemp("bad"), apple, pear)


def cut(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)


def spoil(value: float, name: str) -> Callable[[Path], None]:
    """One number of one weight becomes `value`."""

    def change(path: Path) -> None:
        state = load_file(str(path))
        state[name].view(-1)[-1] = value
        save_file(state, str(path))

    return change


def without(prefix: str) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        state = load_file(str(path))
        kept = {name: value for name, value in state.items() if not name.startswith(prefix)}
        save_file(kept, str(path))

    return change


def reshaped(name: str, *shape: int) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        save_file({**load_file(str(path)), name: torch.zeros(shape)}, str(path))

    return change


def other_content(content: dict[str, torch.Tensor]) -> Callable[[Path], None]:
    return lambda path: save_file(content, str(path))


def sharded(spoil_it: Callable[[Path], None]) -> Callable[[Path], None]:
    """The UNet of a folder in two files with an index, which are then spoiled."""

    def change(path: Path) -> None:
        unet = path / "unet"
        state = load_file(str(unet / WEIGHTS))
        names = sorted(state)
        (unet / WEIGHTS).unlink()
        table = {}
        for number, part in enumerate((names[::2], names[1::2]), start=1):
            file = f"diffusion_pytorch_model-0000{number}-of-00002.safetensors"
            save_file({name: state[name] for name in part}, str(unet / file))
            table.update(dict.fromkeys(part, file))
        (unet / f"{WEIGHTS}.index.json").write_text(json.dumps({"weight_map": table}))
        spoil_it(unet)

    return change


def shard(unet: Path) -> Path:
    return unet / "diffusion_pytorch_model-00002-of-00002.safetensors"


UNET = "model.diffusion_model.out.2.bias"
TEXT = "cond_stage_model.transformer.text_model.final_layer_norm.weight"
INSIDE = "first_stage_model.decoder.conv_out.bias"

CHECKPOINTS: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "empty": ("file", lambda path: path.write_bytes(b""), "too short"),
    "text": ("file", lambda path: path.write_bytes(b"<html>" * 99), "not a safetensors file"),
    "half written": ("file", cut, "cut short"),
    "gone": ("file", lambda path: path.unlink(), "not there any more"),
    "a folder of that name": ("file", lambda path: (path.unlink(), path.mkdir()), ""),
    "NaN in the UNet": ("file", spoil(torch.nan, UNET), "NaN"),
    "NaN in the text encoder": ("file", spoil(torch.nan, TEXT), "NaN"),
    "NaN in the VAE": ("file", spoil(torch.nan, INSIDE), "NaN"),
    "infinite numbers": ("file", spoil(-torch.inf, UNET), "infinite"),
    "no text encoder": ("file", without("cond_stage_model."), "text encoder"),
    "no VAE": ("file", without("first_stage_model."), "no VAE"),
    "no UNet": ("file", without("model.diffusion_model."), ""),
    "half a UNet": ("file", without("model.diffusion_model.output_blocks.1."), ""),
    "a strange shape": ("file", reshaped(UNET, 7), UNET),
    "a LoRA": ("file", other_content({"x.lora_down.weight": torch.zeros(2, 2)}), "LoRA"),
    "a shard is missing": ("tree", sharded(lambda u: shard(u).unlink()), "00002-of-00002"),
    "a shard is cut": ("tree", sharded(lambda unet: cut(shard(unet))), "cut short"),
    "a shard lacks weights": (
        "tree",
        sharded(lambda unet: without("conv_in")(shard(unet))),
        "UNet",
    ),
    "no text encoder in a folder": (
        "tree",
        lambda path: shutil.rmtree(path / "text_encoder"),
        "text encoder",
    ),
    "NaN in a folder": (
        "tree",
        lambda p: spoil(torch.nan, "conv_out.bias")(p / "unet" / WEIGHTS),
        "NaN",
    ),
}

VAES: dict[str, tuple[Callable[[Path], object], str]] = {
    "gone": (lambda path: path.unlink(), ""),
    "half written": (cut, "cut short"),
    "NaN": (spoil(torch.nan, "decoder.conv_out.bias"), "NaN"),
    "another family's": (reshaped("decoder.conv_in.weight", 32, 16, 3, 3), "16 latent channels"),
    "a LoRA": (other_content({"x.lora_down.weight": torch.zeros(2, 2)}), "not a VAE"),
    "half a VAE": (without("encoder."), "VAE"),
    "a strange shape": (reshaped("decoder.conv_out.bias", 9), "decoder.conv_out.bias"),
}


def assert_refused(bench: Bench, limit: int, path: Path, vae: Path | None, said: str) -> None:
    """Refused in a sentence, within bounds; the former model works on with the same pixels."""
    psutil = pytest.importorskip("psutil")
    manager, model, named = bench.managers[limit], bench.models[limit], vae or path
    before, started = psutil.Process().memory_info().rss, time.process_time()
    with pytest.raises(ModelLoadError) as caught:
        manager.load(path, vae)
    assert time.process_time() - started < SECONDS
    assert psutil.Process().memory_info().rss - before < MEGABYTES * 2**20
    assert caught.value.sentence.startswith(named.name) and said in caught.value.sentence
    assert "\n" not in caught.value.sentence
    assert_works_on(bench, model, manager)


def assert_works_on(bench: Bench, model: LoadedModel, manager: ModelManager) -> None:
    assert manager.current is model
    model.conditioner.forget()
    assert same(bench.before, answers(model))


@pytest.mark.parametrize(
    ("case", "limit"),
    [(case, 1) for case in CHECKPOINTS]
    + [(case, 2) for case in CHECKPOINTS if "NaN" in case or "infinite" in case],
)
def test_a_checkpoint_that_cannot_be_used_changes_nothing(
    bench: Bench, case: str, limit: int
) -> None:
    kind, change, said = CHECKPOINTS[case]
    path = bench.new(kind)
    change(path)
    assert_refused(bench, limit, path, None, said)
    shutil.rmtree(path, ignore_errors=True)


@pytest.mark.parametrize("case", VAES)
def test_a_vae_that_cannot_be_used_changes_nothing(bench: Bench, case: str) -> None:
    change, said = VAES[case]
    vae = bench.new("vae")
    change(vae)
    assert_refused(bench, 1, bench.good, vae, said)


@pytest.mark.parametrize("limit", [1, 2], ids=["in place", "beside"])
@pytest.mark.parametrize("way", ["cut", "rewritten", "replaced"])
def test_a_file_that_changes_while_it_is_read_is_not_half_believed(
    bench: Bench, way: str, limit: int
) -> None:
    path, count = bench.new("file"), 0
    content = path.read_bytes()

    def change() -> None:
        nonlocal count
        count += 1
        if count == 60:
            if way == "cut":
                os.truncate(path, 5000)
            elif way == "rewritten":
                with path.open("r+b") as file:
                    file.write(content)
                os.utime(path, ns=(1, 1))
            else:
                (bench.folder / "new").write_bytes(content)
                os.replace(bench.folder / "new", path)

    manager = bench.managers[limit]
    with pytest.raises(ModelLoadError, match=r"bad\.safetensors: (changed|ended early)"):
        manager.load(path, tick=change)
    assert_works_on(bench, bench.models[limit], manager)


def test_whoever_wants_nan_may_have_it(bench: Bench) -> None:
    path = bench.new("file")
    spoil(torch.nan, UNET)(path)
    paths = bench.managers[1].paths
    manager = ModelManager(paths, CPU, hashing=False, check_numbers=False)
    assert manager.load(path).name == "bad"


def test_a_file_that_was_found_whole_is_not_examined_twice(bench: Bench) -> None:
    path = bench.new("file")
    fresh = ModelManager(bench.managers[1].paths, CPU, hashing=False)
    fresh.load(path)
    status = path.stat()
    data = bytearray(path.read_bytes())
    data[-2:] = b"\x00\x7e"  # half precision's NaN
    path.write_bytes(bytes(data))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert ModelManager(fresh.paths, CPU, hashing=False).load(path).name == "bad"
    os.utime(path)
    with pytest.raises(ModelLoadError, match="NaN"):
        ModelManager(fresh.paths, CPU, hashing=False).load(path)
