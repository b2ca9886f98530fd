"""Many ask, one fetch is made, and nobody waits for one that hangs."""

from __future__ import annotations

import asyncio

import pytest

from worker.telemetry.cached import Cached


class Server:
    """Answers with the number of the question, when it is let."""

    def __init__(self) -> None:
        self.asked = 0
        self.answers = asyncio.Event()
        self.answers.set()

    async def ask(self) -> int:
        self.asked += 1
        number = self.asked
        await self.answers.wait()
        return number


async def test_those_who_ask_at_once_share_one_fetch() -> None:
    server = Server()
    cached = Cached(server.ask, fresh_s=60, patience_s=60)
    assert await asyncio.gather(*(cached.get() for _ in range(5))) == [1] * 5
    assert await cached.get() == 1
    assert server.asked == 1


async def test_an_answer_that_is_no_longer_fresh_is_fetched_anew() -> None:
    server = Server()
    cached = Cached(server.ask, fresh_s=0, patience_s=60)
    assert [await cached.get(), await cached.get()] == [1, 2]


async def test_a_fetch_that_hangs_is_not_waited_for_nor_asked_again_and_its_late_answer_is_taken() -> None:
    server = Server()
    server.answers.clear()
    cached = Cached(server.ask, fresh_s=60, patience_s=0.01)
    for _ in range(3):
        with pytest.raises(TimeoutError):
            await cached.get()
    assert server.asked == 1
    server.answers.set()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert await cached.get() == 1


async def test_a_late_answer_that_is_no_longer_fresh_is_not_taken() -> None:
    server = Server()
    server.answers.clear()
    cached = Cached(server.ask, fresh_s=0, patience_s=0.01)
    with pytest.raises(TimeoutError):
        await cached.get()
    server.answers.set()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert await cached.get() == 2


async def test_an_error_is_told_to_all_who_asked_and_not_kept() -> None:
    fails = True

    async def ask() -> int:
        await asyncio.sleep(0)
        if fails:
            raise OSError("away")
        return 7

    cached = Cached(ask, fresh_s=60, patience_s=60)
    told = await asyncio.gather(cached.get(), cached.get(), return_exceptions=True)
    assert [type(error) for error in told] == [OSError, OSError]
    fails = False
    assert await cached.get() == 7
    await cached.close()
