from __future__ import annotations

import pytest

from modules.settings.options import Option, OptionError, OptionTable
from modules.settings.tables import build_table


def test_every_default_passes_its_own_check():
    table = build_table()
    for option in table.values():
        assert option.check(option.default) == option.default


def test_the_keys_that_api_clients_touch_exist_with_a1111s_defaults():
    defaults = build_table().defaults()
    expected = {
        "samples_format": "png",
        "jpeg_quality": 80,
        "CLIP_stop_at_last_layers": 1,
        "sd_vae": "Automatic",
        "eta_ancestral": 1.0,
        "randn_source": "GPU",
        "emphasis": "Original",
        "face_restoration_model": "CodeFormer",
        "ESRGAN_tile": 192,
        "img2img_background_color": "#ffffff",
    }
    assert {key: defaults[key] for key in expected} == expected


@pytest.mark.parametrize(
    "key",
    [
        *("add_user_name_to_info", "sd_unet", "lora_functional"),
    ],
)
def test_settings_of_parts_that_are_not_built_are_kept_but_not_shown(key):
    assert build_table()[key].hidden


def test_no_setting_is_named_forge_preset():
    assert "forge_preset" not in build_table()


def test_infotext_keys_are_unique():
    table = build_table()
    named = [option.infotext for option in table.values() if option.infotext]
    assert len(named) == len(set(named)) == len(table.by_infotext())


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("jpeg_quality", 0),
        ("jpeg_quality", 101),
        ("jpeg_quality", 80.5),
        ("jpeg_quality", "many"),
        ("jpeg_quality", True),
        ("eta_ancestral", float("nan")),
        ("eta_ancestral", float("inf")),
        ("samples_save", "perhaps"),
        ("samples_format", "bmp"),
        ("samples_filename_pattern", "a" * 5000),
        ("samples_filename_pattern", "\ud800"),
        ("samples_filename_pattern", "a\x00b"),
        ("grid_background_color", "red"),
        ("quicksettings_list", "sd_vae"),
        ("samples_save", None),
    ],
)
def test_a_bad_value_is_refused_with_key_value_and_what_is_allowed(key, value):
    with pytest.raises(OptionError) as caught:
        build_table()[key].check(value)
    assert caught.value.sentence.startswith(f"{key}: ")
    assert "allowed:" in caught.value.sentence
    caught.value.sentence.encode("utf-8")


@pytest.mark.parametrize(
    ("key", "given", "stored"),
    [
        ("jpeg_quality", "75", 75),
        ("jpeg_quality", 75.0, 75),
        ("samples_save", 0, False),
        ("samples_save", "true", True),
        ("grid_background_color", "#AABBCC", "#aabbcc"),
        ("sd_model_checkpoint", None, None),
    ],
)
def test_values_are_converted_as_laxly_as_clients_need(key, given, stored):
    assert build_table()[key].check(given) == stored


def test_a_setting_cannot_be_defined_twice():
    row = Option("a", "A", "g", True, "bool")
    with pytest.raises(ValueError, match="twice"):
        OptionTable([row, row])


def test_hidden_settings_stay_off_the_page():
    shown = [option.key for group in build_table().groups().values() for option in group]
    assert "sd_checkpoint_hash" not in shown
    assert "ESRGAN_tile" in shown
    assert "jpeg_quality" in shown
