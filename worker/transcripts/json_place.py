"""Says where in a JSON text something is wrong, in words a person can look up, without quoting the text."""

import json
import math
import re
from collections.abc import Iterator

import msgspec

_AT = re.compile(r" - at `([^`]*)`$")


def explain(text: str, error: Exception) -> tuple[str, str]:
    """Place and problem of the text that the strict decoder refused with `error`.

    The strict decoder names the element when a value has the wrong type; where the text itself is broken it
    knows an offset at best. The standard library's decoder knows the line, and lets pass what then can be
    looked for by name.
    """
    if isinstance(error, RecursionError):
        return "", "is nested too deeply"
    refused = str(error)
    if at := _AT.search(refused):
        return at[1].removeprefix("$").removeprefix("."), refused[: at.start()]
    if isinstance(error, msgspec.ValidationError):
        return "", refused
    try:
        value = json.loads(text)
    except json.JSONDecodeError as broken:
        return f"line {broken.lineno}, column {broken.colno}", f"is not JSON: {broken.msg}"
    except RecursionError:
        return "", "is nested too deeply"
    return next(_unstorable(value), ("", "is not JSON"))


def _unstorable(value: object, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _unstorable(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _unstorable(inner, f"{path}[{index}]")
    elif isinstance(value, str) and any("\ud800" <= character <= "\udfff" for character in value):
        yield path, "holds half of a surrogate pair"
    elif isinstance(value, float) and not math.isfinite(value):
        yield path, "is not a finite number"
