"""BLIP: a caption for a picture (J. Li et al., 2022), through transformers, from a local folder."""

from __future__ import annotations

import re
from pathlib import Path

import torch
from PIL import Image

from modules.engine.compat.torchvision_ops import make_torchvision_importable
from modules.engine.interrogate.folders import (
    find_folder,
    load_network,
    plain_part,
    read_config,
    weights_of,
)
from modules.engine.interrogate.options import InterrogateOptions
from modules.engine.interrogate.pixels import stretched
from modules.engine.interrogate.wordpieces import WordPieces
from modules.requests.errors import RequestError
from modules.settings.paths import Paths

ADDRESS = "https://huggingface.co/Salesforce/blip-image-captioning-base"
SALESFORCE_FILE = "model_base_caption*.pth"
"""The original file, which A1111 downloads; it needs a vocab.txt beside it."""
BEGINNING = ["a", "picture", "of"]
"""What BLIP was trained to go on from; not part of the caption."""
BERT_BASE = {"num_attention_heads": 12}
"""Where the original file's decoder differs from what transformers takes for granted."""
_HEAD = "text_decoder.cls.predictions"
_TIED = {
    f"{_HEAD}.decoder.weight": "text_decoder.bert.embeddings.word_embeddings.weight",
    f"{_HEAD}.decoder.bias": f"{_HEAD}.bias",
}
_EMBEDDINGS = "vision_model.embeddings"
_RENAMED = (
    (re.compile(r"^visual_encoder\.blocks\."), "vision_model.encoder.layers."),
    (re.compile(r"^visual_encoder\.patch_embed\.proj\."), f"{_EMBEDDINGS}.patch_embedding."),
    (re.compile(r"^visual_encoder\.pos_embed$"), f"{_EMBEDDINGS}.position_embedding"),
    (re.compile(r"^visual_encoder\.cls_token$"), f"{_EMBEDDINGS}.class_embedding"),
    (re.compile(r"^visual_encoder\.norm\."), "vision_model.post_layernorm."),
    (re.compile(r"(?<=layers\.)(\d+)\.attn\.proj\."), r"\1.self_attn.projection."),
    (re.compile(r"(?<=layers\.)(\d+)\.attn\."), r"\1.self_attn."),
    (re.compile(r"(?<=layers\.)(\d+)\.norm([12])\."), r"\1.layer_norm\2."),
)


class Captioner:
    """BLIP with its vocabulary."""

    def __init__(self, paths: Paths, device: torch.device) -> None:
        """
        Raises:
            RequestError: there is no BLIP; the sentence says what to put where.
            ModelFileError: its files are not what they should be.
        """
        make_torchvision_importable()
        from transformers.models.blip.configuration_blip import BlipConfig
        from transformers.models.blip.modeling_blip import BlipForConditionalGeneration

        folder, weights = _files(paths)
        settings = folder / "config.json"
        content = read_config(settings) if settings.is_file() else {}
        config = BlipConfig(
            text_config={**BERT_BASE, **plain_part(content, "text_config", settings)},
            vision_config=plain_part(content, "vision_config", settings),
        )
        self._words = WordPieces.from_folder(folder)
        self._side = config.vision_config.image_size
        self._marks = config.text_config
        self._device = device
        self._network = load_network(
            lambda: BlipForConditionalGeneration(config), weights, device, _in_transformers_names
        )

    @torch.inference_mode()
    def caption(self, image: Image.Image, options: InterrogateOptions) -> str:
        """What the picture shows, in lower-case English."""
        beginning = self._words.numbers(BEGINNING)
        start = [self._marks.bos_token_id, *beginning, self._marks.sep_token_id]
        longest = max(2 + len(beginning), options.interrogate_clip_max_length)
        numbers = self._network.generate(
            stretched(image, self._side).to(self._device),
            input_ids=torch.tensor([start], device=self._device),
            do_sample=False,
            num_beams=max(1, options.interrogate_clip_num_beams),
            min_length=min(options.interrogate_clip_min_length, longest),
            max_length=longest,
        )[0].tolist()
        # The decoder's own start mark has no word in the vocabulary.
        return self._words.text(numbers[1 + len(beginning) :])


def _files(paths: Paths) -> tuple[Path, Path]:
    """The folder with the vocabulary, and the weights file."""
    places = [paths.models / "BLIP", paths.models / "interrogate"]
    folder = find_folder(places)
    if folder is not None:
        weights = weights_of(folder)
        assert weights is not None, "find_folder looked for it"
        return folder, weights
    for place in places:
        original = next(iter(sorted(place.glob(SALESFORCE_FILE))), None)
        if original is not None:
            return place, original
    raise RequestError(
        "interrogate",
        "clip",
        "Interrogate CLIP needs BLIP. Download config.json, pytorch_model.bin and vocab.txt from "
        f"{ADDRESS} and put them into {places[0]}.",
    )


def _in_transformers_names(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    renamed = {}
    for name, tensor in state.items():
        for pattern, replacement in _RENAMED:
            name = pattern.sub(replacement, name)
        renamed[name] = tensor
    for missing, twin in _TIED.items():
        if missing not in renamed and twin in renamed:
            renamed[missing] = renamed[twin]
    return renamed
