"""A1111's ``ScriptRunner``: the scripts of one tab, their components and the calls of their hooks.

``inputs`` is flat: the list's own component first, then the components of all scripts one behind
another; a script's arguments are ``p.script_args[args_from:args_to]``.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from modules.addons import host
from modules.addons.a1111.script import AlwaysVisible, Script, own_file
from modules.addons.a1111.script_args import OnComponent

log = logging.getLogger("easel.addons")


class ScriptRunner:
    """The scripts of txt2img or of img2img."""

    def __init__(self) -> None:
        self.scripts: list[Script] = []
        self.selectable_scripts: list[Script] = []
        self.alwayson_scripts: list[Script] = []
        self.titles: list[str] = []
        self.title_map: dict[str, Script] = {}
        self.infotext_fields: list[Any] = []
        self.paste_field_names: list[str] = []
        self.inputs: list[Any] = [None]
        self.callback_map: dict[str, Any] = {}
        self.on_before_component_elem_id: dict[str, list[Any]] = {}
        self.on_after_component_elem_id: dict[str, list[Any]] = {}

    # ---- making them

    def initialize_scripts(self, is_img2img: bool) -> None:
        """Make the tab's scripts; outside any ``gr.Blocks``, as A1111 does."""
        from modules.addons.a1111 import scripts

        self.__init__()  # type: ignore[misc]
        for data in [*scripts.auto_processing_scripts(), *scripts.scripts_data]:
            try:
                script = data.script_class()
                script.filename = data.path
                script.is_txt2img = not is_img2img
                script.is_img2img = is_img2img
                script.tabname = "img2img" if is_img2img else "txt2img"
                visibility = script.show(script.is_img2img)
            except Exception as error:
                host.get().report(data.path, f"making {data.script_class.__name__}", error)
                continue
            if visibility is AlwaysVisible:
                script.alwayson = True
                self.scripts.append(script)
                self.alwayson_scripts.append(script)
            elif visibility:
                self.scripts.append(script)
                self.selectable_scripts.append(script)
        self.callback_map = {}
        self.apply_on_before_component_callbacks()

    def apply_on_before_component_callbacks(self) -> None:
        """Collect what scripts registered for components by id."""
        for script in self.scripts:
            for elem_id, callback in script.on_before_component_elem_id or []:
                self.on_before_component_elem_id.setdefault(elem_id, []).append((callback, script))
            for elem_id, callback in script.on_after_component_elem_id or []:
                self.on_after_component_elem_id.setdefault(elem_id, []).append((callback, script))

    # ---- their components

    def prepare_ui(self) -> None:
        """Begin anew."""
        self.inputs = [None]

    def setup_ui_for_section(
        self, section: str | None, scriptlist: Sequence[Script] | None = None
    ) -> None:
        """Make the components of the always-on scripts of a section, a group for each."""
        from modules.addons.a1111 import gradio_shim as gr

        for script in self.alwayson_scripts if scriptlist is None else scriptlist:
            if script.alwayson and script.section != section:
                continue
            if script.create_group:
                with self._group(gr, script) as group:
                    self.create_script_ui(script)
                script.group = group
            else:
                self.create_script_ui(script)

    def _group(self, gr: Any, script: Script) -> Any:
        """A place for a script; the page's Script list shows that of the chosen one."""
        if script.alwayson:
            return gr.Group()
        number = self.selectable_scripts.index(script)
        return gr.Group(
            elem_id=f"{script.tabname}_extension_script_{number}",
            elem_classes=["easel-script-group"],
        )

    def create_script_ui(self, script: Script) -> None:
        """Make a script's components, and note which of the arguments are its."""
        from modules.addons.a1111.component_hooks import inside

        script.args_from = len(self.inputs)
        script.args_to = len(self.inputs)
        controls: Any = None
        try:
            script.name = script.title()
            with inside(script):
                controls = script.ui(script.is_img2img)
        except Exception as error:
            host.get().report(own_file(script), "ui", error)
        script.name = (script.name or type(script).__name__).lower()
        if controls is None:
            controls = []
        controls = list(controls) if isinstance(controls, (list, tuple)) else [controls]
        script.controls = controls
        for control in controls:
            control.custom_script_source = own_file(script).rsplit("/", 1)[-1]
        if script.infotext_fields is not None:
            self.infotext_fields += script.infotext_fields
        if script.paste_field_names is not None:
            self.paste_field_names += script.paste_field_names
        self.inputs += controls
        script.args_to = len(self.inputs)

    def setup_ui(self) -> list[Any]:
        """Make the components of all scripts; returns the flat inputs.

        The page's own Script list chooses between the selectable ones: their groups are all there,
        and the list shows one.
        """
        self._name_titles()
        self.setup_ui_for_section(None)
        self.setup_ui_for_section(None, self.selectable_scripts)
        return self.inputs

    def _name_titles(self) -> None:
        self.titles = [self._title(script) for script in self.selectable_scripts]
        self.title_map = {self._title(script).lower(): script for script in self.scripts}

    def _title(self, script: Script) -> str:
        try:
            return str(script.title())
        except Exception as error:
            host.get().report(own_file(script), "title", error)
            return type(script).__name__

    def script(self, title: str) -> Script | None:
        """The script with a title, in any case."""
        return self.title_map.get(title.lower())

    # ---- arguments

    def defaults(self, script: Script) -> list[Any]:
        """The values that a script's components begin with."""
        return [_value_of(control) for control in script.controls or []]

    def flat_args(self, selected: str | None, given: Mapping[str, Sequence[Any]]) -> list[Any]:
        """A1111's ``script_args``: the selected script's number (0: none), then all arguments.

        Args:
            selected: title of the selectable script that runs, or None.
            given: title, in lower case → its arguments; the rest are the components' own values.
        """
        args: list[Any] = [0]
        for component in self.inputs[1:]:
            args.append(_value_of(component))
        by_title = {title.lower(): values for title, values in given.items()}
        for title, script in self.title_map.items():
            start, end = script.args_from or 0, script.args_to or 0
            values = list(by_title.get(title, []))[: end - start]
            args[start : start + len(values)] = values
        if selected:
            script = self.script(selected)
            if script in self.selectable_scripts:
                args[0] = self.selectable_scripts.index(script) + 1
        return args

    def args_of(self, script: Script, p: Any) -> Sequence[Any]:
        """The arguments of one script in a running job."""
        return list(p.script_args or [])[script.args_from : script.args_to]

    def set_named_arg(
        self, args: list[Any], script_name: str, arg_elem_id: str, value: Any, fuzzy: bool = False
    ) -> None:
        """Set one argument by its component's id."""
        script = next((one for one in self.scripts if one.name == script_name), None)
        if script is None:
            raise RuntimeError(f"script {script_name} not found")
        for number, control in enumerate(script.controls):
            elem_id = str(getattr(control, "elem_id", ""))
            if arg_elem_id in elem_id if fuzzy else arg_elem_id == elem_id:
                args[script.args_from + number] = value
                return

    # ---- calling them

    def run(self, p: Any, *args: Any) -> Any:
        """Run the selected script; None when there is none."""
        script_index = int(args[0] or 0) if args else 0
        if not 0 < script_index <= len(self.selectable_scripts):
            return None
        script = self.selectable_scripts[script_index - 1]
        return script.run(p, *args[script.args_from : script.args_to])

    def list_scripts_for_method(self, method_name: str) -> list[Script]:
        """Always-on scripts that have a hook of their own."""
        return [
            script
            for script in self.alwayson_scripts
            if getattr(type(script), method_name, None) is not getattr(Script, method_name, None)
            or method_name in vars(script)
        ]

    def ordered_scripts(self, method_name: str) -> list[Script]:
        """The same in the order in which they are called."""
        from modules.addons.a1111 import script_callbacks

        found: list[Any] = []
        by_callback = {}
        for script in self.list_scripts_for_method(method_name):
            script_callbacks.add_callback(
                found, script, category=f"script_{method_name}", filename=own_file(script)
            )
            by_callback[id(found[-1])] = script
        found = script_callbacks.ordered_callbacks(f"script_{method_name}", found)
        return [by_callback[id(callback)] for callback in found]

    def _call(self, method: str, p: Any, *first: Any, **kwargs: Any) -> None:
        for script in self.ordered_scripts(method):
            try:
                getattr(script, method)(p, *first, *self.args_of(script, p), **kwargs)
            except Exception as error:
                host.get().report(own_file(script), method, error)

    def setup_scrips(self, p: Any, *, is_ui: bool = True) -> None:
        """Call ``setup`` (A1111 spells it so)."""
        for script in self.ordered_scripts("setup"):
            if not is_ui and script.setup_for_ui_only:
                continue
            try:
                script.setup(p, *self.args_of(script, p))
            except Exception as error:
                host.get().report(own_file(script), "setup", error)

    def before_process(self, p: Any) -> None:
        """Call the hook of all always-on scripts; the same goes for those below."""
        self._call("before_process", p)

    def process(self, p: Any) -> None:
        self._call("process", p)

    def process_before_every_sampling(self, p: Any, **kwargs: Any) -> None:
        self._call("process_before_every_sampling", p, **kwargs)

    def before_process_batch(self, p: Any, **kwargs: Any) -> None:
        self._call("before_process_batch", p, **kwargs)

    def after_extra_networks_activate(self, p: Any, **kwargs: Any) -> None:
        self._call("after_extra_networks_activate", p, **kwargs)

    def process_batch(self, p: Any, **kwargs: Any) -> None:
        self._call("process_batch", p, **kwargs)

    def postprocess(self, p: Any, processed: Any) -> None:
        self._call("postprocess", p, processed)

    def postprocess_batch(self, p: Any, images: Any, **kwargs: Any) -> None:
        self._call("postprocess_batch", p, images=images, **kwargs)

    def postprocess_batch_list(self, p: Any, pp: Any, **kwargs: Any) -> None:
        self._call("postprocess_batch_list", p, pp, **kwargs)

    def post_sample(self, p: Any, ps: Any) -> None:
        self._call("post_sample", p, ps)

    def on_mask_blend(self, p: Any, mba: Any) -> None:
        self._call("on_mask_blend", p, mba)

    def postprocess_image(self, p: Any, pp: Any) -> None:
        self._call("postprocess_image", p, pp)

    def postprocess_maskoverlay(self, p: Any, ppmo: Any) -> None:
        self._call("postprocess_maskoverlay", p, ppmo)

    def postprocess_image_after_composite(self, p: Any, pp: Any) -> None:
        self._call("postprocess_image_after_composite", p, pp)

    def before_hr(self, p: Any) -> None:
        self._call("before_hr", p)

    def before_component(self, component: Any, **kwargs: Any) -> None:
        """A component of the page is about to be made."""
        self._component("before_component", self.on_before_component_elem_id, component, kwargs)

    def after_component(self, component: Any, **kwargs: Any) -> None:
        """A component of the page was made."""
        self._component("after_component", self.on_after_component_elem_id, component, kwargs)

    def _component(
        self, method: str, by_id: dict[str, list[Any]], component: Any, kwargs: dict[str, Any]
    ) -> None:
        for callback, script in by_id.get(str(kwargs.get("elem_id")), []):
            try:
                callback(OnComponent(component=component))
            except Exception as error:
                host.get().report(own_file(script), method, error)
        for script in self.scripts:
            if getattr(type(script), method) is getattr(Script, method):
                continue
            try:
                getattr(script, method)(component, **kwargs)
            except Exception as error:
                host.get().report(own_file(script), method, error)

    def reload_sources(self, cache: Any) -> None:
        """A1111 reloads bodies in place; ours are loaded anew with the program."""


def _value_of(component: Any) -> Any:
    """What a component begins with, as its script gets it: the place of a choice by index."""
    value = getattr(component, "value", None)
    value = value() if callable(value) else value
    if getattr(component, "type", None) == "index" and isinstance(value, str):
        pairs = [one[1] if isinstance(one, (list, tuple)) else one for one in component.choices]
        return pairs.index(value) if value in pairs else None
    return value
