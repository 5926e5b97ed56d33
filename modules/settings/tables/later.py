"""Settings that API clients read or post back although the part they steer is not built yet.

They are stored and answered under A1111's keys and defaults, and hidden from the Settings page so
that no control is shown without an effect.
"""

from __future__ import annotations

from modules.settings.tables.rows import Section

_later = Section("Not in use yet", hidden=True)

OPTIONS = (
    _later.text("sd_checkpoint_hash", "SHA256 hash of the current checkpoint"),
    _later.whole("sd_checkpoint_cache", "Checkpoints to cache in RAM", 0, 0, 10),
    _later.choice("sd_unet", "SD Unet", "Automatic"),
    _later.number(
        "token_merging_ratio",
        "Token merging ratio",
        0.0,
        0.0,
        0.9,
        0.1,
        infotext="Token merging ratio",
    ),
    _later.number(
        "token_merging_ratio_img2img", "Token merging ratio for img2img", 0.0, 0.0, 0.9, 0.1
    ),
    _later.number(
        "token_merging_ratio_hr",
        "Token merging ratio for high-res pass",
        0.0,
        0.0,
        0.9,
        0.1,
        infotext="Token merging ratio hr",
    ),
    _later.multi("disabled_extensions", "Disable these extensions", []),
    _later.choice("disable_all_extensions", "Disable all extensions", "none", "none|extra|all"),
)
