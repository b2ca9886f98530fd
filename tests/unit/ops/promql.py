"""PromQL, as much of it as our rules use: an expression is taken apart, or ValueError says where it does not parse."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

AGGREGATIONS = {"sum", "max", "min", "avg", "count"}
FUNCTIONS = {"rate", "increase", "histogram_quantile", "absent", "resets", "deriv", "clamp_min"}
OF_RANGES = {"rate", "increase", "resets", "deriv"}
OPERATORS = {"+", "-", "*", "/", ">", "<", ">=", "<=", "==", "!=", "and", "or", "unless"}
_TOKEN = re.compile(
    r'\s*("(?:[^"\\]|\\.)*"|\d+(?:\.\d+)?|\[(?:\d+[smhd]|\$__rate_interval)\]|[a-zA-Z_:][\w:]*|=~|!~|[<>=!]=|[-+*/<>=(){},])'
)


@dataclass(slots=True)
class Expression:
    """What it selects, with the labels it matches on, and what it groups by."""

    selectors: list[tuple[str, frozenset[str]]] = field(default_factory=list)
    groupings: set[str] = field(default_factory=set)


def parse(text: str) -> Expression:
    """The expression."""
    return _Parser(text).whole()


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._found = Expression()
        self._tokens: list[str] = []
        place = 0
        while place < len(text.rstrip()):
            token = _TOKEN.match(text, place)
            if token is None:
                raise ValueError(f"no token at {text[place : place + 20]!r}")
            self._tokens.append(token[1])
            place = token.end()

    def whole(self) -> Expression:
        self._expression()
        if self._tokens:
            raise self._wrong("its end")
        return self._found

    def _expression(self) -> None:
        self._operand()
        while self._next in OPERATORS:
            self._take()
            for modifier in ("on", "ignoring", "group_left", "group_right"):
                if self._next == modifier:
                    self._take()
                    self._names()
            self._operand()

    def _operand(self) -> None:
        token = self._take()
        if token == "(":
            self._expression()
            self._expect(")")
        elif token in AGGREGATIONS:
            self._grouping()
            self._arguments(self._expression)
            self._grouping()
        elif token in FUNCTIONS:
            self._arguments(self._ranged if token in OF_RANGES else self._expression)
        elif re.fullmatch(r"[a-z_][\w:]*", token):
            self._matchers(token)
        elif not re.fullmatch(r"\d+(\.\d+)?", token):
            raise self._wrong(f"an operand, and not {token!r}")

    def _ranged(self) -> None:
        self._matchers(self._take())
        if not self._take().startswith("["):
            raise self._wrong("a range")

    def _matchers(self, name: str) -> None:
        labels = set()
        if self._next == "{":
            self._take()
            while self._next != "}":
                labels.add(self._take())
                if self._take() not in {"=", "!=", "=~", "!~"} or not self._take().startswith('"'):
                    raise self._wrong("a matcher")
                if self._next == ",":
                    self._take()
            self._take()
        self._found.selectors.append((name, frozenset(labels)))

    def _grouping(self) -> None:
        if self._next in {"by", "without"}:
            self._take()
            self._found.groupings |= self._names()

    def _names(self) -> set[str]:
        names = set()
        self._expect("(")
        while self._next != ")":
            names.add(self._take())
            if self._next == ",":
                self._take()
        self._take()
        return names

    def _arguments(self, argument: Callable[[], None]) -> None:
        self._expect("(")
        argument()
        while self._next == ",":
            self._take()
            argument()
        self._expect(")")

    @property
    def _next(self) -> str:
        return self._tokens[0] if self._tokens else ""

    def _take(self) -> str:
        if not self._tokens:
            raise self._wrong("more")
        return self._tokens.pop(0)

    def _expect(self, token: str) -> None:
        if self._take() != token:
            raise self._wrong(repr(token))

    def _wrong(self, wanted: str) -> ValueError:
        return ValueError(f"{self._text!r}: {wanted} was expected before {' '.join(self._tokens)!r}")
