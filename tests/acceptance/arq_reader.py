"""A service that has Arq and none of our code: says what the result of its job raises.

usage: python -m tests.acceptance.arq_reader REDIS_URL JOB_ID
"""

from __future__ import annotations

import asyncio
import sys

from arq import create_pool
from arq.connections import RedisSettings
from arq.jobs import Job


async def main(url: str, job_id: str) -> None:
    pool = await create_pool(RedisSettings.from_dsn(url))
    try:
        await Job(job_id, pool).result(timeout=10)
    except Exception as error:
        print(type(error).__name__, error)
    finally:
        await pool.aclose(close_connection_pool=True)


if __name__ == "__main__":
    for ours in ("worker", "noteflow", "jobs"):
        sys.modules[ours] = None  # type: ignore[assignment]  # so that nobody can import it, nor a pickle name it
    asyncio.run(main(*sys.argv[1:]))
