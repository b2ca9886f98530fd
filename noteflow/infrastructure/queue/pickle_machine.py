"""Run the opcodes of a pickle of plain data, in time and memory linear in its length.

Python's own unpickler calls what a pickle names, hashes keys of any kind, and shares a value as often as it is told to:
30,000 keys of one hash, or a text of a million references, block a process for a minute. Here values are built while
the opcodes are read, keys are text, and a value counts each time that it is referred to, as if it were spelled out.
"""

from __future__ import annotations

import codecs
import struct
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from noteflow.infrastructure.queue.pickle_values import (
    Named,
    fill_uuid,
    has_chosen_hash,
    members_of,
    named,
    refuse,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_LOOK_EVERY: Final = 1024
_LONGEST_LINE: Final = 1_000
"""Of a number or a name in the protocols that write them as text."""


@dataclass(frozen=True, slots=True)
class Budget:
    """What one pickle may take: opcodes, values and characters as if it were spelled out, nesting, bits, CPU time.

    The characters are `spare_characters` and `characters_a_byte` for each byte of the pickle, since a name or a word
    that is referred to again takes two bytes.
    """

    opcodes: int = 1_000_000
    values: int = 1_000_000
    spare_characters: int = 1_048_576
    characters_a_byte: int = 16
    depth: int = 100
    integer_bytes: int = 128
    chosen_hashes: int = 1_000
    cpu_s: float = 1.0


class PickleMachine:
    """Build the value in `raw`; raise `pickle.UnpicklingError` naming what is not plain data or over the budget."""

    def __init__(self, raw: bytes, budget: Budget) -> None:
        self._raw = raw
        self._budget = budget
        self._at = 0
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}
        self._chosen_hashes = 0
        self._unfilled: dict[int, UUID] = {}
        self.met_exception = False

    def run(self) -> Any:
        """Return the value, not yet measured."""
        raw, step, opcodes = self._raw, _STEPS, 0
        deadline_s = time.thread_time() + self._budget.cpu_s
        while self._at < len(raw):
            code = raw[self._at]
            self._at += 1
            if code == _STOP:
                if self._unfilled:
                    raise refuse("it holds a UUID that is none")
                return self._pop()
            if code not in step:
                raise refuse(f"opcode {code:02x} is not plain data")
            step[code](self)
            opcodes += 1
            if not opcodes % _LOOK_EVERY:
                if opcodes > self._budget.opcodes:
                    raise refuse(f"it holds more than {self._budget.opcodes} opcodes")
                if time.thread_time() > deadline_s:
                    raise refuse("it takes too long to read")
        raise refuse("pickle data was truncated")

    def _take(self, length: int) -> bytes:
        end = self._at + length
        if end > len(self._raw):
            raise refuse("pickle data was truncated")
        taken = self._raw[self._at : end]
        self._at = end
        return taken

    def _line(self, longest: int = _LONGEST_LINE) -> bytes:
        end = self._raw.find(b"\n", self._at, self._at + longest + 1)
        if end < 0:
            raise refuse("pickle data was truncated")
        taken = self._raw[self._at : end]
        self._at = end + 1
        return taken

    def _sized(self, width: int) -> bytes:
        return self._take(int.from_bytes(self._take(width), "little"))

    def _push(self, value: Any) -> None:
        self._stack.append(value)

    def _pop(self) -> Any:
        if len(self._stack) <= (self._marks[-1] if self._marks else 0):
            raise refuse("unpickling stack underflow")
        return self._stack.pop()

    def _top(self, kind: type) -> Any:
        if not self._stack or type(self._stack[-1]) is not kind:
            raise refuse("unpickling stack underflow")
        return self._stack[-1]

    def _since_mark(self) -> list[Any]:
        if not self._marks:
            raise refuse("unpickling stack underflow")
        mark = self._marks.pop()
        found = self._stack[mark:]
        del self._stack[mark:]
        return found

    def _stop_mark(self) -> None:
        if self._marks and len(self._stack) == self._marks[-1]:
            self._marks.pop()
        else:
            self._pop()

    def _text(self, raw: bytes) -> None:
        self._push(raw.decode("utf-8"))  # a lone surrogate is no text

    def _escaped_text(self) -> None:
        text = codecs.raw_unicode_escape_decode(self._line(len(self._raw)))[0]
        self._text(text.encode("utf-8"))

    def _old_text(self, raw: bytes) -> None:
        self._push(raw.decode("ascii"))

    def _quoted_text(self) -> None:
        line = self._line(len(self._raw)).strip()
        if len(line) < 2 or line[0] != line[-1] or line[:1] not in (b"'", b'"'):
            raise refuse("it holds a text without quotes")
        self._old_text(codecs.escape_decode(line[1:-1])[0])

    def _long(self, width: int) -> None:
        length = int.from_bytes(self._take(width), "little")
        if length > self._budget.integer_bytes:
            raise refuse(f"it holds a number of more than {self._budget.integer_bytes} bytes")
        self._push(int.from_bytes(self._take(length), "little", signed=True))

    def _decimal_line(self) -> None:
        line = self._line()
        number = int(line.rstrip(b"L"))
        if number.bit_length() >= 8 * self._budget.integer_bytes:
            raise refuse(f"it holds a number of more than {self._budget.integer_bytes} bytes")
        self._push({b"00": False, b"01": True}.get(line, number))

    def _frame(self) -> None:
        self._take(8)  # how much may be read at once: all of it is here

    def _append(self) -> None:
        value = self._pop()
        self._top(list).append(value)

    def _extend(self) -> None:
        values = self._since_mark()
        self._top(list).extend(values)

    def _new_dict(self) -> None:
        values = self._since_mark()
        self._push({})
        self._update(values)

    def _set_item(self) -> None:
        value, key = self._pop(), self._pop()
        self._update([key, value])

    def _set_items(self) -> None:
        self._update(self._since_mark())

    def _update(self, values: list[Any]) -> None:
        target, keys = self._top(dict), values[::2]
        for key in keys:
            if type(key) is not str:
                raise refuse(f"a key that is {_a(key)} is not plain data")
        target.update(zip(keys, values[1::2], strict=True))

    def _add_items(self) -> None:
        members = self._since_mark()
        self._top(set).update(self._members(members))

    def _members(self, members: Iterable[Any]) -> list[Any]:
        sound = list(members)
        self._chosen_hashes += sum(map(has_chosen_hash, sound))
        if self._chosen_hashes > self._budget.chosen_hashes:
            raise refuse(f"it holds more than {self._budget.chosen_hashes} members of sets that are no text")
        return sound

    def _tuple_of(self, count: int) -> None:
        members = [self._pop() for _ in range(count)]
        self._push(tuple(reversed(members)))

    def _put(self, place: int) -> None:
        if place > len(self._raw):
            raise refuse("it holds a memo larger than the pickle itself")
        if not self._stack:
            raise refuse("unpickling stack underflow")
        self._memo[place] = self._stack[-1]

    def _get(self, place: int) -> None:
        if place not in self._memo:
            raise refuse("it holds a reference to nothing")
        self._push(self._memo[place])

    def _copy_top(self) -> None:
        value = self._pop()
        self._stack += (value, value)

    def _global(self) -> None:
        module = self._line().decode("utf-8")
        self._push(named(module, self._line().decode("utf-8")))

    def _stack_global(self) -> None:
        name, module = self._pop(), self._pop()
        if type(name) is not str or type(module) is not str:
            raise refuse("it holds a name that is no text")
        self._push(named(module, name))

    def _call(self) -> None:
        args, kind = self._pop(), self._pop()
        if type(kind) is not Named or type(args) is not tuple:
            raise refuse("it holds a call of what is no class")
        if kind.name in ("builtins.set", "builtins.frozenset"):
            args = (self._members(members_of(args)),)
        value = kind.make(args)
        if isinstance(value, BaseException):
            self.met_exception = True
        if type(value) is UUID:
            self._unfilled[id(value)] = value
        self._push(value)

    def _build(self) -> None:
        state = self._pop()
        if not self._stack:
            raise refuse("unpickling stack underflow")
        made = self._stack[-1]
        if isinstance(made, BaseException):
            return  # what else it carries has no place in a result
        if self._unfilled.pop(id(made), None) is None:
            raise refuse("it holds a state of what has none")
        fill_uuid(made, state)


