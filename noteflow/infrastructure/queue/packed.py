"""Look through a msgpack message before it is decoded: every key of every map must be text.

Keys of other types have hashes that their writer can choose: 30,000 of one hash block a process for seconds.
"""

from __future__ import annotations

from typing import Final

MOST_VALUES: Final = 1_000_000

_BY_LENGTH: Final = {0xC4: 1, 0xC5: 2, 0xC6: 4, 0xD9: 1, 0xDA: 2, 0xDB: 4}
_EXTENSIONS: Final = {0xC7: 1, 0xC8: 2, 0xC9: 4}
_ARRAYS: Final = {0xDC: 2, 0xDD: 4}
_MAPS: Final = {0xDE: 2, 0xDF: 4}
_FIXED: Final = {
    **dict.fromkeys((0xC0, 0xC2, 0xC3), 0),
    **{0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8, 0xD0: 1, 0xD1: 2, 0xD2: 4, 0xD3: 8, 0xCA: 4, 0xCB: 8},
    **{0xD4: 2, 0xD5: 3, 0xD6: 5, 0xD7: 9, 0xD8: 17},
}
"""How many bytes follow."""


def check_keys(raw: bytes) -> None:
    """Raise ValueError if a map in `raw` has a key that is no text, or if it holds too many values.

    What is malformed or ends early is left to the decoder.
    """
    at, values = 0, 0
    left = [1]  # values that are still to come in each open container
    keyed = [False]  # whether it is a map; its next value is a key while an even number of them is left
    while left and at < len(raw):
        if not left[-1]:
            left.pop()
            keyed.pop()
            continue
        code = raw[at]
        is_text = 0xA0 <= code <= 0xBF or 0xD9 <= code <= 0xDB
        if keyed[-1] and not left[-1] % 2 and not is_text:
            raise ValueError("a key of a map is no text")
        left[-1] -= 1
        values += 1
        if values > MOST_VALUES:
            raise ValueError(f"it holds more than {MOST_VALUES} values")
        at, inside, is_map = _step(raw, at, code)
        if inside:
            left.append(inside)
            keyed.append(is_map)


def _step(raw: bytes, at: int, code: int) -> tuple[int, int, bool]:
    """Return where the next value begins, how many values are inside this one, and whether it is a map."""
    at += 1
    if code <= 0x7F or code >= 0xE0:
        return at, 0, False
    if code <= 0x8F:
        return at, 2 * (code & 15), True
    if code <= 0x9F:
        return at, code & 15, False
    if code <= 0xBF:
        return at + (code & 31), 0, False
    for widths, more in ((_BY_LENGTH, 0), (_EXTENSIONS, 1)):
        if code in widths:
            width = widths[code]
            return at + width + more + int.from_bytes(raw[at : at + width], "big"), 0, False
    for widths, each in ((_ARRAYS, 1), (_MAPS, 2)):
        if code in widths:
            width = widths[code]
            return at + width, each * int.from_bytes(raw[at : at + width], "big"), each == 2
    return at + _FIXED.get(code, 0), 0, False
