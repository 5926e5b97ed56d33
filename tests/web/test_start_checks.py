"""What is said about a machine that will make trouble."""

from __future__ import annotations

import pytest

from modules.settings.flags import parse_flags
from modules.settings.notices import NoticeBoard
from modules.setup.torch_build import Hardware
from modules.web.start_checks import check_in_background, found

NOW, MUCH = 1_800_000_000, 64 * 2**30
FITTING = {"hardware": lambda: Hardware("none"), "torch_version": "2.13.0+cpu"}
NVIDIA, OLD_DRIVER = Hardware("nvidia", 580, 8.9), Hardware("nvidia", 550, 8.9)


def told(*flags, **machine):
    given = {"free_bytes": MUCH, "now": NOW, **FITTING, **machine}
    return [notice.text for notice in found(parse_flags(list(flags)), **given)]


def test_a_good_machine_is_not_talked_about():
    assert told() == []
    assert told(hardware=lambda: NVIDIA, torch_version="2.13.0+cu130") == []
    assert told(hardware=lambda: NVIDIA, torch_version="2.13.0") == []
    assert told(hardware=lambda: OLD_DRIVER, torch_version="2.13.0+cu126") == []
    assert told(hardware=lambda: Hardware("apple"), torch_version="2.13.0") == []


@pytest.mark.parametrize(
    ("machine", "words"),
    [
        ({"now": 0}, "says 1970-01-01"),
        ({"free_bytes": 2**30}, "Only 1.0 GB of memory"),
        ({"hardware": lambda: NVIDIA}, "NVIDIA card in this machine, but torch 2.13.0+cpu"),
        ({"hardware": lambda: Hardware("amd")}, "AMD card"),
        (
            {"hardware": lambda: OLD_DRIVER, "torch_version": "2.13.0+cu130"},
            "(driver branch 550): update the driver",
        ),
    ],
)
def test_trouble_is_told_in_one_sentence(machine, words):
    (text,) = told(**machine)
    assert words in text
    assert text.endswith(".")


def test_who_wants_no_card_hears_nothing_of_it():
    assert told("--use-cpu", "all", hardware=lambda: NVIDIA) == []


def test_this_machine_is_looked_at_beside_the_start():
    board = NoticeBoard()
    check_in_background(parse_flags([]), board).join(60)
    assert all(notice["text"].endswith(".") for notice in board.to_json())
