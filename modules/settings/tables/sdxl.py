"""Settings of the SDXL family, under A1111's keys."""

from __future__ import annotations

from modules.settings.tables.rows import Section

_sdxl = Section("Stable Diffusion XL")

OPTIONS = (
    _sdxl.whole(
        "sdxl_crop_top",
        "Crop top coordinate",
        0,
        0,
        4096,
        help="SDXL models are told where the training picture was cut; 0 gives whole subjects.",
    ),
    _sdxl.whole("sdxl_crop_left", "Crop left coordinate", 0, 0, 4096),
    _sdxl.number(
        "sdxl_refiner_low_aesthetic_score",
        "Refiner: low aesthetic score",
        2.5,
        0.0,
        10.0,
        0.1,
        help="What the refiner is told for the negative prompt.",
    ),
    _sdxl.number(
        "sdxl_refiner_high_aesthetic_score",
        "Refiner: high aesthetic score",
        6.0,
        0.0,
        10.0,
        0.1,
        help="What the refiner is told for the prompt.",
    ),
    _sdxl.flag(
        "sdxl_clip_l_skip",
        "Clip skip also for SDXL",
        False,
        help="Clip skip then counts for the first of SDXL's two text encoders; "
        "off, it has no effect there.",
    ),
    _sdxl.flag(
        "sdxl_zero_empty_negative",
        "SDXL: an empty negative prompt is zeros",
        True,
        help="As the models were trained. Off: the empty text is encoded like any other.",
    ),
)
