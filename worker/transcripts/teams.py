"""Read the cues of Teams' metadata transcripts: WebVTT in which each cue is a JSON object."""

from __future__ import annotations

import json

import msgspec


class _Entry(msgspec.Struct):
    spokenText: str
    speakerName: str | None = None
    spokenLanguage: str | None = None


def teams_entry(raw: str) -> tuple[str | None, str, str | None] | None:
    """Return speaker, text and language of a cue that Microsoft Graph's metadataContent wrote, None for any other."""
    if not raw.startswith("{") or '"spokenText"' not in raw:
        return None
    try:
        entry = msgspec.convert(json.loads(raw), _Entry)
    except (ValueError, RecursionError, msgspec.ValidationError):
        return None
    return entry.speakerName, entry.spokenText, entry.spokenLanguage
