"""What is fuzzed: for each reader of foreign content, what it gets and what must hold afterwards.

A target's function raises AssertionError, or anything but the reader's own errors, when it finds
something. The suite gives each a few fixed examples; ``python3 launch.py bench fuzz`` goes on.
"""

from __future__ import annotations

import functools
import io
import json
import struct
import tempfile
import zlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from PIL import Image

from modules.catalog.cards.facts import read_facts
from modules.catalog.embedding_images import embedding_of_image
from modules.catalog.errors import ModelFileError
from modules.catalog.gguf import gguf_header
from modules.catalog.header import safetensors_header
from modules.catalog.original_config import read_original_config
from modules.catalog.user_metadata import read_user_metadata
from modules.gallery import ImageReadError, compose, parse_any, read_image_info, to_request
from modules.imaging.png_chunks import read_png_text
from modules.imaging.reading import check_picture, open_picture
from modules.pickles.index import read_index
from modules.pickles.values import Refused, Tensor
from modules.prompts import StyleBook, WildcardLibrary, apply_styles, parse_prompt
from modules.prompts.styles import Style
from modules.prompts.wildcards import expand
from modules.requests.errors import RequestError
from tests.imaging.pictures import encoded, noisy
from tests.prompts.test_bombs import PIECES

Change = tuple[int, int, int]


@dataclass(frozen=True)
class Target:
    """A reader, and how to make what it reads."""

    name: str
    given: st.SearchStrategy[Any]
    act: Callable[[Any], None]


# --- what is given -----------------------------------------------------------------------------

CHANGES = st.lists(
    st.tuples(st.integers(0, 100_000), st.integers(0, 255), st.integers(0, 5)), max_size=8
)
KEYS = (
    *("Steps", "Sampler", "Schedule type", "CFG scale", "Seed", "Size", "Model hash", "Model"),
    *("VAE", "Denoising strength", "Hires upscale", "Hires resize", "Lora hashes", "TI hashes"),
    *("Clip skip", "ENSD", "RNG", "Version", "Mask blur", "Variation seed", "Styles", "Refiner"),
    *("Hashes", "Civitai resources", "NGMS", "Eta", "Script", "X Type", "X Values", "Template"),
)
VALUES = (
    *(
        "20",
        "-1",
        "1e309",
        "NaN",
        "512x512",
        "0x0",
        "9" * 400,
        '"',
        '"a\\"',
        "[",
        "{}",
        "",
        "Euler",
    ),
    *('{"a":1}', "a: b", "\x00", "\ud800", "é", "<img src=x>", "True", "1/0", "8x" * 50, "\\u0000"),
)
WORDS = st.sampled_from([*PIECES, *VALUES, "Negative prompt: ", "Steps: 20, ", "cat", ","])
PROMPTS = st.lists(st.one_of(WORDS, st.text(max_size=6)), max_size=40).map("".join)
PAIRS = st.lists(
    st.tuples(st.sampled_from(KEYS), st.one_of(st.sampled_from(VALUES), st.text(max_size=12))),
    max_size=12,
).map(lambda pairs: ", ".join(f"{key}: {value}" for key, value in pairs))
GRAPHS = st.dictionaries(
    st.sampled_from(["1", "2", "3", "4"]),
    st.fixed_dictionaries(
        {
            "class_type": st.sampled_from(
                ["KSampler", "CLIPTextEncode", "EmptyLatentImage", "LoraLoader", "x"]
            ),
            "inputs": st.dictionaries(
                st.sampled_from(
                    ["model", "positive", "latent_image", "text", "seed", "steps", "lora_name"]
                ),
                st.one_of(
                    st.tuples(st.sampled_from(["1", "2", "3", "4", "9"]), st.just(0)).map(list),
                    st.text(max_size=5),
                    st.floats(),
                    st.none(),
                ),
                max_size=5,
            ),
        }
    ),
    max_size=4,
)
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.sampled_from(VALUES)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(
            st.sampled_from(
                ["prompt", "uc", "sampler", "steps", "image", "class_type", "inputs", "1", "seed"]
            ),
            inner,
            max_size=5,
        ),
    ),
    max_leaves=12,
)
FOREIGN_JSON = st.one_of(GRAPHS, JSON).map(json.dumps)
INFOTEXTS = st.one_of(
    st.builds("{}\nNegative prompt: {}\n{}".format, PROMPTS, PROMPTS, PAIRS),
    st.builds("{}\n{}".format, PROMPTS, PAIRS),
    FOREIGN_JSON,
    PROMPTS,
)


