"""SBV, in which YouTube and Google Drive give captions of a recording."""

import pytest

from worker.transcripts import TranscriptError, parse_transcript

CAPTIONS = """\
0:00:01.500,0:00:03.000
Ida Berg: Is <anyone> here
&amp; awake?

0:00:02.750,0:00:04.000
Jan Ek: at 10:30, 1,5 and
0:00:09.000,0:00:09.500
all of us

1:00:00.000,1:00:01.000
Ida Berg: good
"""


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_an_sbv_file_is_read_with_its_text_as_written(line_end: str) -> None:
    segments = parse_transcript(CAPTIONS.replace("\n", line_end).encode("utf-8-sig"), "x.sbv").segments

    assert [(s.start_time, s.end_time, s.speaker, s.text) for s in segments] == [
        (1.5, 3.0, "Ida Berg", "Is <anyone> here &amp; awake?"),
        (2.75, 4.0, "Jan Ek", "at 10:30, 1,5 and 0:00:09.000,0:00:09.500 all of us"),
        (3600.0, 3601.0, "Ida Berg", "good"),
    ]


@pytest.mark.parametrize(
    ("times", "field"),
    [("0:00:07.000,0:00:06.000", "end"), ("0:00:7.1,0:00:08.000", "timing"), ("0:0:1,0:0:2", "timing")],
)
def test_times_that_cannot_be_read_are_refused_with_their_line(times: str, field: str) -> None:
    with pytest.raises(TranscriptError) as refused:
        parse_transcript(f"{CAPTIONS}\n{times}\nsecret\n".encode(), "bad.sbv")

    assert (refused.value.place, refused.value.field) == ("line 13", field)
    assert "secret" not in str(refused.value)
