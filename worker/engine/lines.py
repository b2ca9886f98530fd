"""Write the lines of Arq's log, arrows and all, without ever spelling out a large argument."""

from __future__ import annotations

import reprlib
from typing import TYPE_CHECKING, Any, Final

from arq.utils import DEFAULT_CURTAIL, truncate

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class _Curt(reprlib.Repr):
    """Show small values as `repr` does, and stop early in large, deep or self-containing ones."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 4
        self.maxlist = self.maxtuple = self.maxdict = self.maxset = self.maxfrozenset = 30
        self.maxlong = self.maxother = 4 * DEFAULT_CURTAIL

    def repr_str(self, x: str, level: int) -> str:
        return repr(x[: 2 * DEFAULT_CURTAIL])

    def repr_bytes(self, x: bytes, level: int) -> str:
        return repr(x[: 2 * DEFAULT_CURTAIL])

    def repr_dict(self, x: Mapping[Any, Any], level: int) -> str:
        # As written, not sorted, which is how `repr` shows it.
        if level <= 0:
            return "{...}"
        shown = [f"{self.repr1(k, level - 1)}: {self.repr1(v, level - 1)}" for k, v in list(x.items())[: self.maxdict]]
        return "{" + ", ".join(shown + ["..."] * (len(x) > self.maxdict)) + "}"

    def repr_instance(self, x: Any, level: int) -> str:
        return repr(x)


_curt: Final = _Curt()


def short_repr(value: Any) -> str:
    """Return `repr(value)`, cut to Arq's 80 characters."""
    if isinstance(value, int | bool | float | None):
        return truncate(repr(value))
    return truncate(_curt.repr(value))


def arguments(args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
    """Return a call's arguments as Arq logs them."""
    if not args and not kwargs:
        return ""
    shown = [_curt.repr(value) for value in args[:DEFAULT_CURTAIL]]
    shown += [f"{name}={_curt.repr(value)}" for name, value in sorted(kwargs.items())[:DEFAULT_CURTAIL]]
    return truncate(", ".join(shown))