def damaged(sound: bytes, changes: list[Change]) -> bytes:
    """Bytes changed, cut out, doubled, set to their extremes, or the end cut off."""
    raw = bytearray(sound)
    for place, value, kind in changes:
        at = place % max(1, len(raw))
        if kind <= 1:
            raw[at : at + 1] = bytes([value])
        elif kind == 2:
            raw[at : at + 4] = struct.pack(">I", 0xFFFFFFFF >> value % 32)
        elif kind == 3:
            del raw[at : at + 1 + value % 16]
        elif kind == 4:
            raw[at:at] = raw[at : at + 1 + value % 16]
        elif value > 200:
            del raw[at:]
    return bytes(raw)


def damaged_one_of(make: Callable[[], list[bytes]]) -> st.SearchStrategy[bytes]:
    """One of several sound files, damaged."""
    sound = functools.cache(make)
    return st.tuples(st.integers(0, 1000), CHANGES).map(
        lambda drawn: damaged(sound()[drawn[0] % len(sound())], drawn[1])
    )


def sound_pictures() -> list[bytes]:
    made = [encoded(noisy(24, 16), kind) for kind in ("PNG", "JPEG", "WEBP", "AVIF", "GIF")]
    made.append(encoded(noisy(24, 16), "WEBP", lossless=True))
    made.append(encoded(noisy(24, 16).convert("P"), "PNG", transparency=3))
    made.append(encoded(noisy(24, 16).convert("CMYK"), "JPEG"))
    made.append(encoded(noisy(9, 9), "JPEG", progressive=True, exif=Image.Exif().tobytes()))
    return made


def png_with(texts: list[tuple[str, bytes, int]]) -> bytes:
    """A PNG with text chunks of three kinds, well formed or not."""
    body = encoded(Image.new("RGB", (3, 3)))
    chunks = b""
    for keyword, data, kind in texts:
        name = (b"tEXt", b"zTXt", b"iTXt", b"eXIf")[kind % 4]
        head = keyword.encode("utf-8", "replace") + b"\0"
        if name == b"zTXt":
            head += b"\0"
            data = zlib.compress(data)
        elif name == b"iTXt":
            head += b"\1\0\0\0" if kind > 5 else b"\0\0\0\0"
            data = zlib.compress(data) if kind > 5 else data
        elif name == b"eXIf":
            head = b""
        content = head + data
        chunks += struct.pack(">I", len(content)) + name + content
        chunks += struct.pack(">I", zlib.crc32(name + content))
    return body[:33] + chunks + body[33:]


PNG_TEXTS = st.lists(
    st.tuples(
        st.sampled_from(["parameters", "prompt", "workflow", "Comment", "Software", "x", ""]),
        st.one_of(
            st.binary(max_size=40), INFOTEXTS.map(lambda text: text.encode("utf-8", "replace"))
        ),
        st.integers(0, 8),
    ),
    max_size=4,
).map(png_with)


def sound_safetensors() -> list[bytes]:
    table = {
        "__metadata__": {"ss_tag_frequency": '{"a": {"b": 1}}', "modelspec.title": "x"},
        "a.weight": {"dtype": "F16", "shape": [2, 3], "data_offsets": [0, 12]},
        "b": {"dtype": "F32", "shape": [], "data_offsets": [12, 16]},
    }
    head = json.dumps(table).encode()
    return [struct.pack("<Q", len(head)) + head + bytes(16)]


def safetensors_of(table: Any) -> bytes:
    head = json.dumps(table).encode("utf-8", "replace")
    return struct.pack("<Q", len(head)) + head + bytes(16)


