"""One structured line an event, on standard output: JSON for machines, colours for eyes.

A thread writes the lines (`log_stream.py`). A line that cannot be rendered or written is counted, and costs no more.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any, Literal, TextIO, cast

import structlog
from arq.worker import JobExecutionFailed
from structlog.typing import EventDict, FilteringBoundLogger, Processor

from noteflow.domain.errors import NoteflowError
from worker.engine.log_stream import QueuedStream
from worker.printable import printable, printable_lines
from worker.tracebacks import without_words

_subject: ContextVar[Mapping[str, object]] = ContextVar("subject", default=MappingProxyType({}))


def configure_logging(level: str = "INFO", form: Literal["json", "console"] = "json", **bound: Any) -> None:
    """Send every log line of this process, arq's and SQLAlchemy's too, to standard output in one shape.

    `bound` stands on every line.
    """
    stream = _stream_to(sys.stdout)
    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        lambda _logger, _name, event: {**bound, **subject(), **event},
        without_words,
    ]
    renderer: Processor = (
        structlog.processors.JSONRenderer(default=_shown)
        if form == "json"
        else _printable(
            structlog.dev.ConsoleRenderer(colors=_is_terminal(sys.stdout), event_key="action", pad_event_to=20)
        )
    )
    structlog.configure(
        processors=[*shared, structlog.processors.EventRenamer("action"), _action_first, renderer],
        wrapper_class=_unfailing(structlog.make_filtering_bound_logger(logging.getLevelName(level)), stream),
        logger_factory=lambda *_: _Lines(stream),
        cache_logger_on_first_use=True,
    )
    _adopt_foreign_lines(level, shared, renderer, stream)


def _printable(render: Processor) -> Processor:
    """Render for a terminal, which must not obey what is in an id or an error; JSON escapes that by itself."""

    def rendered(log: Any, name: str, event: EventDict) -> Any:
        shown = {
            key: printable_lines(value) if key == "exception" else printable(value) if isinstance(value, str) else value
            for key, value in event.items()
        }
        return render(log, name, shown)

    return rendered


def dropped_lines() -> int:
    """How many log lines of this process could not be written."""
    return sum(handler.stream.dropped for handler in logging.getLogger().handlers if isinstance(handler, _Handler))


def about(subject: Mapping[str, object]) -> None:
    """Put `subject`, as it is then, on every line that is written in this task from here on, also on foreign ones."""
    _subject.set(subject)


def subject() -> Mapping[str, object]:
    """What the lines of this task are about; empty if it is no job's."""
    return _subject.get()


def logger() -> FilteringBoundLogger:
    """The log of this process."""
    return cast("FilteringBoundLogger", structlog.get_logger())


class _Lines:
    """What structlog hands a rendered line to."""

    def __init__(self, stream: QueuedStream) -> None:
        self._stream = stream

    def write(self, line: str) -> None:
        self._stream.write(line + "\n")

    debug = info = warning = error = critical = write


class _Handler(logging.StreamHandler[QueuedStream]):
    """What the standard library hands a line to. Counts what it cannot render, and raises nothing."""

    def handle(self, record: logging.LogRecord) -> bool:
        try:
            return bool(super().handle(record))
        except Exception:  # a filter's
            self.handleError(record)
            return False

    def handleError(self, record: logging.LogRecord) -> None:
        self.stream.drop()


def _is_terminal(target: TextIO | None) -> bool:
    return target is not None and target.isatty()


def _stream_to(target: TextIO | None) -> QueuedStream:
    """The queue before `target`: that in use, if there is one, or the order of the lines would be lost."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, _Handler) and handler.stream.target is target:
            return handler.stream
    return QueuedStream(target, lambda dropped, reason: logger().warning("log.resumed", dropped=dropped, reason=reason))


def _unfailing(logger_class: type[Any], stream: QueuedStream) -> type[Any]:
    class Unfailing(logger_class):  # type: ignore[misc]  # structlog makes the class while it runs
        def _proxy_to_logger(self, method_name: str, event: str | None = None, **fields: Any) -> Any:
            try:
                return super()._proxy_to_logger(method_name, event, **fields)
            except Exception:
                stream.drop()

    return Unfailing


def _shown(value: object) -> str:
    try:
        return str(value)
    except Exception as error:
        return f"<str() raised {type(error).__name__}>"


def _adopt_foreign_lines(level: str, shared: list[Processor], renderer: Processor, stream: QueuedStream) -> None:
    handler = _Handler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, structlog.stdlib.ExtraAdder(), *shared],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.EventRenamer("sentence"),
                lambda _logger, _name, event: {"action": "log.foreign", **event},
                _action_first,
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    handler.addFilter(_without_retelling)
    logging.getLogger("arq").handlers.clear()
    # arq prints a job's arguments, which hold the transcript; what it says of a job, our own line says better.
    logging.getLogger("arq.worker").setLevel(max(logging.WARNING, logging.getLevelName(level)))
    logging.getLogger("sqlalchemy.engine").setLevel(logging.WARNING)


def _without_retelling(record: logging.LogRecord) -> bool:
    """Drop what arq says of an ending that our own line has told; say of an error its name, or our own words."""
    if record.name == "asyncio":
        # Below the first line it describes a future, and with it what its exception said.
        record.msg, record.args = record.getMessage().partition("\n")[0], ()
    if not record.name.startswith("arq"):
        return True
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, JobExecutionFailed) or getattr(record, "verdict", None) == "refused":
        return False
    if error is not None:
        # A traceback ends with what each exception says, and a foreign one may quote the payload.
        record.exc_info = record.exc_text = None
        record.error = _words_of(error)
    if vars(record).get("extra", "") is None:
        del vars(record)["extra"]
    return True


def _words_of(error: BaseException) -> str:
    link: BaseException | None = error
    while link is not None:
        if isinstance(link, NoteflowError):
            return str(link)
        link = link.__cause__
    return type(error).__name__


def _action_first(_logger: object, _name: str, event: EventDict) -> EventDict:
    first = ("timestamp", "level", "action")
    return {**{key: event[key] for key in first if key in event}, **event}
