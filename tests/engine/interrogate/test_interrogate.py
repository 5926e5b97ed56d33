"""Captions and tags from local files: real networks, tiny ones with random weights."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torch.nn import functional

from modules.engine.checkpoints.errors import ModelLoadError
from modules.engine.compat.torchvision_ops import make_torchvision_importable
from modules.engine.interrogate import InterrogateOptions, Interrogator
from modules.engine.interrogate.deepdanbooru import COUNT, DeepDanbooruNetwork
from modules.engine.interrogate.pixels import centred, stretched
from modules.engine.interrogate.tags import prompt_of_tags
from modules.engine.interrogate.wordpieces import WordPieces
from modules.requests.errors import NotFoundInList, RequestError
from modules.settings.flags import parse_flags
from modules.settings.paths import Paths

make_torchvision_importable()

CPU = torch.device("cpu")
WORDS = [
    "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "picture", "of", "red", "round",
    "apple", "##s", "on", "table", ",", ".", "'", "-", "wood", "##en",
]  # fmt: skip
TEXT = {
    "vocab_size": 24, "hidden_size": 16, "encoder_hidden_size": 16, "intermediate_size": 32,
    "num_hidden_layers": 2, "num_attention_heads": 2, "max_position_embeddings": 64,
    "bos_token_id": 22, "sep_token_id": 3, "eos_token_id": 3, "pad_token_id": 0,
}  # fmt: skip
VISION = {
    "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
    "image_size": 32, "patch_size": 8,
}  # fmt: skip


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths.from_flags(parse_flags(["--data-dir", str(tmp_path)]))


@pytest.fixture
def picture() -> Image.Image:
    gradient = np.linspace(0, 255, 40 * 60 * 3).reshape(40, 60, 3).astype(np.uint8)
    return Image.fromarray(gradient)


def tiny_blip():
    from transformers import BlipConfig, BlipForConditionalGeneration

    torch.manual_seed(3)
    config = BlipConfig(text_config=TEXT, vision_config=VISION)
    return BlipForConditionalGeneration(config).eval()


def save_blip(folder: Path, network, *, safetensors: bool = True) -> None:
    folder.mkdir(parents=True)
    config = {"text_config": TEXT, "vision_config": VISION, "auto_map": {"x": "evil.py"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "vocab.txt").write_text("\n".join(WORDS))
    state = network.state_dict()
    if safetensors:
        from safetensors.torch import save_file

        # As published: what is tied to another weight is left out.
        kept = {k: v.contiguous() for k, v in state.items() if ".predictions.decoder." not in k}
        save_file(kept, folder / "model.safetensors")
    else:
        torch.save(state, folder / "pytorch_model.bin")


def reference_caption(network, picture: Image.Image) -> str:
    numbers = network.generate(
        stretched(picture, 32),
        input_ids=torch.tensor([[22, 5, 6, 7, 3]]),
        do_sample=False,
        min_length=10,
        max_length=14,
    )[0].tolist()
    return WordPieces(WORDS).text(numbers[4:])


SHORT = {"interrogate_clip_min_length": 10, "interrogate_clip_max_length": 14}


@pytest.mark.parametrize("safetensors", [True, False])
def test_a_caption_is_what_transformers_generates(paths, picture, safetensors):
    network = tiny_blip()
    save_blip(paths.models / "BLIP" / "base", network, safetensors=safetensors)
    caption = Interrogator(paths, CPU).describe(picture, "clip", SHORT)
    assert caption == reference_caption(network, picture)
    assert len(caption.split()) > 3


def test_the_original_file_of_blip_is_read_too(paths, picture):
    network = tiny_blip()
    folder = paths.models / "BLIP"
    save_blip(folder, network)
    (folder / "model.safetensors").unlink()
    original = {original_name(name): value for name, value in network.state_dict().items()}
    torch.save({"model": original}, folder / "model_base_caption_capfilt_large.pth")
    caption = Interrogator(paths, CPU).describe(picture, "clip", SHORT)
    assert caption == reference_caption(network, picture)


def original_name(name: str) -> str:
    """A weight's name in Salesforce's code."""
    for new, old in (
        ("vision_model.encoder.layers.", "visual_encoder.blocks."),
        ("vision_model.embeddings.patch_embedding", "visual_encoder.patch_embed.proj"),
        ("vision_model.embeddings.position_embedding", "visual_encoder.pos_embed"),
        ("vision_model.embeddings.class_embedding", "visual_encoder.cls_token"),
        ("vision_model.post_layernorm", "visual_encoder.norm"),
    ):
        name = name.replace(new, old)
    if name.startswith("visual_encoder"):
        name = name.replace("self_attn.projection", "attn.proj").replace("self_attn", "attn")
        name = name.replace("layer_norm", "norm")
    return name


def save_clip(folder: Path) -> None:
    from safetensors.torch import save_file
    from transformers import CLIPConfig, CLIPModel

    torch.manual_seed(5)
    text = {**TEXT, "vocab_size": 49408, "max_position_embeddings": 77, "eos_token_id": 49407}
    text["projection_dim"] = 8
    config = {"text_config": text, "vision_config": VISION, "projection_dim": 8}
    network = CLIPModel(CLIPConfig(**config))
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config))
    save_file(
        {k: v.contiguous() for k, v in network.state_dict().items()}, folder / "model.safetensors"
    )


def test_clip_adds_the_best_lines_of_every_list(paths, picture):
    save_blip(paths.models / "BLIP", tiny_blip())
    save_clip(paths.models / "CLIP" / "vit")
    lists = paths.data / "interrogate"
    lists.mkdir()
    (lists / "artists.txt").write_text("by van gogh\nby monet\n\nby klimt\n")
    (lists / "flavors.top2.txt").write_text("oil\nwatercolour\npastel\n")
    (lists / "mediums.txt").write_text("a photo\na drawing\n")
    interrogator = Interrogator(paths, CPU)
    options = {**SHORT, "interrogate_clip_skip_categories": ["mediums"]}
    caption, *lines = interrogator.describe(picture, "clip", options).rsplit(", ", 3)
    assert caption == interrogator.describe(picture, "clip", SHORT).rsplit(", ", 4)[0]
    assert lines[0].startswith("by ")
    assert len(set(lines[1:]) & {"oil", "watercolour", "pastel"}) == 2
    ranked = interrogator.describe(picture, "clip", {**options, "interrogate_return_ranks": True})
    assert f"({lines[0]}:" in ranked


def test_the_lists_are_ranked_as_transformers_would(paths, picture):
    from transformers import CLIPConfig, CLIPModel

    from modules.engine.interrogate.ranking import BEGIN, END, Ranker, WordList
    from modules.engine.weight_files import read_weights
    from modules.prompts.tokens import PromptTokenizer

    folder = paths.models / "CLIP"
    save_clip(folder)
    config = json.loads((folder / "config.json").read_text())
    network = CLIPModel(CLIPConfig(**config)).eval()
    network.load_state_dict(read_weights(folder / "model.safetensors"))
    words = ("a red apple", "a blue boat", "two dogs, running")
    tokenizer = paths.configs / "tokenizers" / "clip"
    encoded = [[BEGIN, *PromptTokenizer.from_folder(tokenizer).encode(w), END] for w in words]
    numbers = torch.tensor([row + [END] * (77 - len(row)) for row in encoded])
    with torch.inference_mode():
        out = network(input_ids=numbers, pixel_values=centred(picture, 32))
        pairs = out.image_embeds @ out.text_embeds.T
    expected = (100 * pairs).softmax(dim=-1)[0].tolist()
    ranked = Ranker(folder, tokenizer, CPU).rank(picture, [WordList("x", 3, words)])
    assert dict(ranked) == pytest.approx(dict(zip(words, expected, strict=True)), abs=1e-4)


# -- DeepDanbooru ---------------------------------------------------------------------------------

TAGS = ["1girl", "red_apple", "smile_(open)", "tree", "rating:safe"]


def tiny_shapes() -> dict[int, tuple[int, ...]]:
    """Shapes of resnet_custom_v3 at a sixty-fourth of its width (at least 2)."""
    shapes = {0: (2, 3, 7, 7)}
    number, width = 1, 2
    for blocks, wide, narrow, late in (
        (3, 4, 2, False), (8, 8, 2, False), (20, 16, 4, False),
        (20, 16, 4, True), (3, 32, 8, False), (3, 64, 16, False),
    ):  # fmt: skip
        for block in range(blocks):
            chain = [(narrow, width, 1, 1), (narrow, narrow, 3, 3), (wide, narrow, 1, 1)]
            shortcut = [(wide, width, 1, 1)] if block == 0 else []
            for shape in (chain + shortcut) if late else (shortcut + chain):
                shapes[number] = shape
                number += 1
            width = wide
    shapes[number] = (len(TAGS), width, 1, 1)
    return shapes


def tiny_state() -> dict[str, object]:
    torch.manual_seed(11)
    state: dict[str, object] = {"tags": TAGS}
    for number, shape in tiny_shapes().items():
        state[f"n_Conv_{number}.weight"] = torch.randn(shape) * (1.2 / np.prod(shape[1:]) ** 0.5)
        if number != COUNT - 1:
            state[f"n_Conv_{number}.bias"] = torch.randn(shape[0]) * 0.1
    return state


def straightforward(state, pixels):
    """The network written out by its list of layers, with other means than the room's own."""

    def conv(number, x, stride=1, pads=(0, 0, 0, 0)):
        x = nn.ZeroPad2d(pads)(x)
        weight, bias = state[f"n_Conv_{number}.weight"], state.get(f"n_Conv_{number}.bias")
        return functional.conv2d(x, weight, bias, stride)

    x = conv(0, pixels, 2, (2, 3, 2, 3)).relu()
    x = functional.max_pool2d(nn.ConstantPad2d((0, 1, 0, 1), -1e9)(x), 3, 2)
    shortcuts, halving = {1, 11, 36, 100, 158, 168}, {11, 36, 97, 158, 168}
    number = 1
    while number < 178:
        stride = 2 if number in halving else 1
        side, first = x, number
        if number in shortcuts:
            side, first = conv(number, x, stride), number + 1
        y = conv(first, x).relu()
        y = conv(first + 1, y, stride, (0, 1, 0, 1) if stride == 2 else (1, 1, 1, 1)).relu()
        y = conv(first + 2, y)
        number = first + 3
        if number == 100:
            side, number = conv(100, x, 2), 101
        x = (y + side).relu()
    return conv(178, x).mean((2, 3)).sigmoid()