TABLES = st.dictionaries(
    st.sampled_from(["a", "b", "__metadata__", "lora_unet_x.lora_up.weight", "\x00"]),
    st.one_of(
        JSON,
        st.fixed_dictionaries(
            {
                "dtype": st.sampled_from(["F16", "F32", "U8", "BF16", "X", None]),
                "shape": st.lists(st.integers(-1, 2**63), max_size=4),
                "data_offsets": st.lists(st.integers(-1, 20), max_size=3),
            }
        ),
    ),
    max_size=4,
)


def sound_gguf() -> list[bytes]:
    def text(value: str) -> bytes:
        return struct.pack("<Q", len(value)) + value.encode()

    facts = text("general.architecture") + struct.pack("<I", 8) + text("flux")
    facts += text("x") + struct.pack("<II", 9, 4) + struct.pack("<Q", 2) + struct.pack("<II", 1, 2)
    tensor = text("a.weight") + struct.pack("<IQQIQ", 2, 4, 2, 0, 0)
    head = b"GGUF" + struct.pack("<IQQ", 3, 1, 2) + facts + tensor
    return [head + bytes(-len(head) % 32) + bytes(32)]


def sound_pickles() -> list[bytes]:
    import torch

    content = {"state_dict": OrderedDict(a=torch.ones(4), b=torch.rand(3, 4).T), "epoch": 3}
    made = []
    for form in (True, False):
        stream = io.BytesIO()
        torch.save(content, stream, _use_new_zipfile_serialization=form)
        made.append(stream.getvalue())
    return made


# --- what must hold ----------------------------------------------------------------------------


def read_prompt(text: str) -> None:
    """The prompt language: every step has one text; warnings point into the prompt."""
    for plan, last in (
        (parse_prompt(text, 7), 7),
        (parse_prompt(text, 7, hires_steps=3), 3),
        (parse_prompt(text, 7, old_scheduling=True, negative=True), 7),
    ):
        assert all(part.schedule[-1].end_step == last for part in plan.parts)
        assert all(0 <= one.start <= one.end <= len(text) for one in plan.warnings)
        assert plan.work < 50_000 + 60 * len(text)


def read_infotext(text: str) -> None:
    """Infotext and other programs' dialects; what is read can be written as JSON and infotext."""
    parsed = parse_any(text)
    json.dumps([parsed.prompt, parsed.negative, dict(parsed.parameters)])
    again = parse_any(compose(parsed.prompt, parsed.negative, parsed.parameters))
    assert isinstance(again.prompt, str)
    to_request(parsed)


def read_texts(data: bytes) -> None:
    """The texts of a picture file."""
    read_png_text(data)
    try:
        info = read_image_info(data)
    except ImageReadError:
        return
    json.dumps([info.text, info.items], ensure_ascii=False).encode("utf-8")


def read_picture(data: bytes) -> None:
    """The image front: a picture in one of three modes, or a sentence."""
    try:
        picture = open_picture(data, "image", 1.0)
    except RequestError as error:
        assert error.sentence.endswith(".")
        return
    facts = check_picture(data, "image", 1.0)
    assert (facts.width, facts.height, facts.mode) == (*picture.size, picture.mode)
    assert picture.width * picture.height <= 1e6


def in_file(suffix: str, act: Callable[[Path], None]) -> Callable[[bytes], None]:
    """A reader of paths, given bytes."""

    def read(data: bytes) -> None:
        with tempfile.TemporaryDirectory(prefix="easel-fuzz-") as folder:
            path = Path(folder) / f"m{suffix}"
            path.write_bytes(data)
            act(path)

    return read


def read_safetensors(path: Path) -> None:
    """The safetensors front, and the card that is made of its metadata."""
    card = read_facts("lora", path)
    json.dumps(card.to_json(), ensure_ascii=False, allow_nan=False).encode("utf-8")
    try:
        header = safetensors_header(path)
    except ModelFileError:
        return
    size = path.stat().st_size
    assert all(8 <= one.begin <= one.end <= size for one in header.tensors.values())


