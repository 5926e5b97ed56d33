"""Which extensions are off: A1111's keys, changed in the Extensions tab alone."""

from __future__ import annotations

from modules.settings.tables.rows import Section

_extensions = Section("Extensions", hidden=True)

OPTIONS = (
    # The example that comes with Easel waits until somebody switches it on.
    _extensions.multi("disabled_extensions", "Disable these extensions", ["easel-example"]),
    _extensions.choice(
        "disable_all_extensions", "Disable all extensions", "none", "none|extra|all"
    ),
)

KEYS = frozenset(option.key for option in OPTIONS)
"""What the routes for settings do not change: they answer other machines, too."""
