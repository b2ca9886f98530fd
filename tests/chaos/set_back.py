"""PostgreSQL is set back to an older copy while workers run: what was committed since is gone, and is said again.

No fault of the plan: everything that was acknowledged has to be said once more, as producers do after such a loss. The
judge's own records lie in the same database and go back with it. So the usual verdict holds in the end: each command
has its effect once.
"""

from __future__ import annotations

import asyncio
import shutil
from contextlib import suppress
from typing import TYPE_CHECKING

import asyncpg

from tests.chaos.dead_letters import dead_letters
from tests.chaos.judge import Verdict, judge
from tests.chaos.scene import Scene
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from noteflow.domain.commands import Command
    from worker.embedded import EmbeddedPostgres, EmbeddedRedis

SAID_AGAIN_S = 1.0
ALL_DONE_S = 90.0


async def set_back_while_workers_run(
    postgres: EmbeddedPostgres, redis: EmbeddedRedis, folder: Path, *, commands: int = 20
) -> Verdict:
    """Apply some commands, copy the database, apply others, set it back, say the others again; return the verdict."""
    scene = Scene(postgres.url("noteflow"), redis.url(), folder)
    await scene.begin()
    copy = folder / "copy"
    with scene.workers(2):
        await scene.enqueue(*_commands(scene, commands))
        await scene.peace()
        await _while_stopped(postgres, lambda data: shutil.copytree(data, copy))
        lost = _commands(scene, commands)
        await scene.enqueue(*lost)
        await scene.peace()
        await _while_stopped(postgres, lambda data: _replace(data, copy))
        async with asyncio.TaskGroup() as group:
            producer = group.create_task(_say_again(scene, lost))
            with suppress(AssertionError):
                await eventually(lambda: _is_clean(scene), within_s=ALL_DONE_S, every_s=0.5)
            producer.cancel()
        return await _verdict(scene)


def _commands(scene: Scene, number: int) -> list[Command]:
    return [scene.batch() if each % 2 else scene.move() for each in range(number)]


async def _while_stopped(postgres: EmbeddedPostgres, act: object) -> None:
    assert callable(act)

    def acted() -> None:
        postgres.stop("fast")
        act(postgres.home / "data")
        postgres.start()

    await asyncio.to_thread(acted)


def _replace(data: Path, copy: Path) -> None:
    shutil.rmtree(data)
    shutil.copytree(copy, data)


async def _say_again(scene: Scene, lost: Sequence[Command]) -> None:
    """Do as producers do that see that their commands have no effect."""
    while True:
        await scene.enqueue(*lost)
        await asyncio.sleep(SAID_AGAIN_S)


async def _is_clean(scene: Scene) -> bool:
    with suppress(OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return (await _verdict(scene)).is_clean
    return False


async def _verdict(scene: Scene) -> Verdict:
    left = await dead_letters(scene.database_url, scene.redis_url)
    records = list({record.job_ids: record for record in scene.records}.values())
    return judge(records, await scene.effects(), {letter.job_id: letter.reason for letter in left})
