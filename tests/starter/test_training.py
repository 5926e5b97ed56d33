"""The training steps themselves, with three drawings and a few samples."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.starter.test_hues_and_layouts import CONCEPTS, disc
from tools.starter.config import MODEL_FOLDER, Config, on_device


def _drawings() -> np.ndarray:
    """A disc, a cross, a bar: shapes tell them apart, whatever their colours."""
    cross, bar = np.zeros((2, 128, 128, 4), np.uint8)
    cross[52:76, 8:120] = cross[8:120, 52:76] = (140, 150, 155, 255)
    bar[44:84, 4:124] = (120, 60, 180, 255)
    return np.stack([disc((210, 40, 30), 128), cross, bar, disc((9, 9, 9), 128)])


DRAWINGS = _drawings()


@pytest.fixture(scope="module")
def config(tmp_path_factory) -> Config:
    """The packaged model's parts, from which a stretch of training can start."""
    from tools.starter.package import unpack

    made = Config(
        work=tmp_path_factory.mktemp("work"),
        output=MODEL_FOLDER,
        unet_batch=2,
        sampling_steps=1,
        sheet_prompts=2,
        rich_scenes=6,
        wordings=2,
    )
    unpack(made)
    return made


def trained(config: Config, phase: str, samples: int):
    import torch

    from tools.starter.unet import train_unet

    train_unet(config, CONCEPTS, DRAWINGS, 5, phase, samples)
    return torch.load(config.run / f"unet-{phase}.pt")


@pytest.mark.full
def test_a_stretch_starts_from_the_packaged_weights_and_goes_on_after_a_stop(config) -> None:
    first = trained(config, "more", 4)
    assert first["progress"]["seen"] == 4
    assert (config.run / "sheet-more-final.png").exists()
    second = trained(config, "more", 8)
    assert second["progress"]["seen"] == 8
    assert second["progress"]["step"] == 4


def test_fresh_scenes_for_every_batch_train_too(config) -> None:
    state = trained(replace(config, live=True, half=True), "live", 4)
    assert state["progress"]["seen"] == 4
    assert all(value.isfinite().all() for value in state["average"].values())


def test_the_same_number_of_samples_gives_the_same_weights_again(config) -> None:
    import shutil

    def once(phase: str):
        shutil.copyfile(config.run / "start.pt", config.run / "unet.pt")
        return trained(config, phase, 4)["average"]

    shutil.copyfile(config.run / "unet.pt", config.run / "start.pt")
    first, second = once("one"), once("two")
    assert all((first[name] == second[name]).all() for name in first)


def test_a_gpu_gets_large_batches_of_fresh_scenes_in_half_precision() -> None:
    made = on_device(Config(), "cuda")
    assert (made.live, made.half, made.compiled) == (True, True, True)
    assert made.unet_batch > Config().unet_batch
    assert on_device(Config(), "cpu") == Config()


def test_renderings_tell_what_they_show(config) -> None:
    from tools.starter.judge import Renderings

    pixels, shares = Renderings(config, CONCEPTS, DRAWINGS, 1).batch(24)
    assert pixels.shape == (24, 3, 64, 64)
    assert shares.shape == (24, 3)
    assert np.allclose(shares.sum(1), 1)
    assert pixels.min() >= -1 and pixels.max() <= 1


def test_the_judge_ranks_what_it_has_learnt(config) -> None:
    import torch
    from torch.nn import functional

    from tools.starter import steps
    from tools.starter.judge import Examiner, Judge

    pictures = np.full((3, 128, 128, 3), 255, np.uint8)
    for row, drawing in enumerate(DRAWINGS[:3]):
        shown = drawing[..., 3] > 0
        pictures[row][shown] = drawing[shown][:, :3]
    pixels = functional.interpolate(steps.to_pixels(pictures), size=64, mode="area")
    torch.manual_seed(1)
    judge = Judge(torch.eye(3, 384))
    optimiser = torch.optim.AdamW(judge.parameters(), 3e-3)
    for _ in range(30):
        optimiser.zero_grad()
        functional.cross_entropy(judge(pixels), torch.arange(3)).backward()
        optimiser.step()
    labels = ["apple", "dog", "grapes"]
    steps.save_atomically({"labels": labels, "judge": judge.state_dict()}, config.run / "judge.pt")
    examiner = Examiner(config)
    right = examiner.ranks(pictures, [("apple",), ("dog",), ("grapes",)])
    assert (right.top1, right.ranks) == (1.0, ((1,), (1,), (1,)))
    pair = examiner.ranks(pictures[:1], [("apple", "dog")])
    assert pair.ranks[0][0] == 1
    assert pair.top1 == (1.0 if pair.ranks[0][1] == 2 else 0.5)
