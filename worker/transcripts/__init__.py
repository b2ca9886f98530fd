"""Reads the transcripts people already have: WebVTT, SRT and the JSON of the Whisper family."""

from worker.transcripts.errors import TranscriptError
from worker.transcripts.model import Transcript, TranscriptSegment, TranscriptWord
from worker.transcripts.reader import parse_transcript, read_transcript

__all__ = [
    "Transcript",
    "TranscriptError",
    "TranscriptSegment",
    "TranscriptWord",
    "parse_transcript",
    "read_transcript",
]
