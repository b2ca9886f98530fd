"""PostgreSQL comes back from an older copy: what producers say again is applied, once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.chaos.set_back import set_back_while_workers_run

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import OwnPostgres, OwnRedis


@pytest.mark.slow
async def test_what_is_said_again_after_postgresql_was_set_back_is_applied_once(
    own_postgres: OwnPostgres, own_redis: OwnRedis, tmp_path: Path
) -> None:
    verdict = await set_back_while_workers_run(own_postgres(), own_redis(), tmp_path)

    assert verdict.is_clean, verdict.crimes
    assert verdict.jobs == 40
