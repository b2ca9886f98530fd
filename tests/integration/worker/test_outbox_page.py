"""What docs/outbox.md shows is run as it stands, and does what it says."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy.exc import DBAPIError

from noteflow.domain.entities import Meeting
from noteflow.domain.errors import ConcurrencyConflict, InvalidValue, RejectedByStorage, UnitOfWorkFailed
from noteflow.domain.value_objects import MeetingId
from noteflow.infrastructure.persistence.engine import create_engine, create_session_factory
from noteflow.infrastructure.persistence.outbox import enqueue_in
from noteflow.infrastructure.persistence.unit_of_work import SqlAlchemyUnitOfWork
from tests.integration.worker.stage import Stage, batch

PAGE = (Path(__file__).parents[3] / "docs" / "outbox.md").read_text()
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


async def test_the_examples_ask_for_a_meeting_that_is_completed_in_the_end(stage: Stage, tmp_path: Path) -> None:
    names: dict[str, Any] = {}
    for example in EXAMPLES:
        source = example.replace("postgresql://localhost/noteflow", stage.judge.database_url)
        code = compile(source, "docs/outbox.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        await eval(code, names)
    await names["engine"].dispose()
    assert len(names["store"].jobs.commands) == 1
    assert len(await stage.outbox()) == 4

    while await stage.deliver_woken():
        pass
    meeting = names["meeting"].id
    assert (await stage.judge.meetings())[meeting] == ("COMPLETED", 4, 3)
    assert await stage.judge.segments() == {meeting: {0: "Good morning."}}
    assert await stage.outbox() == {}


async def test_what_the_page_says_may_be_raised_is(stage: Stage, met: UUID, tmp_path: Path) -> None:
    engine = create_engine(stage.judge.database_url, lock_timeout_s=0.1)
    sessions = create_session_factory(engine)
    async with SqlAlchemyUnitOfWork(sessions, tmp_path) as uow, SqlAlchemyUnitOfWork(sessions, tmp_path) as other:
        with pytest.raises(InvalidValue):
            await uow.jobs.enqueue(batch(met, 0), job_id="")
        await uow.jobs.enqueue(batch(met, 0))  # the unit goes on
        with pytest.raises(ConcurrencyConflict, match="55P03"):
            await other.jobs.enqueue(batch(met, 0))
        with pytest.raises(UnitOfWorkFailed):
            await other.commit()
        with pytest.raises(RejectedByStorage, match="23505"):
            await uow.meetings.create(Meeting(id=MeetingId(met), title="a second one"))
    async with engine.connect() as first, engine.connect() as second:
        await enqueue_in(first, batch(met, 0))
        with pytest.raises(DBAPIError):
            await enqueue_in(second, batch(met, 0))
    await engine.dispose()
