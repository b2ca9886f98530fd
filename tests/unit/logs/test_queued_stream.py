"""Lines go to a real descriptor from a thread; what becomes of them there never reaches the caller."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TextIO, cast

import pytest

from tests.unit.logs.lines import configured
from tests.waiting import eventually_sync
from worker.engine.log import Log
from worker.engine.log_stream import QueuedStream, queue_handlers
from worker.logs import dropped_lines, logger

if TYPE_CHECKING:
    from pathlib import Path

WITHIN_S = 30.0


class Pipe:
    """A pipe of one page, with a text file before its writing end."""

    def __init__(self) -> None:
        self.reader, writer = os.pipe()
        fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
        self.file = cast("TextIO", os.fdopen(writer, "w"))

    def read(self) -> str:
        return os.read(self.reader, 1 << 20).decode()

    def read_until(self, text: str) -> str:
        said = ""
        while text not in said:
            said += self.read()
        return said


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    os.close(pipe.reader)
    pipe.file.close()


class Resumed:
    """Notes each report that lines can be written again."""

    def __init__(self) -> None:
        self.reports: list[tuple[int, str]] = []
        self.come = threading.Event()

    def __call__(self, dropped: int, reason: str) -> None:
        self.reports.append((dropped, reason))
        self.come.set()


def test_lines_come_in_the_order_in_which_they_were_written(pipe: Pipe) -> None:
    stream = QueuedStream(pipe.file)
    for number in range(100):
        stream.write(f"{number}\n")
    assert stream.drain(WITHIN_S)
    assert pipe.read() == "".join(f"{number}\n" for number in range(100))
    assert stream.dropped == 0


def test_each_write_is_of_whole_lines_that_a_shared_pipe_takes_as_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, written = os.write, list[bytes]()

    def note(descriptor: int, data: bytes) -> int:
        written.append(data)
        return write(descriptor, data)

    monkeypatch.setattr(os, "write", note)
    with (tmp_path / "log").open("w") as file:
        stream = QueuedStream(file)
        lines = [f"{number}{'x' * (number % 900)}\n" for number in range(500)] + ["y" * 10_000 + "\n", "last\n"]
        for line in lines:
            stream.write(line)
        assert stream.drain(WITHIN_S)
    assert "".join(lines) == (tmp_path / "log").read_text()
    assert all(data.endswith(b"\n") for data in written)
    assert [len(data) for data in written if len(data) > 4096] == [10_001]


def test_a_reader_that_does_not_read_blocks_no_writer_and_lines_beyond_the_queue_are_dropped(pipe: Pipe) -> None:
    resumed = Resumed()
    stream = QueuedStream(pipe.file, resumed, most_lines=50)
    for number in range(500):  # of 200 bytes: a pipe of one page holds twenty
        stream.write(f"{number:199}\n")
    assert not stream.drain(0)
    assert stream.dropped >= 300
    stream.close(within_s=0.01)  # which gives up waiting

    said = pipe.read_until(f"{499 - stream.dropped:199}\n")
    assert [int(line) for line in said.splitlines()] == list(range(500 - stream.dropped))
    assert resumed.come.wait(WITHIN_S)
    assert resumed.reports == [(stream.dropped, "lines came faster than they could be written")]


def test_lines_are_bounded_in_bytes_too(pipe: Pipe) -> None:
    stream = QueuedStream(pipe.file, most_bytes=100_000)
    stream.write("x" * 200_000 + "\n")
    stream.write("kept\n")
    assert stream.drain(WITHIN_S)
    assert (pipe.read(), stream.dropped) == ("kept\n", 1)


def test_lines_for_a_reader_that_is_gone_are_dropped_and_counted_and_nothing_is_raised(pipe: Pipe) -> None:
    resumed = Resumed()
    stream = QueuedStream(pipe.file, resumed)
    os.dup2(os.open("/dev/null", os.O_RDONLY), pipe.reader)
    for _ in range(7):
        stream.write("lost\n")
    assert stream.drain(WITHIN_S)
    assert (stream.dropped, resumed.reports) == (7, [])


def test_lines_for_a_full_disk_wait_and_are_written_when_there_is_room(tmp_path: Path) -> None:
    log, resumed = tmp_path / "log", Resumed()
    with log.open("w") as file:
        full = os.open("/dev/full", os.O_WRONLY)
        disk = os.dup(file.fileno())
        os.dup2(full, file.fileno())
        stream = QueuedStream(file, resumed)
        for number in range(5):
            stream.write(f"{number}\n")
        eventually_sync(lambda: stream._reason)
        os.dup2(disk, file.fileno())
        assert stream.drain(WITHIN_S)
        assert resumed.come.wait(WITHIN_S)
        os.close(full)
        os.close(disk)
    assert log.read_text() == "0\n1\n2\n3\n4\n"
    assert (stream.dropped, resumed.reports) == (0, [(0, "ENOSPC: No space left on device")])


def test_half_a_line_that_a_full_disk_took_is_completed(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    asked: list[int] = []

    def stingy(descriptor: int, data: bytes) -> int:
        asked.append(len(data))
        if len(asked) == 2:
            raise OSError(28, "No space left on device")
        return write(descriptor, data[:3])

    monkeypatch.setattr(os, "write", stingy)
    stream = QueuedStream(pipe.file)
    stream.write("abcdefgh\n")
    stream.write("ijk\n")
    assert stream.drain(WITHIN_S)
    assert pipe.read() == "abcdefgh\nijk\n"


def test_without_a_standard_output_lines_are_dropped() -> None:
    stream = QueuedStream(None)
    stream.write("line\n")
    assert stream.dropped == 1


def test_what_cannot_be_rendered_is_dropped_and_counted_from_every_logger(capsys: pytest.CaptureFixture[str]) -> None:
    class Unspeakable:
        def __str__(self) -> str:
            raise RuntimeError("no words")

    with configured():
        logger().info("odd.value", value=Unspeakable())
        logger().info("odd.key", **{"a": {("no", "key"): 1}})
        logging.getLogger("sqlalchemy.pool").error("%d is missing")
        logging.getLogger("sqlalchemy.pool").error("%d is no number", "x")
        assert dropped_lines() == 2
    (line, foreign) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert line["value"] == "<str() raised RuntimeError>"
    assert foreign["sentence"] == "%d is missing"


def test_a_filter_that_raises_costs_its_line_only(capsys: pytest.CaptureFixture[str]) -> None:
    def broken(_record: logging.LogRecord) -> bool:
        raise RuntimeError("broken filter")

    with configured():
        logging.getLogger().handlers[0].addFilter(broken)
        logging.getLogger("sqlalchemy.pool").error("lost")
        assert dropped_lines() == 1
    assert capsys.readouterr().out == ""


def test_the_engine_logs_through_handlers_that_raise_and_goes_on() -> None:
    class Broken(logging.Handler):
        def handle(self, record: logging.LogRecord) -> bool:
            records.append(record)
            raise RuntimeError("broken handler")

    records: list[logging.LogRecord] = []
    log, broken = Log("tests.engine"), Broken()
    log.logger.addHandler(broken)
    log.logger.setLevel(logging.INFO)
    try:
        log.info("one %d", 1, extra={"verdict": "refused"})
        log.debug("below the level")
        log.exception("two")
    finally:
        log.logger.removeHandler(broken)
    seen: list[Any] = [(each.getMessage(), each.funcName, getattr(each, "verdict", None)) for each in records]
    place = "test_the_engine_logs_through_handlers_that_raise_and_goes_on"
    assert seen == [("one 1", place, "refused"), ("two", place, None)]


def test_handlers_from_another_configuration_are_given_a_queue(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", pipe.file)
    handler, log = logging.StreamHandler(), logging.getLogger("tests.foreign")
    log.addHandler(handler)
    try:
        queue_handlers()
        log.error("hello")
        assert isinstance(handler.stream, QueuedStream)
        assert handler.stream.drain(WITHIN_S)
    finally:
        log.removeHandler(handler)
    assert pipe.read() == "hello\n"
