"""Take the markup of caption files away, and nothing else: "<inaudible>" and "a < b" are what was said.

A text matches a pattern here in one way at most, and each look ends at the next angle bracket or brace, so the time is
linear in the text.
"""

from __future__ import annotations

import html
import re
from html.entities import html5

from worker.transcripts.text import one_line

_CLASSES = r"(?:\.[^\s<>.]*+)*"
# The tags of WebVTT's grammar. Only a voice and a language have an annotation: "if a <b and c> d" holds no tag.
_VTT_TAG = re.compile(
    rf"<v{_CLASSES}(?:[ \t\n](?P<voice>[^<>]*+))?>"
    rf"|<lang{_CLASSES}(?:[ \t\n][^<>]*+)?>"
    rf"|<(?:c|i|b|u|ruby|rt){_CLASSES}[ \t\n]*+>"
    r"|</(?:c|i|b|u|ruby|rt|v|lang)[ \t\n]*+>"
    r"|<(?:[0-9]{1,10}:)?[0-9]{1,2}:[0-9]{1,2}\.[0-9]{1,3}>"
)
_VTT_TIMESTAMP = re.compile(r"<(?:[0-9]{1,10}:)?[0-9]{1,2}:[0-9]{1,2}\.[0-9]{1,3}>")
# Without its semicolon "&copy" is a word that was typed. Longer numbers name no character.
_REFERENCE = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
# SRT has no grammar; these are what its players understand: a few tags of HTML, and the overrides of ASS in braces.
_ATTRIBUTE = r"""\s++[A-Za-z]++\s*+=\s*+(?:"[^"<>]*+"|'[^'<>]*+'|[^\s<>"']++)"""
_OVERRIDE = (
    r"an?|alpha|[1-4]?[ac]|b|be|blur|[xy]?bord|[xy]?shad|i?clip|fade?|fa[xy]|fe|fr[xyz]?|fs|fsc[xy]|fsp|i|k[fo]?|move|org"
    r"|p|pbo|pos|q|r|s|t|u"
)
_SRT_TAG = re.compile(
    rf"</?(?:b|i|u|s)[ \t]*+>|<font(?:{_ATTRIBUTE})*\s*+>|</font\s*+>"
    rf"|\{{(?:\\(?:(?:{_OVERRIDE})(?:[-+.0-9]++|&H[0-9A-F]++&?|\([^(){{}}]*+\))?|fn[^\\{{}}]++))+\}}",
    re.IGNORECASE,
)


def voices(raw: str) -> list[tuple[str | None, str]]:
    """Return each speaker of a WebVTT cue with their plain text; None before the first voice and after its end."""
    said: list[tuple[str | None, list[str]]] = [(None, [])]
    at = 0
    for tag in _VTT_TAG.finditer(raw):
        said[-1][1].append(unescaped(raw[at : tag.start()]))
        at = tag.end()
        if tag[0].startswith(("<v", "</v")):
            said.append((unescaped(tag["voice"]) if tag["voice"] else None, []))
    said[-1][1].append(unescaped(raw[at:]))
    return _together(said)


def vtt_plain(raw: str) -> str:
    """Return a line of a WebVTT cue as a player shows it."""
    return unescaped(_VTT_TAG.sub("", raw))


def srt_plain(raw: str) -> str:
    """Return a text of an SRT cue without its markup. SRT escapes nothing, so "&amp;" is what was written."""
    return _SRT_TAG.sub("", raw)


def has_timestamp(raw: str) -> bool:
    """Whether words of a WebVTT text have times of their own."""
    return _VTT_TIMESTAMP.search(raw) is not None


def unescaped(text: str) -> str:
    """Return `text` with its character references resolved; one that names no character stays as it is."""
    return _REFERENCE.sub(_character, text) if "&" in text else text


def _character(reference: re.Match[str]) -> str:
    name = reference[0][1:]
    if not name.startswith("#"):
        return html5.get(name, reference[0])
    character = html.unescape(reference[0])
    return reference[0] if character in ("", "\x00", "\ufffd") else character


def _together(said: list[tuple[str | None, list[str]]]) -> list[tuple[str | None, str]]:
    """Put together what one speaker said in several voice tags; leave out those without text."""
    together = said[:1]
    for speaker, parts in said[1:]:
        if not any(one_line(part) for part in parts):
            continue
        if together[-1][0] == speaker:
            together[-1][1].extend(parts)
        else:
            together.append((speaker, parts))
    return [(speaker, "".join(parts)) for speaker, parts in together]
