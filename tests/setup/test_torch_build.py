"""Which torch a machine gets."""

from __future__ import annotations

import pytest

from modules.setup.torch_build import (
    Hardware,
    choose_build,
    parse_nvidia_smi,
    pip_arguments,
    plan,
)

PINS = ["torch==2.13.0", "torchvision==0.28.0"]


@pytest.mark.parametrize(
    ("hardware", "build"),
    [
        (Hardware("none"), "cpu"),
        (Hardware("apple"), None),
        (Hardware("amd"), "rocm7.2"),
        (Hardware("nvidia"), "cu130"),
        (Hardware("nvidia", 580, 9.0), "cu130"),
        (Hardware("nvidia", 550, 9.0), "cu126"),
        (Hardware("nvidia", 580, 6.1), "cu126"),
    ],
)
def test_the_build_follows_the_hardware(hardware, build):
    assert choose_build(hardware) == build


def test_the_driver_is_asked_for_its_branch_and_the_oldest_card():
    answer = "580.65.06, 9.0\n580.65.06, 6.1\n"
    assert parse_nvidia_smi(answer) == Hardware("nvidia", 580, 6.1)


def test_a_driver_that_answers_nonsense_still_means_nvidia():
    assert parse_nvidia_smi("Failed to initialize NVML") == Hardware("nvidia")


def test_a_machine_without_a_gpu_tries_the_cpu_index_then_the_plain_package():
    first, second = plan(Hardware("none"), PINS, {})
    assert first.arguments[-3:] == ("https://download.pytorch.org/whl/cpu", *PINS)
    assert "--no-deps" in first.arguments
    assert second.arguments == ("install", *PINS)


def test_an_unreachable_index_is_given_up_quickly():
    first, _ = plan(Hardware("nvidia"), PINS, {})
    timeout = float(first.arguments[first.arguments.index("--timeout") + 1])
    retries = int(first.arguments[first.arguments.index("--retries") + 1])
    assert timeout * (retries + 1) <= 60


def test_a_mac_takes_the_plain_package():
    (only,) = plan(Hardware("apple"), PINS, {})
    assert only.arguments == ("install", *PINS)


def test_torch_index_url_wins_over_the_hardware():
    (only,) = plan(Hardware("nvidia"), PINS, {"TORCH_INDEX_URL": "https://example.org/whl"})
    assert only.arguments == ("install", "--index-url", "https://example.org/whl", *PINS)


def test_torch_command_wins_over_everything():
    environment = {"TORCH_COMMAND": "pip install torch==9 --pre", "TORCH_INDEX_URL": "https://x"}
    (only,) = plan(Hardware("none"), PINS, environment)
    assert only.arguments == ("install", "torch==9", "--pre")


@pytest.mark.parametrize(
    "command", ["pip install torch", "python -m pip install torch", "install torch"]
)
def test_a_torch_command_may_be_written_in_any_usual_way(command):
    assert pip_arguments(command) == ("install", "torch")
