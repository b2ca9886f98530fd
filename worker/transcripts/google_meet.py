"""Read the entries of a transcript from Google Meet's API; recognize the documents that Meet writes into Drive."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any

import msgspec

from worker.transcripts.errors import TranscriptError, placed
from worker.transcripts.json_text import shaped
from worker.transcripts.model import TranscriptSegment
from worker.transcripts.progress import OnProgress, counted, unheard
from worker.transcripts.text import one_line

# A line that holds nothing but a time, which is how the document divides the talk.
_SECTION = re.compile(r"^(?:#{1,6} )?[0-9]{2}:[0-9]{2}:[0-9]{2}[ \t]*\r?$", re.MULTILINE)
_SPEAKER = re.compile(r"^(?:\*\*)?[^\W\d_][^\n:]{0,80}:(?:\*\*)? ", re.MULTILINE)


_Moment = Annotated[datetime, msgspec.Meta(tz=True)]


class _Entry(msgspec.Struct):
    text: str
    startTime: _Moment
    endTime: _Moment
    participant: str | None = None
    languageCode: str | None = None


class _Document(msgspec.Struct):
    transcriptEntries: list[_Entry]
    nextPageToken: str | None = None


def is_google_meet(document: Any) -> bool:
    """Whether the document is a list of transcript entries of Meet's API."""
    return isinstance(document, dict) and isinstance(document.get("transcriptEntries"), list)


def read_google_meet(document: Any, source: str, on_progress: OnProgress = unheard) -> list[TranscriptSegment]:
    """Return a segment an entry. Times count from the first entry; a speaker is the participant's resource id."""
    page = shaped(document, _Document, source)
    if page.nextPageToken:
        problem = "is one page of several; put the transcriptEntries of all pages into one list, without the token"
        raise TranscriptError(source, problem, field="nextPageToken")
    entries = page.transcriptEntries
    begin = min((entry.startTime.timestamp() for entry in entries), default=0.0)
    segments: list[TranscriptSegment] = []
    for index, entry in enumerate(counted(entries, len(entries), on_progress)):
        if not (text := one_line(entry.text)):
            continue
        with placed(source, f"transcriptEntries[{index}]"):
            segments.append(
                TranscriptSegment(
                    text=text,
                    start_time=round(entry.startTime.timestamp() - begin, 6),
                    end_time=round(entry.endTime.timestamp() - begin, 6),
                    speaker=one_line((entry.participant or "").rpartition("/")[2]) or None,
                    language=entry.languageCode or None,
                )
            )
    return segments


def is_google_meet_document(text: str) -> bool:
    """Whether the text is a document of Meet: speakers with a colon, times in lines of their own."""
    return _SECTION.search(text) is not None and _SPEAKER.search(text) is not None
