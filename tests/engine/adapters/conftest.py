"""A tiny model's networks, adapter files written for them, and one engine for pictures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from modules.engine.adapters.adapter_file import read_adapter
from modules.engine.adapters.fitting import FittedAdapter, fit
from modules.engine.adapters.layer_names import LayerNames
from modules.engine.adapters.merged import ModelAdapters, Strength, Use
from tests.support.tiny_models import tiny_components

LINEAR = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k"
LINEAR_PATH = "down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k"
CONV = "lora_unet_down_blocks_0_resnets_0_conv1"
CONV_PATH = "down_blocks.0.resnets.0.conv1"
TEXT = "lora_te_text_model_encoder_layers_0_self_attn_q_proj"
TEXT_PATH = "encoder.layers.0.self_attn.q_proj"


class Bench:
    """Networks with adapters, and what they were without."""

    def __init__(self, folder: Path, networks: Mapping[str, torch.nn.Module]) -> None:
        self.folder = folder
        self.networks = networks
        self.names = LayerNames(networks)
        self.adapters = ModelAdapters(networks)
        self.before = self.state()
        self._count = 0

    def state(self) -> dict[str, Tensor]:
        return {
            f"{key}.{name}": weight.clone()
            for key, network in self.networks.items()
            for name, weight in network.state_dict().items()
        }

    def layer(self, path: str, network: str = "unet") -> torch.nn.Module:
        return self.networks[network].get_submodule(path)

    def write(self, tensors: Mapping[str, Tensor], metadata: dict[str, str] | None = None) -> Path:
        self._count += 1
        path = self.folder / f"adapter{self._count}.safetensors"
        save_file({k: v.contiguous() for k, v in tensors.items()}, str(path), metadata)
        return path

    def fitted(
        self, tensors: Mapping[str, Tensor], metadata: dict[str, str] | None = None
    ) -> FittedAdapter:
        file = read_adapter(self.write(tensors, metadata))
        return fit(file, self.names, self.networks, "tiny")

    def apply(self, tensors: Mapping[str, Tensor], text: float = 1.0, image: float = 1.0) -> None:
        fitted = self.fitted(tensors)
        assert not fitted.problem, fitted.problem
        self.adapters.apply([Use(fitted, Strength(text, image))])

    def changed(self) -> set[str]:
        now = self.state()
        assert set(now) >= set(self.before)
        return {
            name for name in now if not torch.equal(now[name], self.before.get(name, now[name] + 1))
        }


@pytest.fixture(scope="session")
def _tiny() -> object:
    return tiny_components(3)


@pytest.fixture
def bench(tmp_path: Path, _tiny) -> Bench:  # type: ignore[no-untyped-def]
    networks = {"unet": _tiny.unet, "vae": _tiny.vae, "text_encoder": _tiny.text_encoder}
    made = Bench(tmp_path, networks)
    yield made
    made.adapters.remove_all()
    assert made.changed() == set()


@pytest.fixture
def rand() -> Callable[..., Tensor]:
    """Random numbers that are the same in every run."""
    generator = torch.Generator().manual_seed(11)
    return lambda *shape: torch.randn(*shape, generator=generator) * 0.3
