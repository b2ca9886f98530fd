"""The lines of Arq's log, in both classes."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from arq.connections import ArqRedis
from arq.worker import func

from tests.integration.engine.conftest import MakeEither
from tests.integration.engine.jobs import Ctx, now_ms
from tests.integration.engine.like_arq import answer, lines_of, must_enqueue

pytestmark = pytest.mark.filterwarnings("ignore:Call to deprecated close:DeprecationWarning")


async def test_arguments_are_sorted_and_what_is_long_is_cut(
    either: MakeEither, redis: ArqRedis, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    async def echo(ctx: Ctx, *args: Any, **kwargs: Any) -> Any:
        return args[0]

    await must_enqueue(redis, "echo", "x" * 100, _job_id="long")
    await must_enqueue(redis, "echo", 1, _job_id="short", b=2, a={"c": [None]})
    await either([func(echo, name="echo")], max_jobs=1).main()
    shown = lines_of(caplog)
    assert f"→ long:echo('{'x' * 78}…)\n" in shown
    assert f"← long:echo ● '{'x' * 78}…\n" in shown
    assert "→ short:echo(1, a={'c': [None]}, b=2)\n" in shown


async def test_a_job_that_begins_late_says_how_late(
    either: MakeEither, redis: ArqRedis, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    await must_enqueue(redis, "answer", _job_id="j")
    await redis.zadd("arq:queue", {"j": now_ms() - 60_000})
    await either([answer]).main()
    assert "→ j:answer() delayed=" in lines_of(caplog)


async def test_an_exception_may_say_more(either: MakeEither, redis: ArqRedis, caplog: pytest.LogCaptureFixture) -> None:
    class Telling(ValueError):
        def extra(self) -> dict[str, int]:
            return {"code": 7}

    async def fail(ctx: Ctx) -> None:
        raise Telling

    await must_enqueue(redis, "fail")
    await either([func(fail, name="fail")]).main()
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.name == "arq.worker"
    assert record.__dict__["extra"] == {"code": 7}
    assert record.exc_info is not None
    assert record.exc_info[0] is Telling
