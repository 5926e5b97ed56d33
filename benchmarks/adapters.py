"""What a LoRA costs on a model of SD 1.5's size: reading, merging, other strengths, taking it out.

Processor seconds, which other programs disturb little. The file has kohya's usual layers (every
projection of the attention and of the MLPs, 192 in the UNet and 72 in the text encoder) at rank 32
in fp16. Once merged it costs nothing while pictures are made; the figures here are per change.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.machine import resident_mb
from benchmarks.plan import Plan
from benchmarks.steps import provide_sd15

if TYPE_CHECKING:
    import torch

RANK = 32
NAME = "lora.safetensors"


def measure(plan: Plan) -> dict[str, object]:
    """All figures, in seconds of processor time."""
    import torch

    from modules.engine.adapters.files import AdapterFiles
    from modules.engine.adapters.merged import Strength, Use
    from modules.engine.runner import Engine
    from modules.settings.flags import parse_flags
    from modules.settings.paths import Paths

    paths = Paths.from_flags(parse_flags(["--data-dir", str(plan.data / "adapters")]))
    engine = Engine(paths, {"no_hashing": True}, lambda event: None)
    torch.set_num_threads(plan.threads)
    model = engine.load(str(provide_sd15(plan)))
    file = write_lora(plan.data / NAME, model.networks)
    files = AdapterFiles(paths.cache)
    figures: dict[str, object] = {"lora_file_mb": file.stat().st_size >> 20}
    before = resident_mb(os.getpid())
    read, figures["lora_read_s"] = _timed(lambda: files.read(file))
    fitted, figures["lora_fit_s"] = _timed(lambda: files.fitted(read, model.networks, model.name))

    def apply(*strengths: float) -> None:
        model.adapters.apply([Use(fitted, Strength(one, one)) for one in strengths])

    _, figures["lora_merge_s"] = _timed(lambda: apply(0.8))
    figures["lora_memory_mb"] = resident_mb(os.getpid()) - before
    _, figures["lora_other_strength_s"] = _timed(lambda: apply(0.4))
    _, figures["lora_unchanged_s"] = _timed(lambda: apply(0.4))
    _, figures["lora_two_s"] = _timed(lambda: apply(0.4, 0.3))
    _, figures["lora_remove_s"] = _timed(model.adapters.remove_all)
    plan.say(", ".join(f"{name} {value}" for name, value in figures.items()))
    return figures


def write_lora(path: Path, networks: Mapping[str, torch.nn.Module]) -> Path:
    """A random file with the layers that kohya's trainer takes by default."""
    import torch
    from safetensors.torch import save_file

    tensors: dict[str, torch.Tensor] = {}
    for key, prefix in (("unet", "lora_unet_"), ("text_encoder", "lora_te_text_model_")):
        for name, module in networks[key].named_modules():
            inside = ".attentions." in name if key == "unet" else name.startswith("encoder.")
            if not inside or not isinstance(module, (torch.nn.Linear, torch.nn.Conv2d)):
                continue
            outputs, inputs = module.weight.shape[:2]
            tail = module.weight.shape[2:]
            layer = prefix + name.replace(".", "_")
            up, down = torch.randn(outputs, RANK, *tail), torch.randn(RANK, inputs, *tail)
            tensors[f"{layer}.lora_up.weight"] = (up / 100).half()
            tensors[f"{layer}.lora_down.weight"] = (down / 100).half()
            tensors[f"{layer}.alpha"] = torch.tensor(16.0)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, str(path))
    return path


def _timed(work: Callable[[], object]) -> tuple[object, float]:
    begun = time.process_time()
    result = work()
    return result, round(time.process_time() - begun, 3)
