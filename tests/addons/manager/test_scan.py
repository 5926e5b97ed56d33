"""What an extension would do here, read from its text."""

from __future__ import annotations

import os

import pytest

from modules.addons.manager import scan as room
from modules.addons.manager.scan import scan


@pytest.fixture
def folder(tmp_path):
    def write(files, name="my-extension"):
        for path, text in files.items():
            place = tmp_path / name / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text, encoding="utf-8")
        return tmp_path / name

    return write


def sentences(found, kind):
    return [(one.file, one.line, one.sentence) for one in found.findings if one.kind == kind]


@pytest.mark.parametrize(
    "code",
    [
        "import ldm",
        "from ldm.modules.attention import CrossAttention",
        "import numpy, sgm.util",
        "class A:\n    import k_diffusion",
    ],
)
def test_what_cannot_load_without_a1111s_insides_is_refused(folder, code):
    found = scan(folder({"scripts/x.py": code}))

    assert "cannot work in Easel" in found.refused
    assert len(sentences(found, "internals")) == 1


def test_the_refusal_names_what_easel_has_instead(folder):
    found = scan(folder({"scripts/x.py": "import ldm"}, "multidiffusion-upscaler"))

    assert "VAE in parts" in found.refused


@pytest.mark.parametrize(
    "code",
    [
        "try:\n    import ldm\nexcept ImportError:\n    ldm = None",
        "def use():\n    from ldm import x",
        "if True:\n    import sgm",
        "import ldmx, my.ldm",
    ],
)
def test_imports_that_loading_does_not_need_only_warn(folder, code):
    assert scan(folder({"scripts/x.py": code})).refused == ""


def test_insides_behind_the_extensions_own_modules_are_found(folder):
    found = scan(
        folder(
            {
                "scripts/x.py": "from lib_a import part",
                "lib_a/__init__.py": "",
                "lib_a/part.py": "from .deep import y",
                "lib_a/deep.py": "import ldm.util\ny = 1",
                "unused.py": "import sgm",
            }
        )
    )

    assert [entry[0] for entry in sentences(found, "internals")] == ["lib_a/deep.py"]
    assert [entry[0] for entry in sentences(found, "guarded")] == ["unused.py"]


def test_a_package_of_its_own_under_such_a_name_is_its_own(folder):
    found = scan(
        folder(
            {
                "scripts/x.py": "import backend.parts",
                "backend/__init__.py": "",
                "backend/parts.py": "",
            }
        )
    )

    assert found.refused == ""


def test_calls_worth_knowing_are_listed_with_their_place(folder):
    code = (
        "import subprocess as sp\nfrom urllib.request import urlopen\nimport os\n"
        "def run():\n    sp.run(['x'])\n    urlopen('http://x')\n"
        "    os.system('x')\n    sp.run(['y'])\n"
    )

    found = sentences(scan(folder({"scripts/x.py": code})), "calls")

    assert found == [
        ("scripts/x.py", 5, "starts other programs (subprocess.run)"),
        ("scripts/x.py", 6, "asks other machines (urllib.request.urlopen)"),
    ]


def test_files_requirements_and_installers_are_named(folder):
    place = folder(
        {
            "install.py": "",
            "preload.py": "",
            "requirements.txt": "dynamicprompts~=0.30 # why\n\n# only this\nrequests\n",
            "lib/tool.dll": "MZ",
            ".git/config": "secret",
        }
    )
    os.symlink("/etc/passwd", place / "link.txt")

    found = scan(place)

    assert found.files == ("install.py", "lib/tool.dll", "preload.py", "requirements.txt")
    assert found.requirements == ("dynamicprompts~=0.30", "requests")
    assert found.counts == {"files": 2, "install": 2}


@pytest.mark.parametrize("text", ["def (:", "\x00", "(" * 5000, "print 'x'"])
def test_what_is_no_python_is_named_and_nothing_else_happens(folder, text):
    found = scan(folder({"scripts/x.py": text}))

    assert [one.kind for one in found.findings] == ["syntax"]


def test_a_folder_that_is_no_extension_is_refused(folder, monkeypatch):
    place = folder({f"{number}.txt": "x" for number in range(30)})
    monkeypatch.setattr(room, "MOST_FILES", 20)

    with pytest.raises(ValueError, match="no extension"):
        scan(place)
