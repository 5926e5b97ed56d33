"""Settings of Stable Diffusion 3, under A1111's keys."""

from __future__ import annotations

from modules.settings.tables.rows import Section

_sd3 = Section("Stable Diffusion 3")

OPTIONS = (
    _sd3.number(
        "sd3_slg_scale",
        "SD3.5: skip layer guidance",
        0.0,
        0.0,
        10.0,
        0.1,
        infotext="SLG scale",
        help="Better anatomy from 3.5 medium, half as slow again while it acts; its makers use "
        "2.5. 0 is off.",
    ),
    _sd3.text("sd3_slg_layers", "SD3.5: layers to be skipped", "7, 8, 9", infotext="SLG layers"),
    _sd3.number("sd3_slg_start", "SD3.5: skip from", 0.01, 0.0, 1.0, 0.01, infotext="SLG start"),
    _sd3.number(
        "sd3_slg_end",
        "SD3.5: skip until",
        0.2,
        0.0,
        1.0,
        0.01,
        infotext="SLG end",
        help="Share of the steps.",
    ),
    _sd3.flag(
        "sd3_enable_t5",
        "SD3: use the T5 text encoder where it is there",
        True,
        help="The biggest of SD3's three text encoders, in the checkpoint or in "
        "models/text_encoder. It helps with long prompts and texts in the picture and takes about "
        "10 GB of memory in 16 bits; off, zeros stand in its place.",
    ),
)
