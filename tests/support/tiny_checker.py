"""A tiny safety checker of the true architecture with random weights."""

from __future__ import annotations

import json
from pathlib import Path

VISION = {
    "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2,
    "image_size": 32, "patch_size": 8, "projection_dim": 16,
}  # fmt: skip


def write_checker(folder: Path, *, fires: bool, nested: bool = True) -> None:
    """A checker whose thresholds no picture reaches, or every picture does."""
    import torch
    from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
    from safetensors.torch import save_file
    from transformers.models.clip.configuration_clip import CLIPConfig

    torch.manual_seed(0)
    network = StableDiffusionSafetyChecker(CLIPConfig(vision_config=VISION, projection_dim=16))
    with torch.no_grad():
        network.concept_embeds_weights.fill_(-2.0 if fires else 2.0)
        network.special_care_embeds_weights.fill_(2.0)
    state = network.state_dict()
    if nested:  # as the published file names them
        state = {
            name.replace("vision_model.", "vision_model.vision_model.", 1): tensor
            for name, tensor in state.items()
        }
        state["vision_model.vision_model.embeddings.position_ids"] = torch.arange(17)[None]
    folder.mkdir(parents=True, exist_ok=True)
    save_file(
        {name: tensor.contiguous() for name, tensor in state.items()}, folder / "model.safetensors"
    )
    config = {"model_type": "clip", "projection_dim": 16, "vision_config": VISION}
    (folder / "config.json").write_text(json.dumps(config))
