"""A1111's ``ui_components``: small variants of Gradio's components."""

from __future__ import annotations

from typing import Any

from modules.addons.a1111 import gradio_shim as gr


class FormComponent:
    """A mark."""

    webui_do_not_create_gradio_pyi_thank_you = True

    def get_expected_parent(self) -> Any:
        """Components of a form lie in a form."""
        return gr.components.Form


gr.Dropdown.get_expected_parent = FormComponent.get_expected_parent


class ToolButton(gr.Button):
    """A small button with one sign."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        classes = kwargs.pop("elem_classes", [])
        classes = [classes] if isinstance(classes, str) else list(classes or [])
        super().__init__(*args, elem_classes=["tool", *classes], **kwargs)

    def get_block_name(self) -> str:
        """Drawn as what it derives from."""
        return "button"


class ResizeHandleRow(gr.Row):
    """A row whose parts A1111 lets one resize."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.elem_classes.append("resize-handle-row")

    def get_block_name(self) -> str:
        """Drawn as what it derives from."""
        return "row"


class FormRow(gr.Row):
    """A row in a form."""

    def get_block_name(self) -> str:
        """Drawn as what it derives from."""
        return "row"


class FormColumn(gr.Column):
    """A column in a form."""

    def get_block_name(self) -> str:
        """Drawn as what it derives from."""
        return "column"


class FormGroup(gr.Group):
    """A group in a form."""

    def get_block_name(self) -> str:
        """Drawn as what it derives from."""
        return "group"


class FormHTML(gr.HTML):
    """HTML in a form."""

    def get_block_name(self) -> str:
        """Drawn as what it derives from."""
        return "html"


class FormColorPicker(gr.ColorPicker):
    """A colour in a form."""

    def get_block_name(self) -> str:
        """Drawn as what it derives from."""
        return "colorpicker"


class DropdownMulti(gr.Dropdown):
    """A list of which several are chosen."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("multiselect", True)
        super().__init__(**kwargs)

    def get_block_name(self) -> str:
        """Drawn as what it derives from."""
        return "dropdown"


class DropdownEditable(gr.Dropdown):
    """A list whose value may be typed."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("allow_custom_value", True)
        super().__init__(**kwargs)

    def get_block_name(self) -> str:
        """Drawn as what it derives from."""
        return "dropdown"


class InputAccordion(gr.Checkbox):
    """A checkbox with an accordion below, which is open while it is checked."""

    global_index = 0

    def __init__(self, value: bool | None = None, **kwargs: Any) -> None:
        self.accordion_id = kwargs.get("elem_id")
        if self.accordion_id is None:
            self.accordion_id = f"input-accordion-{InputAccordion.global_index}"
            InputAccordion.global_index += 1
        label = kwargs.get("label", "Accordion")
        classes = list(kwargs.get("elem_classes") or [])
        super().__init__(
            value=bool(value),
            label=label,
            elem_id=f"{self.accordion_id}-checkbox",
            container=False,
            elem_classes=["input-accordion-checkbox"],
        )
        self.accordion = gr.Accordion(
            label,
            open=bool(value),
            elem_id=self.accordion_id,
            elem_classes=["input-accordion", *classes],
        )
        self.change(
            None,
            [self],
            [self.accordion],
            js="(on) => ({__type__: 'update', open: on})",
            queue=False,
        )

    def extra(self) -> Any:
        """A place in the accordion's head."""
        return gr.Column(
            elem_id=f"{self.accordion_id}-extra", elem_classes=["input-accordion-extra"]
        )

    def __enter__(self) -> InputAccordion:
        """Components made now lie in the accordion."""
        self.accordion.__enter__()
        return self

    def __exit__(self, exc_type: Any = None, exc_val: Any = None, exc_tb: Any = None) -> None:
        """Back to where it was made."""
        self.accordion.__exit__(exc_type, exc_val, exc_tb)

    def get_block_name(self) -> str:
        """Drawn as what it derives from."""
        return "checkbox"
