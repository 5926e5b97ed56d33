"""A stack machine for the part of pickle's language that state dicts are written in.

It reads instructions of protocols 2 to 5, knows no imports and calls nothing from outside: the
names that a file mentions are looked up in the tables of `names`, and whatever is not there ends
the reading. Time and memory are bounded by the number of instructions and of bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from modules.pickles.names import call, lookup, storage_of
from modules.pickles.values import Inert, Refused, Storage

MAX_INSTRUCTIONS = 600_000
"""A state dict of 10,000 tensors has about 300,000."""
MAX_DEPTH = 4096
"""Of open marks; real files have a handful."""
MAX_NUMBER_BYTES = 32
MAX_NAME = 256

_MARK = object()


class Machine:
    """Runs one pickle that begins at `position` of `data`; `end` is behind it afterwards."""

    def __init__(self, data: bytes, position: int = 0) -> None:
        self._data = data
        self._at = position
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}
        self._marks = 0
        self._copied = 0
        self.storages: dict[str, Storage] = {}
        self.end = position

    def run(self) -> Any:
        """The value that the pickle describes.

        Raises:
            Refused: an instruction or a name that no weights need, or too much of anything.
        """
        steps = _STEPS
        for _ in range(MAX_INSTRUCTIONS):
            code = self._byte()
            if code == 0x2E:  # STOP
                self.end = self._at
                return self._pop()
            step = steps[code]
            if step is None:
                raise Refused(f"holds an instruction (0x{code:02x}) that no weights need")
            step(self)
        raise Refused("has too long a table of contents")

    # ---- reading

    def _byte(self) -> int:
        return self._take(1)[0]

    def _take(self, count: int) -> bytes:
        end = self._at + count
        if count < 0 or end > len(self._data):
            raise Refused("is cut short, or its table of contents is too long")
        taken = self._data[self._at : end]
        self._at = end
        return taken

    def _unsigned(self, width: int) -> int:
        return int.from_bytes(self._take(width), "little")

    def _line(self) -> str:
        end = self._data.find(b"\n", self._at, self._at + MAX_NAME + 1)
        if end < 0:
            raise Refused("mentions a name of impossible length")
        taken = self._take(end - self._at)
        self._at += 1
        return _text(taken)

    # ---- the stack

    def _push(self, value: Any) -> None:
        self._stack.append(value)

    def _pop(self) -> Any:
        if not self._stack:
            raise Refused("is not a sound pickle: its stack is empty")
        value = self._stack.pop()
        if value is _MARK:
            raise Refused("is not a sound pickle: a mark stands where a value should")
        return value

    def _top(self) -> Any:
        if not self._stack or self._stack[-1] is _MARK:
            raise Refused("is not a sound pickle: a value is missing")
        return self._stack[-1]

    def _mark(self) -> None:
        self._marks += 1
        if self._marks > MAX_DEPTH:
            raise Refused("is nested too deeply")
        self._stack.append(_MARK)

    def _since_mark(self) -> list[Any]:
        stack = self._stack
        place = len(stack) - 1
        while place >= 0 and stack[place] is not _MARK:
            place -= 1
        if place < 0:
            raise Refused("is not a sound pickle: a mark is missing")
        values = stack[place + 1 :]
        del stack[place:]
        self._marks -= 1
        return values

    # ---- instructions

    def protocol(self) -> None:
        number = self._byte()
        if not 2 <= number <= 5:
            raise Refused(f"uses pickle protocol {number}; allowed: 2 to 5")

    def frame(self) -> None:
        self._take(8)

    def number(self, width: int, *, signed: bool = False) -> None:
        self._push(int.from_bytes(self._take(width), "little", signed=signed))

    def long(self) -> None:
        width = self._byte()
        if width > MAX_NUMBER_BYTES:
            raise Refused("holds a number of impossible length")
        self.number(width, signed=True)

    def real(self) -> None:
        self._push(struct.unpack(">d", self._take(8))[0])

    def text(self, width: int) -> None:
        self._push(_text(self._take(self._unsigned(width))))

    def raw(self, width: int) -> None:
        self._push(self._take(self._unsigned(width)))

    def old_text(self, width: int) -> None:
        """A string of Python 2, which was bytes."""
        taken = self._take(self._unsigned(width))
        try:
            self._push(taken.decode("utf-8"))
        except UnicodeDecodeError:
            self._push(taken.decode("latin-1"))

    def get(self, width: int) -> None:
        place = self._unsigned(width)
        if place not in self._memo:
            raise Refused("is not a sound pickle: it refers to nothing")
        self._push(self._memo[place])

    def put(self, width: int) -> None:
        self._memo[self._unsigned(width)] = self._top()

    def memoize(self) -> None:
        self._memo[len(self._memo)] = self._top()

    def tuple_of(self, count: int) -> None:
        values = [self._pop() for _ in range(count)]
        self._push(tuple(reversed(values)))

    def tuple_since_mark(self) -> None:
        self._push(tuple(self._since_mark()))

    def append(self) -> None:
        value = self._pop()
        self._extend([value])

    def appends(self) -> None:
        self._extend(self._since_mark())

    def _extend(self, values: list[Any]) -> None:
        target = self._top()
        if isinstance(target, Inert):
            return
        if not isinstance(target, list):
            raise Refused("is not a sound pickle: it appends to what is no list")
        target.extend(values)

    def add_items(self) -> None:
        self._extend(self._since_mark())

    def item(self) -> None:
        value, key = self._pop(), self._pop()
        self._set([key, value])

    def items(self) -> None:
        self._set(self._since_mark())

    def _set(self, values: list[Any]) -> None:
        target = self._top()
        if isinstance(target, Inert):
            return
        if not isinstance(target, dict) or len(values) % 2:
            raise Refused("is not a sound pickle: it fills what is no dictionary")
        for place in range(0, len(values), 2):
            target[_key(values[place])] = values[place + 1]

    def name(self) -> None:
        module = self._line()
        self._push(lookup(module, self._line()))

    def stack_name(self) -> None:
        name, module = self._pop(), self._pop()
        if not isinstance(name, str) or not isinstance(module, str):
            raise Refused("is not a sound pickle: a name is no text")
        self._push(lookup(module, name))

    def reduce(self) -> None:
        arguments, function = self._pop(), self._pop()
        self._charge(arguments)
        self._push(call(function, arguments))

    def _charge(self, arguments: Any) -> None:
        """Calls copy lists; one list must not be copied a million times."""
        for argument in arguments[:4] if isinstance(arguments, tuple) else ():
            if isinstance(argument, (list, tuple)):
                self._copied += len(argument)
        if self._copied > MAX_INSTRUCTIONS:
            raise Refused("has too long a table of contents")

    def new(self, *, named: bool = False) -> None:
        if named:
            self._pop()
        arguments, kind = self._pop(), self._pop()
        self._charge(arguments)
        self._push(call(kind, arguments))

    def build(self) -> None:
        """The attributes of an object: nothing that weights need hangs there."""
        self._pop()
        self._top()

    def persistent(self) -> None:
        storage = storage_of(self._pop())
        if self.storages.setdefault(storage.key, storage) != storage:
            raise Refused("describes a tensor's storage twice")
        self._push(storage)


def _text(raw: bytes) -> str:
    try:
        return raw.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError as error:
        raise Refused("holds text that is not UTF-8") from error


def _key(value: Any) -> Any:
    """A dictionary's key; kinds and sizes whose hashes cannot be made to collide."""
    if isinstance(value, tuple):
        if len(value) > 8 or not all(_is_plain_key(part) for part in value):
            raise Refused("has a dictionary with a strange key")
        return value
    if not _is_plain_key(value):
        raise Refused("has a dictionary with a strange key")
    return value


