"""Settings of Stable Diffusion 3, under A1111's keys."""

from __future__ import annotations

from modules.settings.tables.rows import Section

_sd3 = Section("Stable Diffusion 3")

OPTIONS = (
    _sd3.flag(
        "sd3_enable_t5",
        "SD3: use the T5 text encoder where it is there",
        True,
        help="The biggest of SD3's three text encoders, in the checkpoint or in "
        "models/text_encoder. It helps with long prompts and texts in the picture and takes about "
        "10 GB of memory in 16 bits; off, zeros stand in its place.",
    ),
)
