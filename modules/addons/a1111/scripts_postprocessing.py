"""A1111's scripts of the Extras tab."""

from __future__ import annotations

from typing import Any

from modules.addons import host


class PostprocessedImageSharedInfo:
    """Sizes that the steps of one picture agree on."""

    def __init__(self, target_width: int | None = None, target_height: int | None = None) -> None:
        self.target_width = target_width
        self.target_height = target_height


class PostprocessedImage:
    """A picture on its way through the steps."""

    def __init__(self, image: Any) -> None:
        self.image = image
        self.info: dict[str, Any] = {}
        self.shared = PostprocessedImageSharedInfo()
        self.extra_images: list[Any] = []
        self.nametags: list[str] = []
        self.disable_processing = False
        self.caption: str | None = None

    def get_suffix(self, used_suffixes: dict[str, int] | None = None) -> str:
        """What is appended to the file's name."""
        used = {} if used_suffixes is None else used_suffixes
        suffix = "-".join(self.nametags)
        if suffix:
            suffix = f"-{suffix}"
        if suffix not in used:
            used[suffix] = 1
            return suffix
        count = 1
        while f"{suffix}-{count}" in used:
            count += 1
        used[f"{suffix}-{count}"] = 1
        return f"{suffix}-{count}"

    def create_copy(
        self, new_image: Any, *, nametags: list[str] | None = None, disable_processing: bool = False
    ) -> PostprocessedImage:
        """Another picture with the same parameters."""
        copy = PostprocessedImage(new_image)
        copy.shared = self.shared
        copy.nametags = [*self.nametags, *(nametags or [])]
        copy.info = dict(self.info)
        copy.disable_processing = disable_processing
        return copy


class ScriptPostprocessing:
    """One step of the Extras tab."""

    filename: str | None = None
    controls: Any = None
    args_from: int | None = None
    args_to: int | None = None
    group: Any = None
    order = 1000
    name: str | None = None

    def ui(self) -> Any:
        """Make the components: a dict of argument name → component."""
        return {}

    def process(self, pp: PostprocessedImage, **args: Any) -> None:
        """Change ``pp.image``."""

    def process_firstpass(self, pp: PostprocessedImage, **args: Any) -> None:
        """Called for all steps before the first ``process``."""

    def image_changed(self) -> None:
        """Another picture was chosen."""


class ScriptPostprocessingRunner:
    """All steps."""

    def __init__(self) -> None:
        self.scripts: list[ScriptPostprocessing] | None = None
        self.ui_created = False

    def initialize_scripts(self, scripts_data: Any) -> None:
        """Make them."""
        self.scripts = []
        for data in scripts_data:
            try:
                script = data.script_class()
            except Exception as error:
                host.get().report(data.path, f"making {data.script_class.__name__}", error)
                continue
            script.filename = data.path
            if script.name == "Simple Upscale":
                continue
            self.scripts.append(script)

    def create_script_ui(self, script: ScriptPostprocessing, inputs: list[Any]) -> None:
        """Make a step's components."""
        script.args_from = len(inputs)
        try:
            script.controls = dict(script.ui() or {})
        except Exception as error:
            host.get().report(str(script.filename), "ui", error)
            script.controls = {}
        inputs.extend(script.controls.values())
        script.args_to = len(inputs)

    def scripts_in_preferred_order(self) -> list[ScriptPostprocessing]:
        """By ``order``, then by name."""
        if self.scripts is None:
            from modules.addons.a1111 import scripts

            self.initialize_scripts(scripts.postprocessing_scripts_data)
        return sorted(self.scripts or [], key=lambda one: (one.order, one.name or ""))

    def run(self, pp: PostprocessedImage, values: dict[str, dict[str, Any]]) -> None:
        """Let each step change the picture; ``values`` maps a step's name to its arguments."""
        for script in self.scripts_in_preferred_order():
            try:
                script.process(pp, **values.get(script.name or "", {}))
            except Exception as error:
                host.get().report(str(script.filename), "process", error)

    def image_changed(self) -> None:
        """Tell all of them."""
        for script in self.scripts_in_preferred_order():
            script.image_changed()
