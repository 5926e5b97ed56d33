"""A1111's ``OptionInfo``: how an extension describes a setting."""

from __future__ import annotations

import html
from collections.abc import Callable
from typing import Any


class OptionInfo:
    """One setting; the small methods return it again so that calls can be chained."""

    def __init__(
        self,
        default: Any = None,
        label: str = "",
        component: Any = None,
        component_args: Any = None,
        onchange: Callable[..., Any] | None = None,
        section: tuple[str | None, str] | tuple[str | None, str, str] | None = None,
        refresh: Callable[..., Any] | None = None,
        comment_before: str = "",
        comment_after: str = "",
        infotext: str | None = None,
        restrict_api: bool = False,
        category_id: str | None = None,
    ) -> None:
        self.default = default
        self.label = label
        self.component = component
        self.component_args = component_args
        self.onchange = onchange
        self.section = section
        self.category_id = category_id
        self.refresh = refresh
        self.do_not_save = False
        self.comment_before = comment_before
        self.comment_after = comment_after
        self.infotext = infotext
        self.restrict_api = restrict_api

    def link(self, label: str, url: str) -> OptionInfo:
        """Add a link."""
        address = html.escape(str(url), quote=True)
        self.comment_before += f"[<a href='{address}' target='_blank'>{label}</a>]"
        return self

    def js(self, label: str, js_func: str) -> OptionInfo:
        """Add a link that calls a function of the page."""
        self.comment_before += f"[<a onclick='{js_func}(); return false'>{label}</a>]"
        return self

    def info(self, info: str) -> OptionInfo:
        """Add a remark."""
        self.comment_after += f"<span class='info'>({info})</span>"
        return self

    def html(self, html: str) -> OptionInfo:
        """Add HTML."""
        self.comment_after += html
        return self

    def needs_restart(self) -> OptionInfo:
        """Say that it acts after a restart."""
        self.comment_after += " <span class='info'>(requires restart)</span>"
        return self

    def needs_reload_ui(self) -> OptionInfo:
        """Say that it acts once the page is built again."""
        self.comment_after += " <span class='info'>(requires Reload UI)</span>"
        return self

    def arguments(self) -> dict[str, Any]:
        """What the component is made with."""
        given = self.component_args
        try:
            found = given() if callable(given) else given
        except Exception:
            found = None
        return dict(found or {})


class OptionHTML(OptionInfo):
    """A text between settings."""

    def __init__(self, text: str) -> None:
        super().__init__(str(text).strip(), label="")
        self.do_not_save = True


class OptionDiv(OptionInfo):
    """A line between settings."""

    def __init__(self, text: str = "") -> None:
        super().__init__(text, label="")
        self.do_not_save = True


def options_section(
    section_identifier: tuple[Any, ...], options_dict: dict[str, OptionInfo]
) -> dict[str, OptionInfo]:
    """Put settings into one section."""
    for info in options_dict.values():
        info.section = section_identifier[:2]  # type: ignore[assignment]
        if len(section_identifier) > 2:
            info.category_id = section_identifier[2]
    return options_dict
