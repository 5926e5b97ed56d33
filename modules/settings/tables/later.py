"""Settings that API clients read or post back although nothing here is steered by them: the program
fills them itself, does without them, or the part that they steer is not built yet.

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
)
