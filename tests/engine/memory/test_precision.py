"""The number format is measured once per device; flags win; a processor is never slowed down."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from modules.engine import precision
from modules.engine.device import DevicePolicy, choose_policy
from modules.engine.precision import Trial, fast_dtype, measure, possible

CPU = torch.device("cpu")
ON_CPU = {"use_cpu": ["all"]}
FULL, HALF, BRAIN = torch.float32, torch.float16, torch.bfloat16


@pytest.mark.parametrize(
    ("seconds", "on_cpu", "on_gpu"),
    [
        ({"float32": 1.0, "float16": 0.9, "bfloat16": 1.8}, FULL, HALF),
        ({"float32": 1.0, "float16": 0.9, "bfloat16": 0.3}, BRAIN, HALF),
        ({"float32": 1.0, "float16": 2.0, "bfloat16": 1.1}, FULL, BRAIN),
        ({"float32": 1.0, "bfloat16": 0.5}, BRAIN, BRAIN),  # float16 gave wrong numbers
        ({"float32": 1.0, "float16": 9.0, "bfloat16": 9.0}, FULL, FULL),
    ],
)
def test_a_processor_leaves_32_bits_only_for_a_clear_gain(
    seconds: dict[str, float], on_cpu: torch.dtype, on_gpu: torch.dtype
) -> None:
    assert Trial(seconds).best("cpu") == on_cpu
    assert Trial(seconds).best("cuda") == on_gpu


def test_the_measurement_times_every_format_that_the_processor_has() -> None:
    formats = possible(CPU)
    assert formats[0] == "float32"
    trial = measure(CPU, formats)
    assert set(trial.seconds) == set(formats)
    assert all(seconds > 0 for seconds in trial.seconds.values())


def test_the_measurement_is_kept_until_torch_or_the_threads_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "engine" / "precision.json"
    monkeypatch.setattr(precision, "possible", lambda device: ("float32", "bfloat16"))
    first = fast_dtype(CPU, "CPU", tmp_path)
    kept = json.loads(file.read_text(encoding="utf-8"))
    (key,) = kept
    assert torch.__version__ in key
    # What is on disk decides, not a second measurement.
    file.write_text(json.dumps({key: {"float32": 1.0, "bfloat16": 0.1}}), encoding="utf-8")
    assert fast_dtype(CPU, "CPU", tmp_path) == BRAIN
    file.write_text(json.dumps({key: {"float32": 1.0, "bfloat16": 1.0}}), encoding="utf-8")
    assert fast_dtype(CPU, "CPU", tmp_path) == FULL
    assert fast_dtype(CPU, "another", tmp_path) == first
    assert len(json.loads(file.read_text(encoding="utf-8"))) == 2


@pytest.mark.parametrize("content", ["no JSON", "[]", '{"k": 1}', '{"k": {"float32": -1}}'])
def test_a_damaged_file_is_measured_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    monkeypatch.setattr(precision, "possible", lambda device: ("float32", "bfloat16"))
    fast_dtype(CPU, "CPU", tmp_path)
    file = tmp_path / "engine" / "precision.json"
    (key,) = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(content.replace("k", key), encoding="utf-8")
    assert fast_dtype(CPU, "CPU", tmp_path) in (FULL, BRAIN)
    assert json.loads(file.read_text(encoding="utf-8"))[key]["float32"] > 0


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ({"no_half": True}, (FULL, FULL, FULL)),
        ({"precision": "full"}, (FULL, FULL, FULL)),
        ({"precision": "half"}, (HALF, HALF, HALF)),
        ({"precision": "half", "no_half_vae": True}, (HALF, FULL, HALF)),
        ({"precision": "half", "no_half": True}, (FULL, FULL, FULL)),
    ],
)
def test_flags_win_and_nothing_is_measured(
    tmp_path: Path, flags: dict[str, Any], expected: tuple[torch.dtype, ...]
) -> None:
    policy = choose_policy({**ON_CPU, **flags}, tmp_path)
    assert (policy.unet_dtype, policy.vae_dtype, policy.text_dtype) == expected
    assert not (tmp_path / "engine").exists()


def test_models_trained_in_bfloat16_do_not_get_float16() -> None:
    policy = DevicePolicy(CPU, HALF, FULL, HALF)
    assert policy.dtype_of("unet", "sd1") == HALF
    assert policy.dtype_of("vae", "flux") == FULL
    assert policy.dtype_of("unet", "flux") == policy.dtype_of("text_encoder_2", "sd3") == BRAIN
    assert DevicePolicy(CPU, FULL, FULL, FULL).dtype_of("unet", "flux") == FULL
