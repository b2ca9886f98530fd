"""What the README and docs/adding-a-job.md show is run as it stands."""

from __future__ import annotations

import ast
import asyncio
import re
import shlex
import subprocess
import textwrap
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from redis.asyncio import Redis
from typer.testing import CliRunner

from noteflow.domain import commands
from noteflow.domain.commands import ChangeMeetingState, Command, IngestSegments
from noteflow.domain.entities import Meeting, Segment
from noteflow.domain.errors import InvalidValue
from noteflow.domain.outcomes import AlreadyApplied, Applied
from noteflow.domain.value_objects import MeetingState
from noteflow.infrastructure.persistence.engine import create_engine, create_session_factory
from noteflow.infrastructure.persistence.unit_of_work import SqlAlchemyUnitOfWork
from noteflow.infrastructure.queue import codec
from noteflow.infrastructure.queue.client import JobClient
from tests.acceptance.judge import Judge
from tests.acceptance.manager import PATIENCE_S, ROOT, environment, tool
from tests.waiting import eventually
from worker.cli import create_app

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from tests.acceptance.conftest import StartWorkers

README = (ROOT / "README.md").read_text()
PRODUCER, OWNER = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
COMMAND, HANDLER = re.findall(r"```python\n(.*?)```", (ROOT / "docs/adding-a-job.md").read_text(), re.DOTALL)


async def run(example: str, names: dict[str, Any]) -> None:
    """Run an example as the REPL of asyncio would."""
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    code = compile(textwrap.dedent(example), "example", "exec", flags=flags, dont_inherit=True)
    coroutine: Awaitable[None] | None = eval(code, names)
    if coroutine is not None:
        await coroutine


async def test_the_examples_and_the_commands_that_look_inside(
    database_url: str, redis_url: str, start_workers: StartWorkers
) -> None:
    names: dict[str, Any] = {}
    await run(OWNER.replace("postgresql://noteflow@localhost/noteflow", database_url), names)
    await names["engine"].dispose()
    meeting: Meeting = names["meeting"]
    names["meeting_id"] = meeting.id
    await run(PRODUCER.replace("redis://localhost:6379/0", redis_url), names)
    done: str = names["answer"].job_id

    (worker,) = await start_workers(database_url, redis_url)
    judge = Judge(database_url)
    await eventually(lambda: judge.segments(), within_s=PATIENCE_S)
    contradiction = IngestSegments(meeting.id, (Segment(meeting.id, 0, "Good evening.", 0.4, 1.3, speaker="Ada"),))
    async with judge.hold("dead_letters"):  # the README looks at one that is still in Redis
        dead = await _enqueue(redis_url, contradiction)
        async with Redis.from_url(redis_url) as redis:
            await eventually(lambda: redis.zcard("arq:dead:letters"), within_s=PATIENCE_S)
        await eventually(lambda: _state(judge, meeting.id, "STOPPED"), within_s=PATIENCE_S)
        assert await asyncio.to_thread(worker.stop) == 0
    waiting = await _enqueue(redis_url, ChangeMeetingState(meeting.id, MeetingState.COMPLETED, sequence=3))

    typed = [line.replace("ID", dead).replace("MEETING", str(meeting.id)) for line in _lines("python")]
    told = {line: await asyncio.to_thread(_type, line, database_url, redis_url) for line in typed}
    assert "because refused: segment 0 of meeting" in told[f"-m worker jobs why {dead}"]
    assert dead in told["-m worker jobs dead ls"]
    assert "STOPPED" in told[f"-m worker jobs meeting {meeting.id}"]
    assert "MAX_JOBS" in told["-m worker settings"]

    async with Redis.from_url(redis_url) as redis:
        answers = {line: await _redis_cli(redis, line, waiting, done, dead) for line in _lines("redis-cli")}
    assert answers["zcard arq:queue"] == 1
    assert answers["zrange arq:queue 0 9 withscores"][0].decode() == waiting
    assert codec.deserialize(answers["get arq:job:<id>"])["f"] == "change_meeting_state"
    assert codec.deserialize(answers["get arq:result:<id>"])["s"] is True
    assert answers["zrange arq:dead:letters 0 -1 withscores"][0].decode() == dead
    letter = answers["hgetall arq:dead:letter:<id>"]
    assert letter[b"reason"].startswith(b"refused: segment 0 of meeting")
    assert codec.deserialize(letter[b"body"])["f"] == "ingest_segments"
    assert "--scan --pattern arq:in-progress:*" in answers


def test_the_check_that_arq_brings(database_url: str, redis_url: str) -> None:
    settings = environment(database_url, redis_url)
    check = subprocess.run([tool("arq"), *_lines("arq")[0].split()], check=False, capture_output=True, env=settings)
    assert check.returncode == 1  # no worker lives


async def test_the_job_that_adding_a_job_adds(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_its_file = {name: thing for name, thing in vars(commands).items() if name not in {"check_uuid", "check_text"}}
    await run(COMMAND, in_its_file)
    monkeypatch.setattr(commands, "RenameMeeting", in_its_file["RenameMeeting"], raising=False)
    in_a_new_file: dict[str, Any] = {}
    await run(HANDLER, in_a_new_file)
    rename, handler = in_its_file["RenameMeeting"], in_a_new_file["rename_meeting"]

    with pytest.raises(InvalidValue, match=r"title: must be at most 500 characters long"):
        rename(UUID(int=1), "x" * 501)
    engine = create_engine(database_url, pool_size=1)
    factory = create_session_factory(engine)
    try:
        async with SqlAlchemyUnitOfWork(factory, tmp_path) as uow:
            meeting = await uow.meetings.create(Meeting.create(title="Monday"))
            await uow.commit()
        for expected in (Applied(), AlreadyApplied()):
            async with SqlAlchemyUnitOfWork(factory, tmp_path) as uow:
                assert await handler(uow, rename(meeting.id, "Tuesday")) == expected
                await uow.commit()
    finally:
        await engine.dispose()


def _lines(program: str) -> list[str]:
    """What the README lets a person type to look inside, after the program's name, without the remark beside it."""
    section = README.partition("## Looking inside")[2].partition("## ")[0]
    return re.findall(rf"^{program} (.+?)(?:  +.*)?$", section, re.MULTILINE)


def _type(line: str, database_url: str, redis_url: str) -> str:
    """What a command of ours tells. 2 would be a command that is not there, 3 a server that is not asked."""
    done = CliRunner().invoke(create_app(), line.split()[2:], env=environment(database_url, redis_url))
    assert done.exit_code in (0, 1), f"python {line} ended with {done.exit_code}\n{done.output}"
    assert done.stdout
    return done.stdout


async def _redis_cli(redis: Redis, line: str, waiting: str, done: str, dead: str) -> Any:
    if line.startswith("--scan --pattern "):
        return [key async for key in redis.scan_iter(match=line.split()[-1])]
    job_id = dead if "dead" in line else done if "result" in line else waiting
    execute: Callable[..., Awaitable[Any]] = redis.execute_command  # which has no types
    return await execute(*shlex.split(line.replace("<id>", job_id)))


async def _enqueue(redis_url: str, command: Command) -> str:
    async with JobClient.from_url(redis_url) as jobs:
        return (await jobs.enqueue(command)).job_id


async def _state(judge: Judge, meeting_id: UUID, state: str) -> bool:
    return (await judge.meetings())[meeting_id][0] == state