def _is_plain_key(value: Any) -> bool:
    if isinstance(value, int):
        return abs(value) < 2**53
    return value is None or isinstance(value, (str, bytes))


Step = Callable[[Machine], None]


def _steps() -> list[Step | None]:
    """What each byte means; None for what no weights file needs."""
    m = Machine
    known: dict[int, Step] = {
        0x80: m.protocol,
        0x95: m.frame,
        ord("N"): lambda s: s._push(None),
        0x88: lambda s: s._push(True),
        0x89: lambda s: s._push(False),
        ord("K"): lambda s: s.number(1),
        ord("M"): lambda s: s.number(2),
        ord("J"): lambda s: s.number(4, signed=True),
        0x8A: m.long,
        ord("G"): m.real,
        0x8C: lambda s: s.text(1),
        ord("X"): lambda s: s.text(4),
        0x8D: lambda s: s.text(8),
        ord("C"): lambda s: s.raw(1),
        ord("B"): lambda s: s.raw(4),
        0x8E: lambda s: s.raw(8),
        ord("U"): lambda s: s.old_text(1),
        ord("T"): lambda s: s.old_text(4),
        ord("h"): lambda s: s.get(1),
        ord("j"): lambda s: s.get(4),
        ord("q"): lambda s: s.put(1),
        ord("r"): lambda s: s.put(4),
        0x94: m.memoize,
        ord("("): m._mark,
        ord(")"): lambda s: s._push(()),
        0x85: lambda s: s.tuple_of(1),
        0x86: lambda s: s.tuple_of(2),
        0x87: lambda s: s.tuple_of(3),
        ord("t"): m.tuple_since_mark,
        ord("]"): lambda s: s._push([]),
        ord("a"): m.append,
        ord("e"): m.appends,
        ord("}"): lambda s: s._push({}),
        ord("s"): m.item,
        ord("u"): m.items,
        0x8F: lambda s: s._push([]),
        0x90: m.add_items,
        ord("c"): m.name,
        0x93: m.stack_name,
        ord("R"): m.reduce,
        0x81: m.new,
        0x92: lambda s: s.new(named=True),
        ord("b"): m.build,
        ord("Q"): m.persistent,
    }
    return [known.get(code) for code in range(256)]


_STEPS = _steps()
