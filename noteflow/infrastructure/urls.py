"""Take the URL of a server apart, strictly: what is unclear is refused, and no message holds a piece of a password."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from noteflow.domain.errors import InvalidValue

HOW_TO_ESCAPE: Final = "in a password write @ as %40, / as %2F, # as %23, ? as %3F"
LARGEST_PORT: Final = 65_535

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,40}")
_SECRETS = re.compile(r"([?&][^=&]*(?:password|token|secret|api_?key)[^=&]*=)[^&]*", re.IGNORECASE)
_LONGEST: Final = 4_096


@dataclass(frozen=True, slots=True)
class UrlParts:
    """The parts of a URL, decoded but for `hosts` and `path`, whose own separators may be encoded within."""

    scheme: str
    username: str | None
    password: str | None = field(repr=False)
    hosts: str
    path: str
    query: tuple[tuple[str, str], ...] = field(repr=False)


def split_url(setting: str, url: str, *, plus_is_blank: bool) -> UrlParts:
    """Split `url`; `plus_is_blank` says how its query is read. Raises InvalidValue, which names `setting`."""
    text = url.strip()
    _check_characters(setting, text)
    scheme, separator, rest = text.partition("://")
    if not separator:
        raise InvalidValue(setting, "is not a URL like scheme://user:password@host")
    authority = re.split(r"[/?]", rest, maxsplit=1)[0]
    path, _, query = rest[len(authority) :].partition("?")
    if "@" in path or "@" in query:
        raise InvalidValue(setting, f"has an @ behind its host; {HOW_TO_ESCAPE}")
    userinfo, _, hosts = authority.rpartition("@")
    username, _, password = userinfo.partition(":")
    return UrlParts(
        scheme.lower(),
        decoded(setting, "user", username) or None,
        decoded(setting, "password", password) or None,
        hosts,
        path,
        tuple(_pairs(setting, query, plus_is_blank=plus_is_blank)),
    )


def masked(url: str) -> str:
    """Return the URL without its password, also one that nothing else here would take; `***` where that is unsure."""
    scheme, separator, rest = url.partition("://")
    authority = re.split(r"[/?]", rest, maxsplit=1)[0]
    tail = rest[len(authority) :]
    if url and (not separator or "@" in tail):
        return "***"
    userinfo, at, hosts = authority.rpartition("@")
    user, colon, _ = userinfo.partition(":")
    password = ":***" if colon else ""
    return f"{scheme}{separator}{user}{password}{at}{hosts}" + _SECRETS.sub(r"\1***", tail)


def decoded(setting: str, what: str, text: str) -> str:
    """Decode percent signs. Raises InvalidValue for what is not UTF-8, and for NUL, which no server takes."""
    try:
        found = unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise InvalidValue(setting, f"its {what} is not UTF-8 once the percent signs are decoded") from None
    if "\x00" in found:
        raise InvalidValue(setting, f"its {what} holds a NUL character")
    return found


def port_in(setting: str, text: str) -> int:
    """Return a port of 1 to 65535. Raises InvalidValue, without the text: it may be a piece of a password."""
    if not re.fullmatch(r"[0-9]{1,5}", text) or not 1 <= int(text) <= LARGEST_PORT:
        raise InvalidValue(setting, f"its port is no number from 1 to {LARGEST_PORT}; {HOW_TO_ESCAPE}")
    return int(text)


def check_host(setting: str, host: str) -> str:
    """Return the name or the address of a host. Raises InvalidValue for what can be neither."""
    if len(host) > 255 or not host.isprintable() or set(host) & set(" /@?#\\,"):
        raise InvalidValue(setting, f"its host is not the name or the address of a host; {HOW_TO_ESCAPE}")
    try:
        host.encode("idna")  # as the resolver does; it raises for empty and for long labels
    except UnicodeError:
        raise InvalidValue(setting, f"its host is not the name or the address of a host; {HOW_TO_ESCAPE}") from None
    return host


def check_one_of(setting: str, option: str, value: str, allowed: tuple[str, ...]) -> str:
    """Return the value. Raises InvalidValue, which names the option and what it may be."""
    if value not in allowed:
        raise InvalidValue(setting, f"{option} must be one of {', '.join(allowed)}")
    return value


def check_file(setting: str, option: str, name: str) -> Path:
    """Return the path of a file that can be read. Raises InvalidValue, which names the option and the file."""
    path = Path(name)
    try:
        with path.open("rb"):
            return path
    except (OSError, ValueError) as error:
        reason = (getattr(error, "strerror", None) or "it is no path").lower()
        shown = name if name.isprintable() else name.encode("unicode_escape").decode()
        raise InvalidValue(setting, f"{option} names a file that cannot be read: {shown}: {reason}") from None


def _check_characters(setting: str, text: str) -> None:
    if len(text) > _LONGEST:
        raise InvalidValue(setting, f"is longer than {_LONGEST:,} characters")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidValue(setting, "is not UTF-8") from None
    if any(character.isspace() or not character.isprintable() for character in text):
        raise InvalidValue(setting, "holds a blank or a control character; write it percent-encoded, a blank as %20")


def _pairs(setting: str, query: str, *, plus_is_blank: bool) -> list[tuple[str, str]]:
    pairs = []
    for piece in filter(None, query.split("&")):
        name, _, value = piece.partition("=")
        if not _NAME.fullmatch(name):
            raise InvalidValue(setting, f"its query is not made of name=value pairs; {HOW_TO_ESCAPE}")
        pairs.append((name, decoded(setting, name, value.replace("+", " ") if plus_is_blank else value)))
    return pairs