def test_the_network_is_deepdanboorus(paths):
    state = tiny_state()
    assert max(tiny_shapes()) == COUNT - 1
    network = DeepDanbooruNetwork(tiny_shapes()).eval()
    weights = {
        name.replace("n_Conv_", "convolutions."): value
        for name, value in state.items()
        if name != "tags"
    }
    network.load_state_dict(weights, strict=True)
    pixels = torch.rand(1, 3, 512, 512)
    with torch.inference_mode():
        ours, plain = network(pixels), straightforward(state, pixels)
    assert torch.allclose(ours, plain, atol=1e-5)
    assert ours.std() > 1e-3, "the weights must make a difference"


def test_tags_come_from_the_file(paths, picture):
    folder = paths.models / "torch_deepdanbooru"
    folder.mkdir(parents=True)
    torch.save(tiny_state(), folder / "model-resnet_custom_v3.pt")
    every = {"interrogate_deepbooru_score_threshold": 0.0}
    assert Interrogator(paths, CPU).describe(picture, "deepdanbooru", every) == (
        r"1girl, red apple, smile \(open\), tree"
    )


def test_a_data_set_is_captioned_with_the_model_loaded_once(paths, picture, tmp_path, monkeypatch):
    from modules.engine.interrogate import interrogator
    from tests.engine.postprocess.test_extras_job import Bench

    folder = paths.models / "torch_deepdanbooru"
    folder.mkdir(parents=True)
    torch.save(tiny_state(), folder / "model-resnet_custom_v3.pt")
    loads = []

    class Counted(interrogator.Tagger):
        def __init__(self, *arguments):
            loads.append(arguments)
            super().__init__(*arguments)

    monkeypatch.setattr(interrogator, "Tagger", Counted)
    bench = Bench(tmp_path, paths, {})
    bench.options["interrogate_deepbooru_score_threshold"] = 0.0
    caption = {"caption": "deepdanbooru"}
    done = bench.run({"a.png": picture, "b.png": picture.rotate(90)}, dataset=caption)
    assert [event.facts["caption"][:5] for event in done] == ["1girl", "1girl"]
    assert len(loads) == 1
    assert interrogator.shared_interrogator(paths, CPU)._tagger is None, "given back at the end"


