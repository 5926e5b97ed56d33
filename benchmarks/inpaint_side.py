"""The engine with the model that ships, in a process of its own, making pictures from a picture.

Reads one JSON object per line from stdin: `picture` and `mask` (files), `size` in pixels, `steps`,
and `fields` of the request. Answers with one JSON object per line on stdout: `seconds` and `cpu_s`
of the whole job, `sample_s` of its sampling alone, `changed` pixels outside the mask.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

PICTURE, MASK = "input:" + "0" * 64, "input:" + "1" * 64


def main() -> int:
    """Serve requests until stdin ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print must not mix with the answers
    make = _engine()
    for line in sys.stdin:
        answers.write(json.dumps(make(json.loads(line))) + "\n")
        answers.flush()
    return 0


def _engine() -> Callable[[dict[str, Any]], dict[str, Any]]:
    from benchmarks.plan import STARTER
    from modules.engine.generation.control import JobControl
    from modules.engine.runner import Engine
    from modules.requests.events import Done, Event, ImageDone
    from modules.requests.generation import GenerationRequest
    from modules.requests.prepared import PreparedJob
    from modules.settings.flags import parse_flags
    from modules.settings.paths import Paths
    from modules.settings.tables import build_table

    events: list[Event] = []
    paths = Paths.from_flags(parse_flags([]))
    engine = Engine(paths, {"use_cpu": ["all"], "no_half": True}, events.append)
    options = {**build_table().defaults(), "live_previews_enable": False}

    def make(asked: dict[str, Any]) -> dict[str, Any]:
        form = GenerationRequest(
            kind="img2img",
            prompt="a red apple",
            init_images=[PICTURE],
            width=asked["size"],
            height=asked["size"],
            steps=asked["steps"],
            seed=1,
            sampler_name="DDIM",
            **{**asked["fields"], **({"mask": MASK} if asked["fields"] else {})},
        )
        prepared = PreparedJob(
            id="bench",
            kind="img2img",
            request=form.model_dump(mode="json"),
            options=options,
            all_prompts=[form.prompt],
            all_negative_prompts=[""],
            all_seeds=[1],
            all_subseeds=[0],
            checkpoint=str(STARTER),
            inputs={PICTURE: asked["picture"], MASK: asked["mask"]},
        )
        events.clear()
        begun, used = time.perf_counter(), time.process_time()
        engine.run(prepared, JobControl("bench"))
        seconds, cpu = time.perf_counter() - begun, time.process_time() - used
        done = next(event for event in events if isinstance(event, Done))
        image = next(event for event in events if isinstance(event, ImageDone))
        return {
            "seconds": seconds,
            "cpu_s": cpu,
            "sample_s": done.timings["sample"],
            "changed": image.facts["extra"].get("Pixels changed outside the mask"),
        }

    return make


if __name__ == "__main__":
    sys.exit(main())
