"""One structured line an event, on standard output: JSON for machines, colours for eyes."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any, Literal, cast

import structlog
from arq.worker import JobExecutionFailed
from structlog.typing import EventDict, FilteringBoundLogger, Processor

from noteflow.domain.errors import NoteflowError
from worker.tracebacks import without_words

_subject: ContextVar[Mapping[str, object]] = ContextVar("subject", default=MappingProxyType({}))


def configure_logging(level: str = "INFO", form: Literal["json", "console"] = "json", **bound: Any) -> None:
    """Send every log line of this process, arq's and SQLAlchemy's too, to standard output in one shape.

    `bound` stands on every line.
    """
    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        lambda _logger, _name, event: {**bound, **subject(), **event},
        without_words,
    ]
    renderer: Processor = (
        structlog.processors.JSONRenderer(default=str)
        if form == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stdout.isatty(), event_key="action", pad_event_to=20)
    )
    structlog.configure(
        processors=[*shared, structlog.processors.EventRenamer("action"), _action_first, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level)),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stdout),
        cache_logger_on_first_use=True,
    )
    _adopt_foreign_lines(level, shared, renderer)


def about(subject: Mapping[str, object]) -> None:
    """Put `subject`, as it is then, on every line that is written in this task from here on, also on foreign ones."""
    _subject.set(subject)


def subject() -> Mapping[str, object]:
    """What the lines of this task are about; empty if it is no job's."""
    return _subject.get()


def logger() -> FilteringBoundLogger:
    """The log of this process."""
    return cast("FilteringBoundLogger", structlog.get_logger())


def _adopt_foreign_lines(level: str, shared: list[Processor], renderer: Processor) -> None:
    handler = logging.StreamHandler(sys.stdout)
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
