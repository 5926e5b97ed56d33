"""A1111's ``Script``: the class that extensions derive theirs from."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import Any

AlwaysVisible = object()
"""What ``show()`` returns for a script that always takes part."""


class Script:
    """One script of an extension, made once per tab."""

    name: str | None = None
    section: str | None = None
    filename: str | None = None
    args_from: int | None = None
    args_to: int | None = None
    alwayson = False
    is_txt2img = False
    is_img2img = False
    tabname: str | None = None
    group: Any = None
    create_group = True
    infotext_fields: Any = None
    paste_field_names: Any = None
    api_info: Any = None
    on_before_component_elem_id: Any = None
    on_after_component_elem_id: Any = None
    setup_for_ui_only = False
    controls: Any = None
    sorting_priority = 0

    def title(self) -> str:
        """What the user reads in the list."""
        raise NotImplementedError

    def ui(self, is_img2img: bool) -> Any:
        """Make the components; their values are the hooks' further arguments."""

    def show(self, is_img2img: bool) -> Any:
        """True to be selectable, False to be left out, or `AlwaysVisible`."""
        return True

    def run(self, p: Any, *args: Any) -> Any:
        """A selected script generates here, with ``processing.process_images(p)``."""

    def setup(self, p: Any, *args: Any) -> None:
        """The request is known, nothing has begun."""

    def before_process(self, p: Any, *args: Any) -> None:
        """Before anything is settled: override settings, models."""

    def process(self, p: Any, *args: Any) -> None:
        """Prompts and seeds of all pictures are known."""

    def before_process_batch(self, p: Any, *args: Any, **kwargs: Any) -> None:
        """Before a batch's prompts are read; they may change."""

    def after_extra_networks_activate(self, p: Any, *args: Any, **kwargs: Any) -> None:
        """Extra networks of a batch are in the model."""

    def process_before_every_sampling(self, p: Any, *args: Any, **kwargs: Any) -> None:
        """Before each sampling pass, hires included."""

    def process_batch(self, p: Any, *args: Any, **kwargs: Any) -> None:
        """Before a batch is sampled."""

    def postprocess_batch(self, p: Any, *args: Any, **kwargs: Any) -> None:
        """A batch is decoded."""

    def postprocess_batch_list(self, p: Any, pp: Any, *args: Any, **kwargs: Any) -> None:
        """A batch is decoded, as a list that may change."""

    def on_mask_blend(self, p: Any, mba: Any, *args: Any) -> None:
        """Latents are mixed by an inpaint mask."""

    def post_sample(self, p: Any, ps: Any, *args: Any) -> None:
        """Latents are sampled, not decoded."""

    def postprocess_image(self, p: Any, pp: Any, *args: Any) -> None:
        """One picture is there."""

    def postprocess_maskoverlay(self, p: Any, ppmo: Any, *args: Any) -> None:
        """Before the original is laid over an inpainted picture."""

    def postprocess_image_after_composite(self, p: Any, pp: Any, *args: Any) -> None:
        """After the original was laid over."""

    def postprocess(self, p: Any, processed: Any, *args: Any) -> None:
        """All pictures are there."""

    def before_component(self, component: Any, **kwargs: Any) -> None:
        """A component of the page is about to be made."""

    def after_component(self, component: Any, **kwargs: Any) -> None:
        """A component of the page was made."""

    def before_hr(self, p: Any, *args: Any) -> None:
        """Before the hires pass."""

    def describe(self) -> str:
        """What the script does."""
        return ""

    def on_before_component(self, callback: Callable[..., Any], *, elem_id: str) -> None:
        """Call ``callback(OnComponent)`` before the component with that id is made."""
        if self.on_before_component_elem_id is None:
            self.on_before_component_elem_id = []
        self.on_before_component_elem_id.append((elem_id, callback))

    def on_after_component(self, callback: Callable[..., Any], *, elem_id: str) -> None:
        """Call ``callback(OnComponent)`` after the component with that id was made."""
        if self.on_after_component_elem_id is None:
            self.on_after_component_elem_id = []
        self.on_after_component_elem_id.append((elem_id, callback))

    def elem_id(self, item_id: str) -> str:
        """An id for a component, unique over the tabs."""
        need_tabname = self.show(True) == self.show(False)
        tabkind = "img2img" if self.is_img2img else "txt2img"
        tabname = f"{tabkind}_" if need_tabname else ""
        title = re.sub(r"[^a-z_0-9]", "", re.sub(r"\s", "_", self.title().lower()))
        return f"script_{tabname}{title}_{item_id}"


class ScriptBuiltinUI(Script):
    """A1111's base of its own parts of the form."""

    setup_for_ui_only = True

    def elem_id(self, item_id: str) -> str:
        """An id with the tab's name alone."""
        need_tabname = self.show(True) == self.show(False)
        tabname = ("img2img" if self.is_img2img else "txt2img") + "_" if need_tabname else ""
        return f"{tabname}{item_id}"

    def show(self, is_img2img: bool) -> Any:
        """Always there."""
        return AlwaysVisible


def own_file(script: Script) -> str:
    """The file that a script came from, for reports."""
    return os.fspath(script.filename or "")
