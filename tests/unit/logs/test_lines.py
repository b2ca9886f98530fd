"""What a line looks like, whoever writes it."""

from __future__ import annotations

import asyncio
import gc
import logging

import pytest

from noteflow.domain.errors import RejectedByStorage
from tests.unit.logs.lines import configured, lines
from worker.logs import about, logger

CANARY = "the merger is called Bluebird"


def test_a_line_begins_with_time_level_and_action_and_has_what_is_bound(capsys: pytest.CaptureFixture[str]) -> None:
    with configured(worker="w1"):
        logger().info("worker.ready", queue="q")
        (line,) = lines(capsys)
    assert list(line)[:3] == ["timestamp", "level", "action"]
    assert line | {"timestamp": ""} == {
        "timestamp": "", "level": "info", "action": "worker.ready", "worker": "w1", "queue": "q",
    }  # fmt: skip


def test_a_foreign_line_has_the_same_shape(capsys: pytest.CaptureFixture[str]) -> None:
    with configured(worker="w1"):
        logging.getLogger("sqlalchemy.pool").error("lost %d", 3)
        (line,) = lines(capsys)
    assert (line["action"], line["level"], line["logger"]) == ("log.foreign", "error", "sqlalchemy.pool")
    assert (line["sentence"], line["worker"]) == ("lost 3", "w1")


async def test_lines_of_a_job_name_it_also_foreign_ones_and_those_of_another_task_do_not(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with configured():
        ids = {"job": "j1", "attempt": 0}

        async def job() -> None:
            about(ids)
            ids["attempt"] = 2
            logging.getLogger("worker.engine").warning("its lease was lost")

        await asyncio.create_task(job())
        logging.getLogger("worker.engine").warning("nothing of a job")
        of_job, other = lines(capsys)
    assert (of_job["job"], of_job["attempt"]) == ("j1", 2)
    assert "job" not in other


def refuse() -> None:
    try:
        int(CANARY)
    except ValueError as error:
        raise RejectedByStorage("PostgreSQL refuses the data") from error


@pytest.mark.parametrize("form", ["json", "console"])
def test_an_error_is_told_by_class_and_place_and_ours_also_by_its_words(
    form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with configured(form=form):  # type: ignore[arg-type]  # one of the two
        try:
            refuse()
        except RejectedByStorage as error:
            logger().error("outbox.failed", exc_info=error)
            logging.getLogger("sqlalchemy.pool").exception("lost")
        told = capsys.readouterr().out
    assert CANARY not in told
    assert told.count("PostgreSQL refuses the data") == 2
    assert told.count("builtins.ValueError") == 2
    assert "test_lines.py" in told


async def test_asyncio_does_not_tell_what_an_exception_said_that_nobody_fetched(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async def fails() -> None:
        raise ValueError(CANARY)

    with configured():
        task = asyncio.create_task(fails())
        await asyncio.wait([task])
        del task
        gc.collect()
        (line,) = lines(capsys)
    assert (line["logger"], line["sentence"]) == ("asyncio", "Task exception was never retrieved")
    assert CANARY not in repr(line)
    assert line["raised"][0]["error"] == "builtins.ValueError"


@pytest.mark.parametrize("form", ["json", "console"])
def test_no_line_steers_a_terminal_or_pretends_to_be_two(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    with configured(form=form):  # type: ignore[arg-type]  # one of the two
        logger().warning("job.retried", job="\x1b]0;owned\x07\u202e\r\nforged", reason="\x9b31m")
        logging.getLogger("arq").error("lost \x1b[31m%s", "\x7f")
        told = capsys.readouterr().out
    assert told.count("\n") == 2
    assert told.replace("\n", "").isprintable()