def test_tags_are_written_as_the_settings_say():
    chances = {"tree": 0.6, "1girl": 0.9, "smile_(open)": 0.7, "sky": 0.4, "red_hat": 0.8}

    def written(**options):
        return prompt_of_tags(chances, InterrogateOptions.of(options))

    assert written() == r"1girl, red hat, smile \(open\), tree"
    assert written(deepbooru_sort_alpha=False) == r"1girl, red hat, smile \(open\), tree"
    assert written(interrogate_deepbooru_score_threshold=0.75) == "1girl, red hat"
    assert written(deepbooru_use_spaces=False, deepbooru_escape=False) == (
        "1girl, red_hat, smile_(open), tree"
    )
    assert written(deepbooru_filter_tags="red hat, tree") == r"1girl, smile \(open\)"
    assert written(interrogate_return_ranks=True).startswith("(1girl:0.900), (red hat:0.800)")


# -- what is missing or wrong ---------------------------------------------------------------------


def test_missing_models_are_named_with_their_address_and_folder(paths, picture):
    interrogator = Interrogator(paths, CPU)
    with pytest.raises(RequestError) as blip:
        interrogator.describe(picture, "clip")
    assert "blip-image-captioning-base" in blip.value.sentence
    assert str(paths.models / "BLIP") in blip.value.sentence
    with pytest.raises(RequestError) as booru:
        interrogator.describe(picture, "deepbooru")
    assert "model-resnet_custom_v3.pt" in booru.value.sentence
    assert str(paths.models / "torch_deepdanbooru") in booru.value.sentence
    with pytest.raises(NotFoundInList, match="clip, deepdanbooru"):
        interrogator.describe(picture, "gpt")


