"""A span for each statement, in the words of OpenTelemetry's conventions for databases.

A process that has not loaded OpenTelemetry is not made to load it, and where no span is being recorded none is opened.
What a statement is about is told, never its text or its parameters.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import URL, Executable

from noteflow.infrastructure.persistence.faults import sqlstate_of
from noteflow.infrastructure.unfailing import Unfailing

_UNTRACED: Final[AbstractContextManager[None]] = nullcontext()

_WRITES = re.compile(r"\b(INSERT) INTO (\w+)|(?<!FOR )(?<!KEY )\b(UPDATE) (?!SET\b)(\w+)|\b(DELETE) FROM (\w+)")
_READS = re.compile(r"^\s*(?:SELECT (\w+)\(|.*?\bFROM (\w+))", re.DOTALL)


def sql_span(url: URL, statement: str | Executable) -> AbstractContextManager[None]:
    """Around one statement to the database at `url`: a client's span, child of the one that is being recorded here."""
    trace: Any = sys.modules.get("opentelemetry.trace")
    if trace is None or not trace.get_current_span().is_recording():
        return _UNTRACED
    # Around a COMMIT too: what the tracing raises then must not look like a commit that failed.
    return Unfailing(lambda: _span(trace, url, summary_of(str(statement))))


@contextmanager
def _span(trace: Any, url: URL, summary: str) -> Iterator[None]:
    attributes: dict[str, str | int] = {"db.system.name": "postgresql", "db.query.summary": summary}
    if len(words := summary.split()) <= 2:  # one operation, and on what
        attributes["db.operation.name"] = words[0]
    # A socket's folder, and its port, stand in the query.
    host, port = (url.host, url.port) if url.host else (url.query.get("host"), None)
    server = {"db.namespace": url.database, "server.address": host, "server.port": port}
    attributes |= {name: value for name, value in server.items() if isinstance(value, str | int)}
    span = trace.get_tracer("noteflow").start_span(summary, kind=trace.SpanKind.CLIENT, attributes=attributes)
    # Not with OpenTelemetry's own record of exceptions: it would keep their messages, which may quote a transcript.
    with trace.use_span(span, end_on_exit=True, record_exception=False, set_status_on_exception=False):
        try:
            yield
        except BaseException as error:
            if state := sqlstate_of(error):
                span.set_attribute("db.response.status_code", state)
            span.set_attribute("error.type", state or type(error).__qualname__)
            span.set_status(trace.Status(trace.StatusCode.ERROR))
            raise


@lru_cache(maxsize=256)
def summary_of(sql: str) -> str:
    """What a statement of ours writes, in its order, or else what it reads: ``INSERT job_ledger DELETE outbox``."""
    writes = [" ".join(filter(None, found.groups())) for found in _WRITES.finditer(sql)]
    if writes:
        return " ".join(dict.fromkeys(writes))
    if read := _READS.match(sql):
        return f"SELECT {read[1] or read[2]}"
    return sql.split(maxsplit=1)[0]
