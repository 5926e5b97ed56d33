"""Settings of the card browser, under A1111's keys."""

from __future__ import annotations

from modules.settings.tables.rows import Section

_cards = Section("Extra Networks")
_unused = Section("Extra Networks", hidden=True)

OPTIONS = (
    _cards.number(
        "extra_networks_default_multiplier",
        "Default multiplier for extra networks",
        1.0,
        0.0,
        2.0,
        0.01,
    ),
    _cards.choice(
        "extra_networks_card_order_field",
        "Order of the cards",
        "Path",
        "Path|Name|Date Created|Date Modified",
    ),
    _cards.choice(
        "extra_networks_card_order", "Direction of the order", "Ascending", "Ascending|Descending"
    ),
    _cards.whole(
        "extra_networks_card_width",
        "Width of a card in pixels",
        0,
        0,
        600,
        help="0: as many cards in a row as fit well.",
    ),
    _cards.whole(
        "extra_networks_card_height",
        "Height of a card in pixels",
        0,
        0,
        800,
        help="0: four thirds of the width.",
    ),
    _cards.number(
        "extra_networks_card_text_scale", "Scale of the text on cards", 1.0, 0.5, 2.0, 0.01
    ),
    _cards.flag("extra_networks_card_show_desc", "Show the description on cards", True),
    _cards.choice(
        "extra_networks_tree_view_style",
        "Folders as",
        "Dirs",
        "Tree|Dirs",
        help="Dirs: a row of buttons. Tree: a list beside the cards.",
    ),
    _cards.flag(
        "extra_networks_tree_view_default_enabled", "Show the folders at the beginning", True
    ),
    _cards.whole(
        "extra_networks_tree_view_default_width", "Width of the tree in pixels", 180, 100, 400
    ),
    _cards.text(
        "extra_networks_add_text_separator",
        "Separator before a network's text in the prompt",
        " ",
    ),
    _cards.text(
        "ui_extra_networks_tab_reorder",
        "Order of the tabs of cards",
        "",
        help="Names separated by commas, as: Lora, Checkpoints. The others follow.",
    ),
    _cards.flag("lora_show_all", "Always show the cards of all model families", False),
    _cards.multi(
        "lora_hide_unknown_for_versions",
        "Hide networks of an unknown family for these families",
        [],
        "SD1|SD2|SDXL|SD3|Flux",
    ),
    _cards.flag(
        "download_private_addresses",
        "Allow downloads from this machine and the local network",
        False,
        help="For a server of your own. Otherwise such addresses are refused.",
    ),
    _unused.flag("extra_networks_show_hidden_directories", "Show hidden directories", True),
    _unused.flag("extra_networks_dir_button_function", "Add a slash to directory buttons", False),
    _unused.choice(
        "extra_networks_hidden_models",
        "Show cards for models in hidden directories",
        "When searched",
        "Always|When searched|Never",
    ),
    _unused.flag("extra_networks_card_description_is_html", "Treat descriptions as HTML", False),
)
