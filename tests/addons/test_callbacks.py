"""Callbacks and hooks of extensions: each on its own, in order, with what went wrong kept."""

from __future__ import annotations

import types

import pytest

from modules.addons import host
from modules.addons.a1111 import script_callbacks, scripts
from modules.addons.a1111.options import OptionInfo, Options, options_section
from modules.addons.extension import Extension
from modules.addons.metadata import Metadata


@pytest.fixture
def here(tmp_path):
    """A host with one extension in which this file lies, and empty registries."""
    before = host.get()
    metadata = Metadata(
        {
            "callbacks/mine/test_callbacks.py/ui_tabs/late": {
                "after": "mine/test_callbacks.py/ui_tabs"
            }
        }
    )
    folder = __import__("pathlib").Path(__file__).parent
    yield host.set_host(host.Host(extensions=[Extension("mine", folder, metadata=metadata)]))
    host.set_host(before)
    script_callbacks.clear_callbacks()
    scripts.scripts_data.clear()


def test_a_callback_that_fails_is_told_and_the_others_are_called(here):
    def broken():
        raise ValueError("no")

    called = []
    script_callbacks.on_before_ui(broken)
    script_callbacks.on_before_ui(lambda: called.append(1))

    script_callbacks.before_ui_callback()

    assert called == [1]
    assert [(one.extension, one.error) for one in here.problems] == [("mine", "ValueError: no")]


def test_metadata_orders_callbacks(here):
    script_callbacks.on_ui_tabs(lambda: ["late"], name="late")
    script_callbacks.on_ui_tabs(lambda: ["early"])

    assert script_callbacks.ui_tabs_callback() == ["early", "late"]


def test_callbacks_can_be_taken_back_while_they_are_called(here):
    def once():
        script_callbacks.remove_callbacks_for_function(once)

    script_callbacks.on_cfg_denoiser(lambda params: once())
    script_callbacks.on_before_ui(once)
    script_callbacks.before_ui_callback()

    assert script_callbacks.callback_map["callbacks_before_ui"] == []
    assert script_callbacks.has("cfg_denoiser")
    script_callbacks.remove_current_script_callbacks()
    assert not script_callbacks.has("cfg_denoiser")


def test_each_hook_gets_its_own_arguments(here):
    class First(scripts.Script):
        def title(self):
            return "First one"

        def show(self, is_img2img):
            return scripts.AlwaysVisible

        def process(self, p, *args):
            p.seen.append(args)

    class Second(First):
        def title(self):
            return "Second"

        def process(self, p, *args):
            raise RuntimeError("second fails")

    runner = _runner(here, First, Second)
    control = types.SimpleNamespace(value=7)
    for script in runner.scripts:
        script.ui = lambda is_img2img: [control, control]
        runner.create_script_ui(script)
    runner._name_titles()
    args = runner.flat_args(None, {"Second": [1]})
    p = types.SimpleNamespace(script_args=args, seen=[])

    runner.process(p)

    assert args == [0, 7, 7, 1, 7]
    assert p.seen == [(7, 7)]
    assert [one.error for one in here.problems] == ["RuntimeError: second fails"]


def test_a_script_that_cannot_be_made_is_left_out(here):
    class Broken(scripts.Script):
        def __init__(self):
            raise OSError("no file")

    assert _runner(here, Broken).scripts == []
    assert here.problems[0].error == "OSError: no file"


def _runner(here, *classes):
    module = types.ModuleType("module")
    vars(module).update({one.__name__: one for one in classes})
    scripts.register_scripts_from_module(module, __file__, "")
    runner = scripts.ScriptRunner()
    runner.initialize_scripts(False)
    return runner


def test_settings_of_extensions():
    called = []
    opts = Options()
    opts.add_option("size", OptionInfo(3, "Size", onchange=lambda: called.append(opts.size)))
    opts.data_labels.update(options_section(("id", "Section"), {"kind": OptionInfo("a", "Kind")}))

    assert (opts.size, opts.data["size"], opts.kind) == (3, 3, "a")
    opts.size = 5
    opts.take({"size": 6, "other": 1})
    assert called == [5, 6]
    assert opts.other == 1
    assert opts.data_labels["kind"].section == ("id", "Section")
    with pytest.raises(AttributeError, match="nothing_such"):
        _ = opts.nothing_such
