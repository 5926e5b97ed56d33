"""``/file=`` gives extensions' assets, pictures of the outputs, lists in tmp: nothing else."""

from __future__ import annotations

import pytest

from modules.addons.extension import Extension
from modules.addons.file_routes import allowed, event_script
from modules.addons.host import Host
from modules.settings.flags import Flags
from modules.settings.paths import Paths


@pytest.fixture
def host(tmp_path):
    flags = Flags(data_dir=str(tmp_path))
    for name in (
        "extensions/a/javascript/x.js",
        "extensions/a/scripts/x.py",
        "extensions/a/.git/config.json",
        "extensions/off/javascript/x.js",
        "outputs/txt2img-images/1.png",
        "outputs/txt2img-images/log.csv",
        "tmp/tags.txt",
        "tmp/tags.py",
        "config.json",
        "easel.sqlite",
        "models/secret.txt",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    (tmp_path / "extensions/a/link.json").symlink_to(tmp_path / "config.json")
    folder = tmp_path / "extensions"
    extensions = [Extension("a", folder / "a"), Extension("off", folder / "off", off="it is off")]
    return Host("server", flags, Paths.from_flags(flags), extensions)


@pytest.mark.parametrize(
    ("name", "there"),
    [
        ("extensions/a/javascript/x.js", True),
        ("./extensions/a/javascript/x.js", True),
        ("outputs/txt2img-images/1.png", True),
        ("tmp/tags.txt", True),
        ("extensions/a/scripts/x.py", False),
        ("extensions/a/.git/config.json", False),
        ("extensions/a/link.json", False),
        ("extensions/off/javascript/x.js", False),
        ("extensions/a/../../config.json", False),
        ("outputs/txt2img-images/log.csv", False),
        ("tmp/tags.py", False),
        ("config.json", False),
        ("easel.sqlite", False),
        ("models/secret.txt", False),
        ("/etc/passwd", False),
        ("../../../../etc/passwd", False),
        ("a\x00b", False),
        ("x" * 5000, False),
        ("extensions/a", False),
        ("", False),
    ],
)
def test_what_may_be_read(host, name, there):
    assert (allowed(host, name) is not None) == there


def test_an_absolute_path_is_judged_by_its_place(host):
    assert allowed(host, str(host.paths.data / "extensions/a/javascript/x.js"))
    assert allowed(host, str(host.paths.data / "config.json")) is None


def test_each_event_is_a_script_of_its_own():
    text = event_script(" (x) => x; ")
    assert text == 'Easel.scripts.set("(x) => x", () => (\n(x) => x\n));\n'