def _a(value: Any) -> str:
    return "None" if value is None else f"of type {type(value).__name__}"


def _pushed(value: Any) -> Callable[[PickleMachine], None]:
    return lambda machine: machine._push(value)


def _number(form: str) -> Callable[[PickleMachine], None]:
    packed = struct.Struct(form)
    return lambda machine: machine._push(packed.unpack(machine._take(packed.size))[0])


def _indexed(what: Callable[[PickleMachine, int], None], width: int) -> Callable[[PickleMachine], None]:
    return lambda machine: what(machine, int.from_bytes(machine._take(width), "little"))


_STOP: Final = 0x2E
_M = PickleMachine
_STEPS: Final[dict[int, Callable[[PickleMachine], None]]] = {
    ord(code): step
    for code, step in {
        "\x80": lambda m: m._take(1) and None,
        "\x95": _M._frame,
        "N": _pushed(None),
        "\x88": _pushed(True),
        "\x89": _pushed(False),
        "I": _M._decimal_line,
        "L": _M._decimal_line,
        "J": _number("<i"),
        "K": _number("<B"),
        "M": _number("<H"),
        "\x8a": lambda m: m._long(1),
        "\x8b": lambda m: m._long(4),
        "F": lambda m: m._push(float(m._line())),
        "G": _number(">d"),
        "\x8c": lambda m: m._text(m._sized(1)),
        "X": lambda m: m._text(m._sized(4)),
        "\x8d": lambda m: m._text(m._sized(8)),
        "V": _M._escaped_text,
        "S": _M._quoted_text,
        "T": lambda m: m._old_text(m._sized(4)),
        "U": lambda m: m._old_text(m._sized(1)),
        "C": lambda m: m._push(m._sized(1)),
        "B": lambda m: m._push(m._sized(4)),
        "\x8e": lambda m: m._push(m._sized(8)),
        "\x96": lambda m: m._push(m._sized(8)),
        "]": lambda m: m._push([]),
        "}": lambda m: m._push({}),
        ")": _pushed(()),
        "\x8f": lambda m: m._push(set()),
        "(": lambda m: m._marks.append(len(m._stack)),
        "0": _M._stop_mark,
        "1": lambda m: m._since_mark() and None,
        "2": _M._copy_top,
        "a": _M._append,
        "e": _M._extend,
        "l": lambda m: m._push(m._since_mark()),
        "d": _M._new_dict,
        "s": _M._set_item,
        "u": _M._set_items,
        "\x90": _M._add_items,
        "\x91": lambda m: m._push(frozenset(m._members(m._since_mark()))),
        "t": lambda m: m._push(tuple(m._since_mark())),
        "\x85": lambda m: m._tuple_of(1),
        "\x86": lambda m: m._tuple_of(2),
        "\x87": lambda m: m._tuple_of(3),
        "\x94": lambda m: m._put(len(m._memo)),
        "p": lambda m: m._put(int(m._line())),
        "q": _indexed(_M._put, 1),
        "r": _indexed(_M._put, 4),
        "g": lambda m: m._get(int(m._line())),
        "h": _indexed(_M._get, 1),
        "j": _indexed(_M._get, 4),
        "c": _M._global,
        "\x93": _M._stack_global,
        "R": _M._call,
        "\x81": _M._call,
        "b": _M._build,
    }.items()
}