def read_gguf(path: Path) -> None:
    """The GGUF front."""
    try:
        header = gguf_header(path)
    except ModelFileError:
        return
    size = path.stat().st_size
    assert all(0 <= one.begin <= one.end <= size for one in header.tensors.values())


def read_pickle(path: Path) -> None:
    """The pickle reader's own code, in this process, to see what it raises."""
    try:
        with path.open("rb", buffering=0) as stream:
            index = read_index(stream)
    except (Refused, ValueError, TypeError, ArithmeticError, LookupError, MemoryError):
        return
    for place in places(index.content):
        assert 0 <= place.begin <= place.end <= index.file_size


def places(value: Any) -> list[Tensor]:
    """All tensors in what a pickle held."""
    if isinstance(value, Tensor):
        return [value]
    parts = value.values() if isinstance(value, dict) else value if type(value) is list else ()
    return [place for part in parts for place in places(part)]


def read_embedding(path: Path) -> None:
    """A picture that may carry a textual inversion."""
    try:
        embedding_of_image(path)
    except ModelFileError:
        return


def read_beside(data: bytes) -> None:
    """What lies beside a model: notes, information, a configuration, a description."""
    with tempfile.TemporaryDirectory(prefix="easel-fuzz-") as folder:
        model = Path(folder) / "m.safetensors"
        model.write_bytes(sound_safetensors()[0])
        for suffix in (".json", ".civitai.info", ".yaml", ".txt", ".md"):
            model.with_suffix(suffix).write_bytes(data)
        read_user_metadata(model)
        card = read_facts("checkpoint", model)
        json.dumps(card.to_json(), ensure_ascii=False, allow_nan=False).encode("utf-8")
        try:
            read_original_config(model)
        except ModelFileError:
            return


def read_styles(given: tuple[bytes, str, str]) -> None:
    """styles.csv, wildcard files, and a template that uses both."""
    data, template, entry = given
    with tempfile.TemporaryDirectory(prefix="easel-fuzz-") as folder:
        (Path(folder) / "styles.csv").write_bytes(data)
        book = StyleBook(Path(folder) / "styles.csv")
        names = book.names()
        apply_styles(template, "", names[:20], book)
        book.extract(template, "")
        book.save(Style("ours", "x"))
        assert book.get("ours") == Style("ours", "x")
        assert StyleBook(book.path).names() == book.names()
        (Path(folder) / "a.txt").write_bytes(entry.encode("utf-8", "replace"))
        expand(template, 1, WildcardLibrary(Path(folder)))


CSV = st.lists(
    st.one_of(
        st.sampled_from(["name,prompt,negative_prompt\n", "a,b,c\n", '"', "\n", ",", "{prompt}"]),
        st.sampled_from(["\x00", "\r", "\ufeff", "=cmd()", "name;prompt\n", "\t"]),
        st.text(max_size=5),
    ),
    max_size=14,
).map(lambda parts: "".join(parts).encode("utf-8", "surrogatepass"))

TARGETS = (
    Target("prompt", PROMPTS, read_prompt),
    Target("infotext", INFOTEXTS, read_infotext),
    Target("texts of a picture", PNG_TEXTS, read_texts),
    Target("texts of a damaged picture", damaged_one_of(sound_pictures), read_texts),
    Target("picture", damaged_one_of(sound_pictures), read_picture),
    Target(
        "safetensors", damaged_one_of(sound_safetensors), in_file(".safetensors", read_safetensors)
    ),
    Target(
        "safetensors table", TABLES.map(safetensors_of), in_file(".safetensors", read_safetensors)
    ),
    Target("gguf", damaged_one_of(sound_gguf), in_file(".gguf", read_gguf)),
    Target("pickle", damaged_one_of(sound_pickles), in_file(".ckpt", read_pickle)),
    Target("embedding picture", PNG_TEXTS, in_file(".png", read_embedding)),
    Target(
        "beside a model",
        st.one_of(FOREIGN_JSON.map(str.encode), st.binary(max_size=40)),
        read_beside,
    ),
    Target("styles and wildcards", st.tuples(CSV, PROMPTS, PROMPTS), read_styles),
)
