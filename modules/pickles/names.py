"""The names that a weights file may mention, and what each stands for. Nothing is imported."""

from __future__ import annotations

from typing import Any

from modules.pickles.values import (
    DTYPES,
    STORAGE_TYPES,
    Callable_,
    Inert,
    Refused,
    Storage,
    StorageType,
    View,
    shown,
)

MAX_COUNT = 1 << 48
MAX_DIMENSIONS = 16

_DICTIONARIES = {
    ("collections", "OrderedDict"),
    ("collections", "defaultdict"),
    ("builtins", "dict"),
    ("__builtin__", "dict"),
}
_LISTS = {
    ("builtins", "set"),
    ("__builtin__", "set"),
    ("builtins", "frozenset"),
    ("__builtin__", "frozenset"),
    ("builtins", "list"),
    ("__builtin__", "list"),
}
_TENSORS = {
    ("torch._utils", "_rebuild_tensor"),
    ("torch._utils", "_rebuild_tensor_v2"),
    ("torch._utils", "_rebuild_tensor_v3"),
}
_PARAMETERS = {
    ("torch._utils", "_rebuild_parameter"),
    ("torch._utils", "_rebuild_parameter_with_state"),
}
_FUNCTIONS = {("torch", "Size"), ("_codecs", "encode")}
_INERT = {
    ("torch", "device"),
    ("torch.serialization", "_get_layout"),
    ("numpy", "dtype"),
    ("numpy", "ndarray"),
    ("numpy.core.multiarray", "scalar"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "scalar"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("builtins", "int"),
    ("builtins", "float"),
    ("builtins", "object"),
    ("__builtin__", "object"),
    ("copy_reg", "_reconstructor"),
    ("copyreg", "_reconstructor"),
    ("collections", "Counter"),
    ("typing", "Any"),
}
_INERT_MODULES = ("pytorch_lightning.", "lightning.", "omegaconf.")
"""What training programs leave beside the weights; their objects become nothing."""


def lookup(module: str, name: str) -> Any:
    """What a name of a file stands for.

    Raises:
        Refused: it is none that weights need.
    """
    place = (module, name)
    if module in ("torch", "torch.storage") and name in STORAGE_TYPES:
        return StorageType(STORAGE_TYPES[name])
    if module == "torch" and name in DTYPES:
        return StorageType(DTYPES[name])
    if place in _DICTIONARIES | _LISTS | _TENSORS | _PARAMETERS | _FUNCTIONS:
        return Callable_(module, name)
    if place in _INERT or (module + ".").startswith(_INERT_MODULES):
        return Inert(shown(f"{module}.{name}"))
    asked = shown(f"{module}.{name}")
    raise Refused(f"asks for {asked}, which no weights need; not opened")


def call(function: Any, arguments: Any) -> Any:
    """What a known name gives for these arguments.

    Raises:
        Refused: it cannot be called, or not so.
    """
    if isinstance(function, Inert):
        return function
    if not isinstance(function, Callable_) or not isinstance(arguments, tuple):
        raise Refused("is not a sound pickle: it calls what cannot be called")
    place = (function.module, function.name)
    if place in _DICTIONARIES:
        return _dictionary(arguments)
    if place in _LISTS:
        return list(_sequence(arguments[0])) if arguments else []
    if place in _TENSORS:
        return _view(function.name, arguments)
    if place in _PARAMETERS:
        return _first(arguments)
    if place == ("torch", "Size"):
        return tuple(_sequence(_first(arguments)))
    return _encoded(arguments)


def storage_of(pid: Any) -> Storage:
    """The storage that a persistent id names.

    Raises:
        Refused: it names something else, or an impossible storage.
    """
    if not isinstance(pid, tuple) or len(pid) not in (5, 6) or pid[0] != "storage":
        raise Refused("describes a tensor's storage in an unknown way")
    _, kind, key, _place, count = pid[:5]
    if not isinstance(kind, StorageType) or not isinstance(key, (str, int)):
        raise Refused("describes a tensor's storage in an unknown way")
    if len(pid) == 6 and pid[5] is not None:
        raise Refused("has storages that are views of others, which is not supported")
    if type(count) is not int or not 0 <= count < MAX_COUNT:
        raise Refused("has a tensor whose storage has an impossible size")
    return Storage(str(key)[:100], kind.dtype, count)


def _dictionary(arguments: tuple[Any, ...]) -> dict[Any, Any]:
    """From nothing, from pairs, or (a defaultdict) from the kind of its values."""
    given = arguments[0] if arguments else ()
    if isinstance(given, (Callable_, Inert)) or given is None:
        return {}
    pairs = _sequence(given)
    if not all(isinstance(pair, (list, tuple)) and len(pair) == 2 for pair in pairs):
        raise Refused("is not a sound pickle: a dictionary is made of what are no pairs")
    if not all(isinstance(key, str) for key, _ in pairs):
        raise Refused("has a dictionary with a strange key")
    return dict(pairs)


def _view(function: str, arguments: tuple[Any, ...]) -> View:
    """`(storage, offset, shape, strides, …)`; version 3 names the number format at place 6."""
    if len(arguments) < (7 if function.endswith("_v3") else 4):
        raise Refused("describes a tensor in an unknown way")
    storage, offset, shape, strides = arguments[:4]
    if not isinstance(storage, Storage):
        raise Refused("has a tensor without a storage")
    dtype = storage.dtype
    if function.endswith("_v3"):
        if not isinstance(arguments[6], StorageType):
            raise Refused("has a tensor of an unknown number format")
        dtype = arguments[6].dtype
    if len(_sequence(shape)) != len(_sequence(strides)) or len(shape) > MAX_DIMENSIONS:
        raise Refused("has a tensor of an impossible shape")
    lengths, steps = tuple(shape), tuple(strides)
    counts = (offset, *lengths, *steps)
    if any(type(count) is not int or not 0 <= count < MAX_COUNT for count in counts):
        raise Refused("has a tensor of an impossible shape")
    return View(storage, dtype, offset, lengths, steps)


def _encoded(arguments: tuple[Any, ...]) -> bytes:
    """`_codecs.encode(text, "latin1")`: how old protocols write bytes."""
    if len(arguments) != 2 or not isinstance(arguments[0], str):
        raise Refused("is not a sound pickle: bytes are written in an unknown way")
    if arguments[1] not in ("latin1", "latin-1"):
        raise Refused("is not a sound pickle: bytes are written in an unknown way")
    try:
        return arguments[0].encode("latin-1")
    except UnicodeEncodeError as error:
        raise Refused("is not a sound pickle: its bytes are no bytes") from error


def _first(arguments: tuple[Any, ...]) -> Any:
    if not arguments:
        raise Refused("is not a sound pickle: an argument is missing")
    return arguments[0]


def _sequence(value: Any) -> list[Any] | tuple[Any, ...]:
    if not isinstance(value, (list, tuple)) or isinstance(value, (Storage, View, Inert)):
        raise Refused("is not a sound pickle: a list is missing")
    return value
