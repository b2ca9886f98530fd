"""How each fault of PostgreSQL and of the way to it reaches us, caused for real wherever it can be."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.orm.exc import StaleDataError

from noteflow.domain.entities import Meeting, Segment
from noteflow.domain.errors import (
    ConcurrencyConflict,
    ConflictingContent,
    MeetingNotFound,
    NoteflowError,
    RejectedByStorage,
    StorageMisconfigured,
    StorageUnavailable,
    UnitOfWorkFailed,
)
from noteflow.infrastructure.persistence.engine import create_engine, create_session_factory
from noteflow.infrastructure.persistence.faults import translated, translation_of
from noteflow.infrastructure.persistence.transaction import Transaction
from noteflow.infrastructure.persistence.unit_of_work import SqlAlchemyUnitOfWork
from tests.integration.persistence.conftest import OpenUnit
from tests.integration.persistence.test_unit_of_work import checked_out, stored_meeting
from tests.proxy import Proxy


@asynccontextmanager
async def an_engine(url: str, **settings: Any) -> AsyncIterator[AsyncEngine]:
    engine = create_engine(url, **{"pool_size": 2, "pool_pre_ping": False, "connect_timeout_s": 2, **settings})
    yield engine
    await engine.dispose()


async def ask(engine: AsyncEngine, statement: str = "SELECT 1") -> None:
    transaction = Transaction(engine)
    try:
        await transaction.run(text(statement))
        await transaction.commit()
    finally:
        await transaction.rollback()


SERVER_SIDE = [
    ("40001", ConcurrencyConflict),
    ("40P01", ConcurrencyConflict),
    ("55P03", ConcurrencyConflict),
    ("57014", StorageUnavailable),
    ("57P01", StorageUnavailable),
    ("57P03", StorageUnavailable),
    ("53100", StorageUnavailable),
    ("53200", StorageUnavailable),
    ("53300", StorageUnavailable),
    ("25006", StorageUnavailable),
    ("25P03", StorageUnavailable),
    ("08006", StorageUnavailable),
    ("28000", StorageMisconfigured),
    ("28P01", StorageMisconfigured),
    ("3D000", StorageMisconfigured),
    ("42P01", StorageMisconfigured),
    ("42501", StorageMisconfigured),
    ("22021", RejectedByStorage),
    ("22003", RejectedByStorage),
    ("23502", RejectedByStorage),
    ("23503", RejectedByStorage),
    ("23505", RejectedByStorage),
    ("23514", RejectedByStorage),
    ("NF001", ConflictingContent),
]


@pytest.mark.parametrize(("sqlstate", "ours"), SERVER_SIDE)
async def test_what_the_server_says_decides(engine: AsyncEngine, sqlstate: str, ours: type[NoteflowError]) -> None:
    raising = (
        f"DO $$ BEGIN RAISE EXCEPTION 'values: the merger is called Bluebird' USING ERRCODE = '{sqlstate}'; END $$"
    )
    with pytest.raises(NoteflowError) as caught:
        await ask(engine, raising)
    assert type(caught.value) is ours
    assert caught.value.__cause__ is not None
    if ours is not ConflictingContent:  # whose words are our own function's
        assert "Bluebird" not in str(caught.value)
        assert sqlstate in str(caught.value)


@pytest.mark.parametrize(
    ("sqlstate", "says"),
    [("42P01", "migrations were not run"), ("42703", "migrations were not run"), ("28P01", "wrong user or password")],
)
async def test_a_misconfiguration_names_what_a_person_has_to_mend(
    engine: AsyncEngine, sqlstate: str, says: str
) -> None:
    with pytest.raises(StorageMisconfigured, match=says):
        await ask(engine, f"DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '{sqlstate}'; END $$")


async def test_an_error_that_is_no_fault_of_the_driver_passes_unchanged(engine: AsyncEngine) -> None:
    assert translation_of(KeyError("x")) is None
    with pytest.raises(KeyError), translated():
        raise KeyError("x")


async def test_a_stale_row_of_the_orm_is_a_conflict() -> None:
    assert isinstance(translation_of(StaleDataError("1 row expected")), ConcurrencyConflict)


async def test_a_fault_is_found_however_deep_it_lies() -> None:
    outer, middle = RuntimeError("while terminating"), ExceptionGroup("", [KeyError()])
    outer.__context__, middle.__cause__ = middle, ConnectionResetError()
    assert isinstance(translation_of(outer), StorageUnavailable)


async def test_our_own_error_is_not_translated_again() -> None:
    with pytest.raises(MeetingNotFound), translated():
        raise MeetingNotFound("m") from OSError()


# ---- connecting


async def test_nobody_listens() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        async with an_engine(f"postgresql://me:s3cret@127.0.0.1:{unused.getsockname()[1]}/db") as engine:
            with pytest.raises(StorageUnavailable, match="cannot be reached") as caught:
                await ask(engine)
    assert "s3cret" not in str(caught.value)


async def test_no_such_host() -> None:
    async with an_engine("postgresql://me@nowhere.invalid/db") as engine:
        with pytest.raises(StorageUnavailable):
            await ask(engine)


@asynccontextmanager
async def a_listener(
    answer: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[str]:
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"postgresql://me@127.0.0.1:{server.sockets[0].getsockname()[1]}/db?sslmode=disable"


async def test_a_listener_that_never_answers() -> None:
    writers = []

    async def stay_silent(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)

    async with a_listener(stay_silent) as url, an_engine(url, connect_timeout_s=0.2) as engine:
        with pytest.raises(StorageUnavailable, match="in time"):
            await ask(engine)
        for writer in writers:
            writer.close()


async def test_a_server_that_is_starting_up() -> None:
    async def starting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1024)
        fields = b"SFATAL\0VFATAL\0C57P03\0Mthe database system is starting up\0\0"
        writer.write(b"E" + (len(fields) + 4).to_bytes(4, "big") + fields)
        await writer.drain()
        writer.close()

    async with a_listener(starting) as url, an_engine(url) as engine:
        with pytest.raises(StorageUnavailable, match="57P03"):
            await ask(engine)


async def test_a_connection_broken_during_startup() -> None:
    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1024)
        writer.transport.abort()

    async with a_listener(reset) as url, an_engine(url) as engine:
        with pytest.raises(StorageUnavailable):
            await ask(engine)


async def test_encryption_is_demanded_of_a_server_that_has_none(own_postgres: Any) -> None:
    url = own_postgres(tcp=True).url("noteflow")
    async with an_engine(f"{url}{'&' if '?' in url else '?'}sslmode=require") as engine:
        with pytest.raises(StorageUnavailable):
            await ask(engine)


async def test_an_unknown_database_and_an_unknown_role(database_url: str) -> None:
    for stranger in (database_url.replace("/test_", "/no_such_"), database_url.replace("postgres@", "nobody_here@")):
        assert stranger != database_url
        async with an_engine(stranger) as engine:
            with pytest.raises(StorageMisconfigured, match=r"28000|3D000"):
                await ask(engine)


async def test_no_server_at_these_addresses_takes_writes(database_url: str, engine: AsyncEngine) -> None:
    name = database_url.partition("@/")[2].partition("?")[0]
    await ask(engine, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    async with an_engine(f"{database_url}&target_session_attrs=read-write") as elsewhere:
        with pytest.raises(StorageUnavailable, match="takes writes"):
            await ask(elsewhere)


async def test_too_many_connections(database_url: str, engine: AsyncEngine) -> None:
    async with engine.connect() as admin:
        await admin.execute(text("CREATE ROLE crowded LOGIN CONNECTION LIMIT 0"))
        await admin.commit()
        try:
            async with an_engine(database_url.replace("postgres@", "crowded@")) as crowded:
                with pytest.raises(StorageUnavailable, match="53300"):
                    await ask(crowded)
        finally:
            await admin.execute(text("DROP ROLE crowded"))
            await admin.commit()


async def test_the_pool_is_exhausted(database_url: str) -> None:
    async with an_engine(database_url, pool_size=1, pool_timeout_s=0.1) as engine:
        holder = Transaction(engine)
        await holder.run(text("SELECT 1"))
        with pytest.raises(StorageUnavailable, match="came free in time"):
            await ask(engine)
        await holder.rollback()
        await ask(engine)


# ---- in the middle of work


async def test_a_statement_that_takes_too_long(database_url: str) -> None:
    async with an_engine(database_url, command_timeout_s=0.1) as engine:
        with pytest.raises(StorageUnavailable, match="in time"):
            await ask(engine, "SELECT pg_sleep(30)")
        await ask(engine)


async def test_a_lock_that_somebody_else_holds(database_url: str, unit: OpenUnit) -> None:
    meeting = await stored_meeting(unit)
    async with an_engine(database_url, lock_timeout_s=0.1) as engine, unit() as holder:
        await holder.meetings.update(meeting)
        with pytest.raises(ConcurrencyConflict, match="55P03"):
            await ask(engine, "SELECT 1 FROM meetings FOR UPDATE")


async def test_a_deadlock(engine: AsyncEngine, unit: OpenUnit) -> None:
    first, second = await stored_meeting(unit, "first"), await stored_meeting(unit, "second")
    both_hold_one = asyncio.Barrier(2)

    async def cross(one: Meeting, other: Meeting) -> bool:
        async with unit() as uow:
            await uow.meetings.update(replace(one))
            await both_hold_one.wait()
            try:
                await uow.meetings.update(replace(other))
            except ConcurrencyConflict as conflict:
                return "40P01" not in str(conflict)
            return True

    assert sorted(await asyncio.gather(cross(first, second), cross(second, first))) == [False, True]


async def test_a_serialization_failure_at_the_commit(engine: AsyncEngine) -> None:
    await ask(engine, "CREATE TABLE counters AS SELECT 1 AS count")
    one, other = Transaction(engine), Transaction(engine)
    for transaction in (one, other):
        await transaction.run(text("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE"))
        await transaction.run(text("SELECT sum(count) FROM counters"))
    await one.run(text("INSERT INTO counters VALUES (1)"))
    await other.run(text("INSERT INTO counters VALUES (1)"))
    await one.commit()
    with pytest.raises(ConcurrencyConflict, match="40001"):
        await other.commit()
    await one.rollback()
    await other.rollback()


async def test_a_read_only_server_costs_the_connection_its_place_in_the_pool(database_url: str) -> None:
    async with an_engine(database_url, pool_size=1) as engine:
        transaction = Transaction(engine)
        await transaction.run(text("SET TRANSACTION READ ONLY"))
        before = (await transaction.run(text("SELECT pg_backend_pid()"))).scalar()
        with pytest.raises(StorageUnavailable, match="25006"):
            await transaction.run(text("CREATE TABLE anything ()"))
        await transaction.rollback()
        async with engine.connect() as connection:
            assert await connection.scalar(text("SELECT pg_backend_pid()")) != before


@pytest.mark.parametrize("moment", ["idle in the pool", "idle in a transaction", "in a statement"])
async def test_a_backend_is_terminated(database_url: str, engine: AsyncEngine, moment: str) -> None:
    async with an_engine(database_url, pool_size=1, application_name="victim") as victims:
        transaction = Transaction(victims)
        await transaction.run(text("SELECT 1"))
        if moment == "in a statement":
            working = asyncio.create_task(transaction.run(text("SELECT pg_sleep(30)")))
            await terminate(engine, "victim", "active")
            with pytest.raises(StorageUnavailable):
                await working
        elif moment == "idle in a transaction":
            await terminate(engine, "victim", "idle in transaction")
            with pytest.raises(StorageUnavailable):
                await transaction.run(text("SELECT 1"))
        else:
            await transaction.rollback()
            await terminate(engine, "victim", "idle")
        await transaction.rollback()
        await ask(victims)  # the pool has recovered, in each case


async def terminate(engine: AsyncEngine, name: str, state: str) -> None:
    """Terminate the backends of that name once they are in that state, and wait until they are gone."""
    async with engine.connect() as admin:
        await admin.execution_options(isolation_level="AUTOCOMMIT")
        terminated = 0
        while not terminated:
            terminated = await admin.scalar(
                text("SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity"
                     " WHERE application_name = :name AND state = :state AND query NOT LIKE '%pg_terminate%'"),
                {"name": name, "state": state},
            )  # fmt: skip


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_commit_whose_answer_is_lost_says_nothing_about_whether_it_happened(
    own_postgres: Any, when: Any, tmp_path: Path
) -> None:
    server = own_postgres(tcp=True)
    async with Proxy(server.url("noteflow")) as proxy, an_engine(proxy.url) as engine:
        factory = create_session_factory(engine)
        meeting = Meeting.create(title="Standup")
        async with SqlAlchemyUnitOfWork(factory, tmp_path) as uow:
            await uow.meetings.create(meeting)
            cut = proxy.on(b"COMMIT", "reset", when=when)
            with pytest.raises(StorageUnavailable):
                await uow.commit()
        assert cut.done == 1
        async with SqlAlchemyUnitOfWork(factory, tmp_path) as uow:
            assert (await uow.meetings.get(meeting.id) is not None) == (when == "after")


async def test_silence_is_ended_by_the_command_timeout(own_postgres: Any) -> None:
    server = own_postgres(tcp=True)
    async with Proxy(server.url("noteflow")) as proxy, an_engine(proxy.url, command_timeout_s=0.3) as engine:
        await ask(engine)
        proxy.hang()
        with pytest.raises(StorageUnavailable, match="in time"):
            await ask(engine)
        await proxy.heal()
        await ask(engine)


async def test_the_schema_changes_under_a_prepared_statement(engine: AsyncEngine) -> None:
    await ask(engine, "CREATE TABLE things AS SELECT 1 AS id")
    transaction = Transaction(engine)
    await transaction.run(text("SELECT * FROM things"))
    await transaction.commit()
    await ask(engine, "ALTER TABLE things ADD COLUMN name text")
    with pytest.raises(StorageUnavailable, match="schema changed"):
        await transaction.run(text("SELECT * FROM things"))
    await transaction.rollback()
    await ask(engine, "SELECT * FROM things")


# ---- what no waiting cures


@pytest.mark.parametrize(
    ("column", "value", "rule"),
    [
        ("start_time", "'NaN'", "times_in_order"),
        ("start_time", "-1", "times_in_order"),
        ("end_time", "'Infinity'", "times_in_order"),
        ("end_time", "0.5", "times_in_order"),
        ("segment_id", "-1", "segment_id_not_negative"),
        ("revision", "-1", "revision_not_negative"),
        ("confidence", "1.5", "confidence_is_a_share"),
    ],
)
async def test_the_schema_is_a_second_line_behind_the_domain(
    engine: AsyncEngine, unit: OpenUnit, column: str, value: str, rule: str
) -> None:
    meeting = await stored_meeting(unit)
    values = {"segment_id": "1", "revision": "0", "start_time": "1", "end_time": "2", "confidence": "1", column: value}
    with pytest.raises(RejectedByStorage, match=f"segments_{rule}"):
        await ask(
            engine,
            f"INSERT INTO segments (meeting_id, text, {', '.join(values)})"
            f" VALUES ('{meeting.id}', '', {', '.join(values.values())})",
        )


@pytest.mark.parametrize(
    ("assignment", "rule"),
    [
        ("state = 'PAUSED'", "state_known"),
        ("version = 0", "version_positive"),
        ("sequence = -1", "sequence_not_negative"),
        ("title = ' '", "title_not_empty"),
        ("started_at = now(), ended_at = now() - interval '1 s'", "ended_after_started"),
    ],
)
async def test_the_schema_keeps_meetings_true(engine: AsyncEngine, unit: OpenUnit, assignment: str, rule: str) -> None:
    await stored_meeting(unit)
    with pytest.raises(RejectedByStorage, match=f"meetings_{rule}"):
        await ask(engine, f"UPDATE meetings SET {assignment}")


async def test_text_that_postgresql_cannot_hold_is_refused_for_good(engine: AsyncEngine) -> None:
    transaction = Transaction(engine)
    for poison in ("\x00", "\ud800"):
        with pytest.raises(RejectedByStorage):
            await transaction.run(text("SELECT CAST(:value AS text)"), {"value": poison})
        await transaction.rollback()


async def test_an_error_that_is_swallowed_cannot_be_committed(engine: AsyncEngine, unit: OpenUnit) -> None:
    meeting = await stored_meeting(unit)
    another = Meeting.create(title="another")
    async with unit() as uow:
        await uow.meetings.create(another)
        with pytest.raises(RejectedByStorage):
            await uow.meetings.create(meeting)
        with pytest.raises(UnitOfWorkFailed):
            await uow.meetings.get(meeting.id)
        with pytest.raises(UnitOfWorkFailed):
            await uow.commit()
    async with unit() as uow:
        assert await uow.meetings.get(another.id) is None


async def test_a_unit_whose_statement_was_cancelled_cannot_go_on_and_gives_its_connection_back(
    engine: AsyncEngine,
) -> None:
    transaction = Transaction(engine)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await transaction.run(text("SELECT pg_sleep(30)"))
    with pytest.raises(UnitOfWorkFailed):
        await transaction.commit()
    await transaction.rollback()
    assert checked_out(engine) == 0
    await ask(engine)


async def test_no_error_shows_the_text_it_could_not_store(unit: OpenUnit) -> None:
    meeting = await stored_meeting(unit)
    with pytest.raises(NoteflowError) as caught:
        async with unit() as uow:
            await uow.segments.add(meeting.id, Segment(meeting.id, 1, "first", 0, 1))
            await uow.commit()
            await uow.segments.add(meeting.id, Segment(meeting.id, 1, "the merger is called Bluebird", 0, 1))
            await uow.commit()
    cause: BaseException | None = caught.value
    while cause is not None:
        assert "Bluebird" not in str(cause)
        cause = cause.__cause__


async def test_an_integrity_error_keeps_its_place_in_the_chain(unit: OpenUnit) -> None:
    meeting = await stored_meeting(unit)
    with pytest.raises(RejectedByStorage) as caught:
        async with unit() as uow:
            await uow.meetings.create(meeting)
    assert isinstance(caught.value.__cause__, IntegrityError)
