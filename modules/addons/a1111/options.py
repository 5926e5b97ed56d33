"""A1111's ``opts``: settings as attributes, over ours in the server, over a copy in the engine."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from typing import Any

from modules.addons import host
from modules.addons.a1111.option_info import OptionDiv, OptionHTML, OptionInfo, options_section

__all__ = ["OptionDiv", "OptionHTML", "OptionInfo", "Options", "options_section"]

log = logging.getLogger("easel.addons")

_OWN = {"data", "data_labels", "restricted_opts", "store", "_fallback"}


class Options:
    """Every setting of the program and of the extensions.

    ``store`` is what keeps them in the server: it has ``add(key, info)``, ``set(values)`` and
    ``as_dict()``. Without it, as in the engine, values live in ``data`` alone.
    """

    def __init__(
        self,
        data_labels: dict[str, OptionInfo] | None = None,
        restricted_opts: Any = None,
        fallback: Mapping[str, Any] | None = None,
    ) -> None:
        super().__setattr__("data_labels", dict(data_labels or {}))
        super().__setattr__("data", {k: v.default for k, v in self.data_labels.items()})
        super().__setattr__("restricted_opts", set(restricted_opts or ()))
        super().__setattr__("store", None)
        super().__setattr__("_fallback", dict(fallback or {}))

    def __getattr__(self, item: str) -> Any:
        for place in ("data", "data_labels", "_fallback"):
            found = self.__dict__.get(place, {})
            if item in found:
                return found[item].default if place == "data_labels" else found[item]
        raise AttributeError(f"there is no setting {item!r}")

    def __setattr__(self, key: str, value: Any) -> None:
        if key in _OWN:
            super().__setattr__(key, value)
        elif key in self.data_labels or key in self.data:
            self.set(key, value)
        else:
            self.data[key] = value

    def __contains__(self, key: str) -> bool:
        return key in self.data

    def connect(self, store: Any) -> None:
        """Read and write through the program's settings from now on."""
        self.store = store
        self.data.update(store.as_dict())

    def take(self, values: Mapping[str, Any]) -> None:
        """Values that came from elsewhere; functions registered for a change are called."""
        changed = [key for key, value in values.items() if self.data.get(key) != value]
        self.data.update(values)
        for key in changed:
            self._changed(key)

    def add_option(self, key: str, info: OptionInfo) -> None:
        """Add an extension's setting."""
        self.data_labels[key] = info
        if info.do_not_save:
            return
        if self.store is not None:
            self.data[key] = self.store.add(key, info)
        elif key not in self.data:
            self.data[key] = info.default

    def set(self, key: str, value: Any, is_api: bool = False, run_callbacks: bool = True) -> bool:
        """Change a setting; False if it stays as it was."""
        if self.data.get(key, _MISSING) == value:
            return False
        info = self.data_labels.get(key)
        if info is not None and (info.do_not_save or (is_api and info.restrict_api)):
            return False
        if self.store is not None:
            self.store.set({key: value})
        self.data[key] = value
        if run_callbacks:
            return self._changed(key)
        return True

    def _changed(self, key: str) -> bool:
        info = self.data_labels.get(key)
        if info is None or info.onchange is None:
            return True
        try:
            info.onchange()
        except Exception as error:
            code = getattr(info.onchange, "__code__", None)
            host.get().report(code.co_filename if code else "", f"onchange of {key}", error)
            return False
        return True

    def get_default(self, key: str) -> Any:
        """What a setting is when nobody changes it."""
        info = self.data_labels.get(key)
        return None if info is None else info.default

    def onchange(self, key: str, func: Callable[..., Any], call: bool = True) -> None:
        """Call ``func`` whenever a setting changes, and once now."""
        info = self.data_labels.get(key)
        if info is None:
            info = self.data_labels[key] = OptionInfo(self.data.get(key))
        info.onchange = func
        if call:
            func()

    def save(self, filename: str | None = None) -> None:
        """Settings are written as they change."""

    def load(self, filename: str | None = None) -> None:
        """Settings are read by the program."""

    def dumpjson(self) -> str:
        """All settings as the page gets them."""
        values = {key: self.data.get(key, info.default) for key, info in self.data_labels.items()}
        values = {**self.data, **values}
        values["_comments_before"] = self._texts("comment_before")
        values["_comments_after"] = self._texts("comment_after")
        values["_categories"] = []
        return json.dumps(values, default=str)

    def _texts(self, name: str) -> dict[str, str]:
        return {
            key: text for key, info in self.data_labels.items() if (text := getattr(info, name))
        }

    def reorder(self) -> None:
        """The page orders settings itself."""

    def same_type(self, x: Any, y: Any) -> bool:
        """Whether two values are of one kind, as A1111 sees it."""
        if x is None or y is None:
            return True
        kinds = ["float" if isinstance(one, (int, float)) else type(one) for one in (x, y)]
        return kinds[0] == kinds[1]

    def cast_value(self, key: str, value: Any) -> Any:
        """A text in the kind of a setting's default."""
        default = self.get_default(key)
        if value is None or default is None:
            return value
        if isinstance(default, bool) and value == "False":
            return False
        return type(default)(value)


_MISSING = object()
