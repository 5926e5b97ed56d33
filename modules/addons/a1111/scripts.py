"""A1111's ``scripts``: the classes that extensions define, and the runners that call them."""

from __future__ import annotations

import os
from types import ModuleType
from typing import Any, NamedTuple

from modules.addons import host
from modules.addons.a1111 import script_callbacks
from modules.addons.a1111.script import AlwaysVisible, Script, ScriptBuiltinUI
from modules.addons.a1111.script_args import (
    MaskBlendArgs,
    OnComponent,
    PostprocessBatchListArgs,
    PostprocessImageArgs,
    PostProcessMaskOverlayArgs,
    PostSampleArgs,
)
from modules.addons.a1111.script_runner import ScriptRunner
from modules.addons.extension import ordered_files
from modules.settings.paths import ROOT

__all__ = [
    "AlwaysVisible",
    "MaskBlendArgs",
    "OnComponent",
    "PostProcessMaskOverlayArgs",
    "PostSampleArgs",
    "PostprocessBatchListArgs",
    "PostprocessImageArgs",
    "Script",
    "ScriptBuiltinUI",
    "ScriptRunner",
    "script_callbacks",
]


class ScriptFile(NamedTuple):
    """A file of an extension."""

    basedir: str
    filename: str
    path: str


class ScriptClassData(NamedTuple):
    """A class that an extension defined."""

    script_class: type
    path: str
    basedir: str
    module: ModuleType


scripts_data: list[ScriptClassData] = []
postprocessing_scripts_data: list[ScriptClassData] = []

current_basedir = str(ROOT)


def basedir() -> str:
    """The extension's folder; only while its file is executed, else the program's."""
    return current_basedir


def list_scripts(
    scriptdirname: str, extension: str, *, include_extensions: bool = True
) -> list[ScriptFile]:
    """Files of all active extensions in one of their folders, in the order of loading."""
    if not include_extensions:
        return []
    files = ordered_files(host.get().active(), scriptdirname, extension)
    return [
        ScriptFile(str(file.extension.folder), file.path.name, str(file.path)) for file in files
    ]


def list_files_with_name(filename: str) -> list[str]:
    """Paths of the files of one name in the folders of all active extensions."""
    found = [extension.folder / filename for extension in host.get().active()]
    return [str(path) for path in found if path.is_file()]


def begin_file(folder: str) -> None:
    """A file of the extension in ``folder`` is about to be executed; empty for none."""
    global current_basedir
    current_basedir = folder or str(ROOT)


def register_scripts_from_module(module: ModuleType, path: str, folder: str) -> int:
    """Note the script classes of an executed file; returns how many there are."""
    from modules.addons.a1111.scripts_postprocessing import ScriptPostprocessing

    count = 0
    for found in list(vars(module).values()):
        if not isinstance(found, type):
            continue
        data = ScriptClassData(found, path, folder, module)
        if issubclass(found, Script) and found not in (Script, ScriptBuiltinUI):
            scripts_data.append(data)
            count += 1
        elif issubclass(found, ScriptPostprocessing) and found is not ScriptPostprocessing:
            postprocessing_scripts_data.append(data)
            count += 1
    return count


def auto_processing_scripts() -> list[ScriptClassData]:
    """A1111's scripts made from preprocessing of Extras; there are none here."""
    return []


def wrap_call(
    func: Any, filename: str, funcname: str, *args: Any, default: Any = None, **kwargs: Any
) -> Any:
    """Call a function of a script; what it does wrong is reported and gives ``default``."""
    try:
        return func(*args, **kwargs)
    except Exception as error:
        host.get().report(os.fspath(filename), funcname, error)
        return default


def load_scripts() -> None:
    """A1111's loading at start; ours is done by the program."""


reload_scripts = load_scripts
reload_script_body_only = load_scripts


def add_classes_to_gradio_component(comp: Any) -> None:
    """The classes by which A1111's styles and scripts know components."""
    name = getattr(comp, "get_block_name", lambda: type(comp).__name__)()
    classes = list(getattr(comp, "elem_classes", None) or [])
    classes = [f"gradio-{name}", *[one for one in classes if one != f"gradio-{name}"]]
    if getattr(comp, "multiselect", False) and "multiselect" not in classes:
        classes.append("multiselect")
    comp.elem_classes = classes


scripts_txt2img = ScriptRunner()
scripts_img2img = ScriptRunner()
scripts_postproc: Any = None
scripts_current: ScriptRunner | None = None


def __getattr__(name: str) -> Any:
    if name == "ScriptPostprocessing":
        from modules.addons.a1111.scripts_postprocessing import ScriptPostprocessing

        return ScriptPostprocessing
    raise AttributeError(f"module 'modules.scripts' has no attribute {name!r}")