def test_wrong_files_are_refused_in_a_sentence(paths, picture):
    folder = paths.models / "torch_deepdanbooru"
    folder.mkdir(parents=True)
    torch.save({"n_Conv_0.weight": torch.ones(2, 3, 7, 7)}, folder / "model-resnet_custom_v3.pt")
    with pytest.raises(ModelLoadError, match="is not DeepDanbooru's"):
        Interrogator(paths, CPU).describe(picture, "deepdanbooru")
    save_blip(paths.models / "BLIP", tiny_blip())
    config = paths.models / "BLIP" / "config.json"
    config.write_text(json.dumps({"text_config": {**TEXT, "hidden_size": 32}}))
    with pytest.raises(ModelLoadError, match=r"does not fit its configuration|lacks the"):
        Interrogator(paths, CPU).describe(picture, "clip")
    config.write_text("[1, 2")
    with pytest.raises(ModelLoadError, match=r"config\.json"):
        Interrogator(paths, CPU).describe(picture, "clip")


def test_the_engines_command_is_answered(paths, picture, tmp_path):
    save_blip(paths.models / "BLIP", tiny_blip())
    picture.save(tmp_path / "in.png")
    command = {"cmd": "interrogate", "image": str(tmp_path / "in.png"), "model": "clip"}
    answer = Interrogator(paths, CPU).answer({**command, "options": SHORT})
    assert answer.keys() == {"caption"} and answer["caption"]
    (tmp_path / "in.png").write_bytes(b"no picture")
    with pytest.raises(RequestError):
        Interrogator(paths, CPU).answer(command)


def test_word_pieces_are_put_together():
    pieces = WordPieces([*WORDS, "black"])
    assert pieces.text([2, 5, 8, 10, 11, 14, 18, 19, 13, 15, 3, 0]) == "a red apples, wooden table."
    assert pieces.text([20, 17, 8]) == "black-red"
    assert pieces.numbers(["a", "picture"]) == [5, 6] and pieces.numbers(["a", "boat"]) == []


def test_the_vocabulary_of_a_tokenizer_file_is_the_same(tmp_path):
    table = {"model": {"vocab": {word: number for number, word in enumerate(WORDS)}}}
    (tmp_path / "tokenizer.json").write_text(json.dumps(table))
    assert WordPieces.from_folder(tmp_path).text([5, 8, 10]) == "a red apple"
