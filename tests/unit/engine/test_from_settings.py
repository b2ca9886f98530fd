"""A worker made of its settings, in Arq's way and in ours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import arq.worker
import pytest

from worker.engine import Options, Worker, create_worker


async def work(ctx: dict[Any, Any]) -> None: ...


async def begin(ctx: dict[Any, Any]) -> None: ...


class Settings:
    """As an application has them."""

    functions: ClassVar = [work]
    on_startup = begin
    max_jobs = 7
    handle_signals = False
    release = "2026.11"  # of no concern to the worker


class Heirs(Settings):
    """As an application has them for each of its queues."""

    queue_name = "arq:heirs"
    options = Options(lease_s=30)


Create = Callable[..., arq.worker.Worker]


WAYS: list[Any] = [arq.worker.create_worker, create_worker]


@pytest.fixture(params=WAYS, ids=["arq", "ours"])
def create(request: pytest.FixtureRequest) -> Create:
    made: Create = request.param
    return made


@pytest.mark.parametrize("settings", [Settings, dict(vars(Settings))], ids=["class", "dictionary"])
async def test_a_worker_has_the_attributes_of_its_settings(create: Create, settings: Any) -> None:
    worker = create(settings)
    assert (list(worker.functions), worker.on_startup, worker.max_jobs) == (["work"], begin, 7)


async def test_what_is_said_beside_the_settings_comes_before_them(create: Create) -> None:
    worker = create(Settings, burst=True, max_jobs=3)
    assert (worker.burst, worker.max_jobs) == (True, 3)


async def test_attributes_are_inherited_and_options_are_one_of_them() -> None:
    worker = create_worker(Heirs)
    assert isinstance(worker, Worker)
    assert (worker.queue_name, worker.max_jobs, worker.options.lease_s) == ("arq:heirs", 7, 30)
