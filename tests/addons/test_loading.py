"""Extension code is executed with A1111's names, and its failures stay its own."""

from __future__ import annotations

import builtins
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from modules.addons import importer
from modules.addons.extension import find_extensions
from modules.addons.loading import ScriptLoader

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def load(tmp_path):
    """Write extensions (``name/path`` → code) and load them all."""
    begun = []
    before = set(sys.modules)
    folder = tmp_path / "extensions"

    def run(files):
        for path, code in files.items():
            place = folder / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(code, encoding="utf-8")
        found = find_extensions(folder)
        finder = importer.install(lambda: [folder], {"gradio": "tests.addons.other_gradio"})
        loader = ScriptLoader(finder, lambda extension, path: begun.append(path.name))
        return {done.file.key: done for done in loader.load_all(found)}

    run.begun = begun
    sys.modules["tests.addons.other_gradio"] = type(sys)("other_gradio")
    sys.modules["tests.addons.other_gradio"].mark = "shim"
    yield run
    importer.uninstall()
    for name in set(sys.modules) - before:
        if name.startswith("scripts.") or name.startswith("helper_"):
            del sys.modules[name]
    sys.modules.pop("tests.addons.other_gradio", None)


def test_a_file_is_executed_under_its_name_in_a1111(load):
    done = load({"a/scripts/first.py": "class Thing: ...\nvalue = __name__"})

    assert done["a/first.py"].module.value == "scripts.first"
    assert done["a/first.py"].module.Thing.__module__ in sys.modules
    assert load.begun == ["first.py"]


def test_two_extensions_may_have_a_file_of_one_name(load):
    done = load({"a/scripts/same.py": "value = 1", "b/scripts/same.py": "value = 2"})

    assert [done[key].module.value for key in ("a/same.py", "b/same.py")] == [1, 2]


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("def broken(:", "SyntaxError"),
        ("import no_such_package", "ModuleNotFoundError: No module named 'no_such_package'"),
        ("raise ValueError('first\\nsecond')", "ValueError: first"),
        ("import sys; sys.exit(3)", "it tried to end the program (exit code 3)"),
        ("exit()", "it tried to end the program"),
    ],
)
def test_a_failure_stays_with_the_extension_and_is_told(load, code, sentence):
    done = load({"bad/scripts/x.py": code, "good/scripts/x.py": "value = 1"})

    assert done["bad/x.py"].module is None
    assert done["bad/x.py"].error.startswith(sentence)
    assert "Traceback" in done["bad/x.py"].details
    assert done["good/x.py"].module.value == 1


def test_an_extension_finds_its_own_packages_and_leaves_the_path_as_it_was(load):
    before = list(sys.path)

    done = load(
        {
            "a/scripts/x.py": "from helper_one.part import value",
            "a/helper_one/__init__.py": "",
            "a/helper_one/part.py": "value = 5",
        }
    )

    assert done["a/x.py"].module.value == 5
    assert sys.path == before


def test_extension_code_alone_gets_the_other_gradio(load):
    import gradio

    done = load(
        {
            "a/scripts/x.py": "import gradio as gr\nfrom helper_two import seen\nmark = gr.mark",
            "a/helper_two.py": "from gradio import mark as seen",
        }
    )

    assert done["a/x.py"].error == ""
    assert (done["a/x.py"].module.mark, done["a/x.py"].module.seen) == ("shim", "shim")
    assert not hasattr(gradio, "mark")
    assert importlib.import_module("gradio") is gradio
    assert builtins.__import__ is not done["a/x.py"].module.__builtins__["__import__"]


def test_names_that_a1111_does_not_have_are_missing_as_ever(load):
    done = load({"a/scripts/x.py": "from modules import surely_not_there"})

    assert "surely_not_there" in done["a/x.py"].error


def test_no_room_of_ours_has_a_name_of_the_facade():
    rooms = {path.stem for path in (ROOT / "modules").iterdir() if not path.name.startswith("__")}
    facade = {path.stem for path in importer.FOLDER.iterdir() if not path.name.startswith("__")}

    assert rooms & facade == set()


def test_our_own_rooms_are_never_served_from_the_facade():
    assert importer.target_of("modules.settings") is None
    assert importer.target_of("modules.addons.extension") is None
    assert importer.target_of("os") is None


def test_an_alias_is_the_module_itself_under_both_names(tmp_path):
    """In a process of its own: a façade's module is the same object whichever name it came by."""
    code = (
        "import sys; from pathlib import Path\n"
        "from modules.addons import importer\n"
        "importer.FOLDER = Path(sys.argv[1]); importer.FACADE = 'facade_of_test'\n"
        "sys.path.insert(0, str(Path(sys.argv[1]).parent))\n"
        "importer.install(lambda: [])\n"
        "import facade_of_test.shared as ours\n"
        "from modules import shared\n"
        "import modules.shared, modules.deep.part as part\n"
        "assert shared is ours and sys.modules['modules.shared'] is ours\n"
        "assert shared.__name__ == 'facade_of_test.shared', shared.__name__\n"
        "assert part.value == 2\n"
        "import modules; assert modules.lazy.value == 3\n"
    )
    folder = tmp_path / "facade_of_test"
    (folder / "deep").mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    (folder / "shared.py").write_text("value = 1")
    (folder / "lazy.py").write_text("value = 3")
    (folder / "deep" / "__init__.py").write_text("")
    (folder / "deep" / "part.py").write_text("value = 2")

    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 0, done.stderr
