"""What is too large for the queue is refused by its place in the file."""

import pytest

from noteflow.domain.commands import MOST_BYTES_PER_JOB, MOST_SEGMENTS_PER_JOB
from worker.transcripts import Transcript, TranscriptError, TranscriptSegment
from worker.transcripts.fitting import check_fits


def transcript(*texts: str) -> Transcript:
    segments = tuple(TranscriptSegment(text, number, number + 1) for number, text in enumerate(texts))
    return Transcript("Long", "long.vtt", segments)


def test_a_segment_that_no_job_can_carry_is_named_by_its_number_and_time() -> None:
    texts = ["hello"] * (MOST_SEGMENTS_PER_JOB + 7) + ["x" * MOST_BYTES_PER_JOB, "hello"]

    with pytest.raises(TranscriptError, match=r"^long\.vtt: segments\[1007\], which begins at 1007 s: is 10\d+ bytes"):
        check_fits(transcript(*texts))


def test_segments_that_fit_one_by_one_fit_together() -> None:
    check_fits(transcript(*["x" * (MOST_BYTES_PER_JOB // 2)] * 3))
