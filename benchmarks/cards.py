"""Ten thousand LoRA files as cards: the first answer, a page, a search, the next start."""

from __future__ import annotations

import json
import random
import statistics
import struct
import time
import urllib.request
from pathlib import Path

from benchmarks.plan import Plan
from benchmarks.server import serving

FILES = 10_000
REQUESTS = 40
CARDS = "/easel/v1/cards/lora"


def measure(plan: Plan) -> dict[str, object]:
    """Times as a client sees them, over HTTP, from a server without its page."""
    folder = plan.data / "cards" / "models" / "Lora"
    make_files(folder)
    plan.say(f"{FILES} files made")
    data = plan.data / "cards"
    with serving(data, plan, "--nowebui") as server:
        first = _seconds(f"{server.base}{CARDS}?limit=60&family=current")
        read = _until_read(server.base)
        plan.say(f"all facts read after {read:.1f} s")
        pages = [_seconds(f"{server.base}{CARDS}?limit=60&offset={at}") for at in _offsets()]
        searches = [
            _seconds(f"{server.base}{CARDS}?limit=60&search=number+{at % 100}") for at in _offsets()
        ]
    with serving(data, plan, "--nowebui") as server:
        again = _seconds(f"{server.base}{CARDS}?limit=60&family=current")
    return {
        "cards_files": FILES,
        "cards_first_answer_s": first,
        "cards_all_read_s": read,
        "cards_page_ms": 1000 * statistics.median(pages),
        "cards_search_ms": 1000 * statistics.median(searches),
        "cards_first_answer_next_start_s": again,
    }


def make_files(folder: Path) -> None:
    """Small LoRA files in 40 folders; every second one has notes beside it."""
    for number in range(FILES):
        path = folder / f"group{number % 40:02}" / f"style_{number:05}.safetensors"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_lora((768, 2048)[number % 2], {"ss_output_name": f"Style {number}"}))
        if number % 2:
            noted = {"description": f"number {number} of many", "activation text": f"st{number}"}
            path.with_suffix(".json").write_text(json.dumps(noted))


def _lora(width: int, metadata: dict[str, str]) -> bytes:
    header: dict[str, object] = {"__metadata__": metadata}
    end = 0
    for part in range(4):
        size = 4 * width * 2
        name = f"lora_unet_down_blocks_{part}_attn2_to_k.lora_down.weight"
        entry = {"dtype": "F16", "shape": [4, width], "data_offsets": [end, end + size]}
        header[name] = entry
        end += size
    raw = json.dumps(header).encode()
    return struct.pack("<Q", len(raw)) + raw + bytes(end)


def _seconds(url: str) -> float:
    begun = time.perf_counter()
    with urllib.request.urlopen(url, timeout=120) as answer:
        json.load(answer)
    return time.perf_counter() - begun


def _until_read(base: str) -> float:
    begun = time.perf_counter()
    while True:
        with urllib.request.urlopen(f"{base}{CARDS}?limit=1", timeout=120) as answer:
            told = json.load(answer)
        if {family["key"] for family in told["families"]} == {"sd1", "sdxl"}:
            return time.perf_counter() - begun
        time.sleep(0.2)


def _offsets() -> list[int]:
    return random.Random(5).sample(range(FILES), REQUESTS)
