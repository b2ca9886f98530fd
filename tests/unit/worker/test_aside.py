from __future__ import annotations

import asyncio
import contextlib

import pytest

from worker.aside import aside


async def for_ever() -> None:
    await asyncio.Event().wait()


async def test_they_run_under_their_names_for_as_long_as_the_block() -> None:
    async with aside({"one": for_ever(), "other": for_ever()}):
        assert {"one", "other"} <= {task.get_name() for task in asyncio.all_tasks()}
    assert not {"one", "other"} & {task.get_name() for task in asyncio.all_tasks()}


async def test_one_that_loses_a_cancellation_is_cancelled_again() -> None:
    lost = 0

    async def deaf() -> None:
        nonlocal lost
        with contextlib.suppress(asyncio.CancelledError):
            await for_ever()
        lost += 1
        await for_ever()

    async with asyncio.timeout(10), aside({"deaf": deaf()}):
        await asyncio.sleep(0)
    assert lost == 1


async def test_one_that_ended_badly_keeps_nobody_from_ending() -> None:
    async def broken() -> None:
        raise RuntimeError("broken")

    async with aside({"broken": broken(), "sound": for_ever()}):
        await asyncio.sleep(0)


async def test_what_the_block_raises_passes_through() -> None:
    with pytest.raises(ValueError, match="in the block"):
        async with aside({"one": for_ever()}):
            raise ValueError("in the block")
