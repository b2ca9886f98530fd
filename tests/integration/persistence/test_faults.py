"""What each fault of PostgreSQL means to us, by what the server says and by what the driver makes of it."""

from __future__ import annotations

import pytest
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.orm.exc import StaleDataError

from noteflow.domain.entities import Segment
from noteflow.domain.errors import (
    ConcurrencyConflict,
    ConflictingContent,
    MeetingNotFound,
    NoteflowError,
    RejectedByStorage,
    StorageMisconfigured,
    StorageUnavailable,
)
from noteflow.infrastructure.persistence.faults import translated, translation_of
from tests.integration.persistence.conftest import OpenUnit
from tests.integration.persistence.faulty import ask
from tests.integration.persistence.units import stored_meeting

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
