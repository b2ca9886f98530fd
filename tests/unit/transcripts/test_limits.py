"""Reading takes time and memory in proportion to the file, whatever it holds."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc

import pytest

from tests.unit.transcripts.written import CAPTIONS, WITH_WORDS, WITHOUT_WORDS, content_of
from worker.transcripts import parse_transcript


def test_no_long_file_takes_long_or_much_memory() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "tests.unit.transcripts.long_files"],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )

    assert run.returncode == 0, f"ended with {run.returncode} at {run.stdout.splitlines()[-1:]}\n{run.stderr}"
    assert len(run.stdout.splitlines()) > 400


@pytest.mark.parametrize("writer", [*CAPTIONS, *WITH_WORDS, *WITHOUT_WORDS], ids=lambda writer: writer.__name__)
def test_the_memory_of_reading_grows_with_the_file_alone(writer: object) -> None:
    peaks = []
    for count in (100, 400):
        content = content_of(writer, [["one", "two", "three"]] * count)  # type: ignore[arg-type]  # one of two kinds
        tracemalloc.start()
        parse_transcript(content, "x")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()

    assert peaks[1] < 6 * peaks[0]
    assert peaks[1] < 60 * len(content) + 1_000_000
