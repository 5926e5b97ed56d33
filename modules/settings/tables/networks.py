"""Settings of extra networks (LoRA, textual inversion, hypernetworks), under A1111's keys."""

from __future__ import annotations

from modules.settings.tables.rows import Section

_networks = Section("Extra Networks")
_unused = Section("Extra Networks", hidden=True)

OPTIONS = (
    _networks.choice("sd_lora", "Add network to prompt", "None", dynamic="loras"),
    _networks.choice(
        "sd_hypernetwork", "Add hypernetwork to prompt", "None", dynamic="hypernetworks"
    ),
    _networks.choice(
        "lora_preferred_name",
        "When adding to prompt, refer to Lora by",
        "Alias from file",
        "Alias from file|Filename",
    ),
    _networks.flag("lora_add_hashes_to_infotext", "Add Lora hashes to infotext", True),
    _networks.flag(
        "textual_inversion_add_hashes_to_infotext",
        "Add Textual Inversion hashes to infotext",
        True,
    ),
    _networks.flag(
        "lora_bundled_ti_to_infotext",
        "Add Lora name as TI hashes for bundled Textual Inversion",
        True,
    ),
    _networks.whole(
        "lora_in_memory_limit",
        "Number of Lora networks to keep cached in memory",
        0,
        0,
        10,
        help="Those of the last job always stay.",
    ),
    _networks.flag(
        "lora_not_found_warning_console", "Tell missing Lora networks in the console", False
    ),
    _networks.flag(
        "lora_not_found_gradio_warning",
        "Tell missing Lora networks in a popup",
        False,
        help="The remark under the picture is there in any case.",
    ),
    _unused.flag("lora_functional", "Use the old method for Lora", False),
    _unused.flag(
        "textual_inversion_print_at_load", "Print a list of Textual Inversion embeddings", False
    ),
)
