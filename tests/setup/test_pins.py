"""The requirement files and the stamp over them."""

from __future__ import annotations

import importlib.metadata
import itertools
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from modules.setup import pins

ROOT = Path(__file__).resolve().parents[2]
USERS_LIST = {
    "torch",
    "diffusers",
    "transformers",
    "gradio",
    "pillow",
    "realesrgan",
    "gfpgan",
    "accelerate",
}
NOT_NEEDED = {
    "addict": "named by basicsr, imported nowhere in it",
    "future": "named by basicsr, imported nowhere in it",
    "filterpy": "facexlib's video tracking, which is not used",
    "numba": "facexlib's video tracking, which is not used",
    "scikit-image": "named by basicsr, imported nowhere in it",
    "tb-nightly": "basicsr's training logs; only nightly builds exist",
    "yapf": "basicsr's own development",
    "opencv-python": "opencv-python-headless gives the same module without a desktop's libraries",
}
FIXED_IN = {
    "diffusers": "0.38",
    "gradio": "6.20",
    "pillow": "13.0.0",
    "python-multipart": "0.0.27",
    "starlette": "1.0.1",
    "torch": "2.10",
}


def requirements(lines):
    return [Requirement(line) for line in lines]


def test_every_requirement_is_an_exact_pin():
    for name in (pins.REQUIREMENTS, pins.OVERRIDES, pins.DEV):
        for requirement in requirements(pins.read_pins(ROOT / name)):
            assert [s.operator for s in requirement.specifier] == ["=="]


def test_the_users_list_is_there():
    names = {pins.pin_name(pin) for pin in pins.read_pins(ROOT / pins.REQUIREMENTS)}
    assert names >= USERS_LIST


def test_a_loose_requirement_is_refused(tmp_path):
    path = tmp_path / "requirements.txt"
    path.write_text("numpy>=1\n")
    with pytest.raises(ValueError, match="numpy>=1"):
        pins.read_pins(path)


def test_overrides_replace_the_pin_of_the_same_package():
    assert pins.overridden(["a_b==1", "c==1"], ["A-B==2"]) == ["c==1", "A-B==2"]


def test_the_pins_are_free_of_the_known_advisories():
    """As far as there are such releases: pillow's fix is for Python 3.11 and newer alone."""
    versions = {}
    for platform, python in itertools.product(PLATFORMS, ["3.10", "3.11", "3.12"]):
        for name, version in _chosen(platform, python):
            if (name, python) != ("pillow", "3.10"):
                versions.setdefault(name, set()).add(version)
    for name, fixed in FIXED_IN.items():
        allowed = Requirement(f"{name}>={fixed}").specifier
        assert all(version in allowed for version in versions[name]), name


PLATFORMS = [
    {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix"},
    {"sys_platform": "win32", "platform_system": "Windows", "os_name": "nt"},
    {"sys_platform": "darwin", "platform_system": "Darwin", "os_name": "posix"},
]


@pytest.mark.parametrize(
    ("platform", "python"), list(itertools.product(PLATFORMS, ["3.10", "3.11", "3.12"]))
)
def test_each_package_is_pinned_once_for_every_platform(platform, python):
    wanted = _chosen(platform, python)
    assert len(wanted) == len({name for name, _ in wanted})


@pytest.mark.parametrize(
    ("platform", "python"), list(itertools.product(PLATFORMS, ["3.11", "3.12"]))
)
def test_nothing_a_pinned_package_needs_is_missing(platform, python):
    """The list is installed without dependency resolution, so it must be closed under it."""
    environment = _environment(platform, python)
    chosen = dict(_chosen(platform, python))
    missing = []
    for name in chosen:
        try:
            needs = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue  # for another platform only
        for need in map(Requirement, needs):
            other = pins.pin_name(need.name)
            if other in NOT_NEEDED or _comes_with_torch(name, other):
                continue
            if need.marker and not need.marker.evaluate({**environment, "extra": ""}):
                continue
            if other not in chosen:
                missing.append(f"{name} needs {need}")
            elif chosen[other] not in need.specifier and other != "pillow":
                missing.append(f"{name} needs {need}, but {chosen[other]} is pinned")
    assert not missing


def test_every_pin_takes_the_pythons_that_its_marker_lets_through():
    """Read from what is installed: on Python 3.11 and newer this finds pins without a marker."""
    wrong = []
    for platform, python in itertools.product(PLATFORMS, ["3.10", "3.11", "3.12"]):
        for name, version in _chosen(platform, python):
            try:
                known = importlib.metadata.metadata(name)
            except importlib.metadata.PackageNotFoundError:
                continue
            takes = SpecifierSet(known["Requires-Python"] or "")
            if known["Version"].split("+")[0] == version and f"{python}.1" not in takes:
                wrong.append(f"{name} {version} needs Python {takes}, not {python}")
    assert not wrong


def _comes_with_torch(name, other):
    """torch's own build brings its CUDA libraries; it is installed with its dependencies."""
    return name == "torch" and (other.startswith(("nvidia-", "cuda-")) or other == "triton")


def _environment(platform, python):
    machine = {"platform_machine": "x86_64", "implementation_name": "cpython"}
    return {
        **platform,
        **machine,
        "python_version": python,
        "python_full_version": f"{python}.1",
        "platform_python_implementation": "CPython",
    }


def _chosen(platform, python):
    environment = _environment(platform, python)
    lines = pins.runtime_pins(ROOT) + pins.read_pins(ROOT / pins.DEV)
    return [
        (pins.pin_name(requirement.name), next(iter(requirement.specifier)).version)
        for requirement in requirements(lines)
        if requirement.marker is None or requirement.marker.evaluate(environment)
    ]


def test_the_stamp_changes_with_a_file_and_with_a_fact(tmp_path):
    path = tmp_path / "requirements.txt"
    path.write_text("a==1\n")
    first = pins.stamp([path], "3.11", "")
    assert pins.stamp([path], "3.11", "") == first
    assert pins.stamp([path], "3.12", "") != first
    path.write_text("a==2\n")
    assert pins.stamp([path], "3.11", "") != first


def test_torch_and_the_build_tools_are_set_apart():
    first, rest = pins.first_and_rest(pins.runtime_pins(ROOT))
    assert set(first) == {"torch", "torchvision", "setuptools"}
    assert not {pins.pin_name(pin) for pin in rest} & set(first)


def test_gradio_works_with_the_overriding_pillow(tmp_path, monkeypatch):
    """gradio asks for pillow below 13; its way from a picture to a file and back must work."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    import gradio
    from PIL import Image, __version__

    assert __version__.startswith("13.")
    picture = Image.new("RGB", (8, 8), (10, 200, 30))
    component = gradio.Image(type="pil", format="png")
    stored = component.postprocess(picture)
    assert Image.open(stored.path).convert("RGB").tobytes() == picture.tobytes()
    back = component.preprocess(stored)
    assert back.convert("RGB").tobytes() == picture.tobytes()
