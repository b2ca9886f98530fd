"""Read long files, each made of one beginning and one fragment many times over, under limits of the kernel.

Run as a program by `test_limits.py`. It names each file before it reads it, so that the last line names the one that
took too long: the kernel then ends the process by SIGXCPU, also within a regular expression.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Iterator
from itertools import chain, product

from worker.transcripts import TranscriptError, parse_transcript

SIZE = 100_000
# The slowest takes 0.1 s. Time of the processor, not of the clock: other processes do not count.
MOST_SECONDS = 2
# The interpreter and what it imports take 30 MiB.
MOST_BYTES = 100 * 1024 * 1024
CAPTIONS = [
    "", "WEBVTT\n\n", "WEBVTT\n\n00:01.000 --> 00:02.000\n", "1\n", "1\n00:00:01,000 --> 00:00:02,000\n",
    "0:00:01.000,0:00:02.000\n", "00:00:00\nIda: hi\n",
]  # fmt: skip
IN_CAPTIONS = [
    "\n", "\r", "\r\n", " ", "\t", "\n ", "a", "a ", "-", "9", "1\n", "-->", "NOTE", "STYLE\n", "\u2028", "{", "[a",
    "<", ">", "<v ", "<v Ann>", "<v Ann>x", "<v Ann>x</v>", "</v>", "<v.a", "<c.a.b ", "<b ", "</v ", "<00:", "<lang ",
    "<font ", "<font a=b ", '<font a="', "{\\", "{\\a", "{\\a(", "{\\a1\\b", "&", "&#", "&#1", "&#0;", "&a", "&amp;",
    "Ann: ", "Ann Ann ", "[S1]: ", "1\n00:00:01,000 --> 00:00:02,000\n", "x\n\n00:01.000 --> 00:01.001\n",
    "0:00:01.000,0:00:02.000\n",
]  # fmt: skip
IN_MARKUP = [f"{beginning}{opened}" for beginning in CAPTIONS[2:5:2] for opened in ("{", "<font", "<v", "<c", "<v ")]
IN_TAGS = ["\\be5", "\\an8", "\\pos(1,2)", "\\fnA", " a=b", " a='b'", ".a", ".", " a", "a", " "]
DOCUMENTS = [
    "[", '{"text":', '{"segments":[{"start":0,"end":1,"text":"', '{"words":[{"word":"a","start":0}],"text":"',
]  # fmt: skip
IN_DOCUMENTS = [
    "\n", " ", "a", "a ", "a. ", "♪", " ♪", "9", "1,", "1.", "[", "[[", "{", '{"a":', '"', "1e999", "NaN,", "null,",
    "\\u0041", "\\ud800", "[_A_]", "e\u0301",
]  # fmt: skip


def files() -> Iterator[tuple[str, bytes]]:
    """Yield each file with its name."""
    pairs = chain(product(CAPTIONS, IN_CAPTIONS), product(IN_MARKUP, IN_TAGS), product(DOCUMENTS, IN_DOCUMENTS))
    for beginning, fragment in pairs:
        times = SIZE // len(fragment)
        yield f"{beginning!r} + {fragment!r} * {times}", (beginning + fragment * times).encode()


def main() -> None:
    """Read every file, and print its name before."""
    resource.setrlimit(resource.RLIMIT_DATA, (MOST_BYTES, MOST_BYTES))
    for name, content in files():
        print(name, flush=True)
        limit = int(time.process_time()) + MOST_SECONDS
        resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.RLIM_INFINITY))
        try:
            parse_transcript(content, "long")
        except TranscriptError as refusal:
            if len(str(refusal)) > 1_000:
                sys.exit(f"a complaint of {len(str(refusal))} characters")


if __name__ == "__main__":
    main()
