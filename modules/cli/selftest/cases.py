"""What the self-test tries, one row each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modules.catalog.restorers import find_restorer
from modules.cli.selftest.bench import SIZE, Absent, Bench, Failure, decoded, expect
from modules.gallery import read_image_info, to_request
from modules.requests.errors import RequestError
from modules.requests.extras import ExtrasRequest
from modules.requests.models import ConvertRequest, MergeRequest
from modules.requests.samplers import SAMPLERS, SCHEDULERS

RESTORERS = {"GFPGAN": "gfpgan_visibility", "CodeFormer": "codeformer_visibility"}


@dataclass(frozen=True)
class Case:
    """One row of the table."""

    group: str
    name: str
    run: Callable[[Bench], object]
    """Raises Failure, Absent, or whatever goes wrong."""


def all_cases() -> list[Case]:
    """In the order in which they run: the first one starts the engine."""
    return [
        Case("engine", "Engine and models", Bench.make_models),
        *(
            Case("sampler", sampler.name, _painted(sampler_name=sampler.name))
            for sampler in SAMPLERS
        ),
        *(
            Case("schedule", scheduler.label, _painted(scheduler=scheduler.name))
            for scheduler in SCHEDULERS
        ),
        Case("txt2img", "Same seed, same picture", _same_seed),
        Case("txt2img", "Batch and grid", _batch),
        Case("txt2img", "Prompt editing, emphasis, AND", _prompts),
        Case("txt2img", "Hires fix, latent", _hires("Latent")),
        Case("txt2img", "Hires fix, Lanczos", _hires("Lanczos")),
        Case("txt2img", "Refiner", _refiner),
        Case("img2img", "Picture to picture", _img2img),
        Case("img2img", "Inpainting", _inpaint(False)),
        Case("img2img", "Inpainting, only masked", _inpaint(True)),
        Case("img2img", "Outpainting", _outpaint),
        Case("networks", "LoRA", _changes("<lora:{lora}:1>")),
        Case("networks", "Textual inversion", _changes("{embedding}")),
        Case("networks", "Hypernetwork", _changes("<hypernet:{hypernetwork}:1>")),
        *(Case("save", name, _saved(name)) for name in ("png", "jpg", "webp", "avif")),
        Case("save", "Picture from its parameters", _round_trip),
        Case("extras", "Upscaler: Lanczos", _upscaled("Lanczos")),
        Case("extras", "Upscaler: network", _upscaled("")),
        *(Case("extras", name, _restored(name)) for name in RESTORERS),
        Case("models", "Convert", _convert),
        Case("models", "Merge", _merge),
        Case("errors", "Bad input is told", _bad_input),
    ]


def _painted(**fields: Any) -> Callable[[Bench], object]:
    return lambda bench: bench.paint(**fields)


def _same_seed(bench: Bench) -> None:
    first, second = bench.pixels(bench.paint(seed=5)), bench.pixels(bench.paint(seed=5))
    expect(first == second, "The same seed gave two pictures.")
    expect(first != bench.pixels(bench.paint(seed=6)), "Two seeds gave the same picture.")


def _batch(bench: Bench) -> None:
    record = bench.paint(batch_size=2, n_iter=2)
    expect(len(record.pictures()) == 4, f"{len(record.pictures())} pictures came instead of 4.")
    expect(record.grid() is not None, "There is no grid.")


def _prompts(bench: Bench) -> None:
    plain = bench.pixels(bench.paint())
    for prompt in ("a [red:green:0.5] apple", "a (red:1.4) apple", "a red apple AND a pear"):
        expect(bench.pixels(bench.paint(prompt=prompt)) != plain, f"{prompt!r} changes nothing.")


def _hires(upscaler: str) -> Callable[[Bench], None]:
    def run(bench: Bench) -> None:
        record = bench.paint(
            enable_hr=True, hr_scale=2.0, hr_upscaler=upscaler, denoising_strength=0.6
        )
        _sized(bench, record, 2 * SIZE)

    return run


def _refiner(bench: Bench) -> None:
    second = bench.models["checkpoints"][1]
    plain, refined = (
        bench.pixels(bench.paint(**fields))
        for fields in ({}, {"refiner_checkpoint": second, "refiner_switch_at": 0.5})
    )
    expect(plain != refined, "The refiner changes nothing.")


def _img2img(bench: Bench) -> None:
    bench.paint(kind="img2img", init_images=[bench.photo()], denoising_strength=0.6)


def _inpaint(only_masked: bool) -> Callable[[Bench], None]:
    def run(bench: Bench) -> None:
        record = bench.paint(
            kind="img2img",
            init_images=[bench.photo()],
            mask=bench.mask(),
            mask_blur=0,
            inpainting_fill=1,
            inpaint_full_res=only_masked,
            inpaint_full_res_padding=8,
        )
        kept = bench.pictures(record)[0].convert("RGB"), decoded(bench.photo())
        half = (SIZE * 5 // 8, 0, SIZE, SIZE)
        same = kept[0].crop(half).tobytes() == kept[1].crop(half).tobytes()
        expect(same, "Pixels beside the mask have changed.")

    return run


def _outpaint(bench: Bench) -> None:
    record = bench.paint(
        kind="img2img", init_images=[bench.photo()], outpaint={"right": SIZE, "mask_blur": 4}
    )
    width = bench.pictures(record)[0].width
    expect(width == 2 * SIZE, f"The picture is {width} pixels wide instead of {2 * SIZE}.")


def _changes(call: str) -> Callable[[Bench], None]:
    """Whether a network that the prompt calls changes the picture."""

    def run(bench: Bench) -> None:
        plain = bench.pixels(bench.paint(seed=9))
        prompt = f"a red apple {call.format(**bench.models)}"
        record = bench.paint(seed=9, prompt=prompt)
        told = " ".join(record.warnings)
        expect(bench.pixels(record) != plain, f"The picture stays the same. {told}".strip())

    return run


def _saved(name: str) -> Callable[[Bench], None]:
    def run(bench: Bench) -> None:
        record = bench.paint(override_settings={"samples_format": name})
        path = Path(record.pictures()[0].path)
        expect(path.suffix == f".{name}", f"The file is called {path.name}.")
        text = read_image_info(path).text
        expect(text.startswith("a red apple"), "The parameters cannot be read from the file.")

    return run


def _round_trip(bench: Bench) -> None:
    first = bench.paint(prompt="a (red:1.2) apple", seed=77, sampler_name="DPM++ 2M", cfg_scale=5)
    info = read_image_info(Path(first.pictures()[0].path))
    options = bench.session.options.as_dict()
    asked = to_request(info.parsed, options, with_checkpoint=False)
    again = bench.paint(**asked.fields, override_settings=asked.override_settings)
    expect(bench.pixels(again) == bench.pixels(first), "Its parameters give another picture.")


def _upscaled(name: str) -> Callable[[Bench], None]:
    def run(bench: Bench) -> None:
        upscaler = name or bench.models["upscaler"]
        request = ExtrasRequest(
            images=[bench.photo()], upscaler_1=upscaler, upscaling_resize=2.0, save_images=True
        )
        _sized(bench, bench.run(request), 2 * SIZE)

    return run


def _restored(name: str) -> Callable[[Bench], None]:
    def run(bench: Bench) -> None:
        weights = find_restorer(name, bench.session.catalog.paths)
        if not weights.present:
            raise Absent(weights.missing())
        fields = {RESTORERS[name]: 1.0}
        bench.run(ExtrasRequest(images=[bench.photo()], save_images=True, **fields))

    return run


def _convert(bench: Bench) -> None:
    for name in bench.models["checkpoints"]:
        bench.run(ConvertRequest(model_name=name, custom_name=f"{name}-file"))
    bench.session.catalog.refresh()
    first, second = bench.models["checkpoints"][0], f"{bench.models['checkpoints'][0]}-file"
    pixels = [
        bench.pixels(bench.paint(override_settings={"sd_model_checkpoint": name}))
        for name in (first, f"{second}.safetensors")
    ]
    expect(pixels[0] == pixels[1], "The converted model paints another picture.")


def _merge(bench: Bench) -> None:
    names = [f"{name}-file.safetensors" for name in bench.models["checkpoints"]]
    bench.run(
        MergeRequest(
            primary_model_name=names[0],
            secondary_model_name=names[1],
            multiplier=0.5,
            custom_name="selftest-merged",
        )
    )
    bench.session.catalog.refresh()
    merged = bench.paint(override_settings={"sd_model_checkpoint": "selftest-merged.safetensors"})
    expect(bench.pixels(merged) != bench.pixels(bench.paint()), "The merge paints as the first.")


def _bad_input(bench: Bench) -> None:
    try:
        bench.paint(sampler_name="no such sampler")
    except RequestError as error:
        expect("sampler" in error.sentence, f"The sentence does not name it: {error.sentence}")
    else:
        raise Failure("A sampler that does not exist was accepted.")
    bench.paint()


def _sized(bench: Bench, record: Any, side: int) -> None:
    size = bench.pictures(record)[0].size
    expect(size == (side, side), f"The picture has {size[0]}x{size[1]} pixels, not {side}x{side}.")
