"""No value in Redis or PostgreSQL blinds an operator: what cannot be read is named, and the rest is shown."""

from __future__ import annotations

import json
from typing import Any

import pytest
from redis import Redis

from noteflow.infrastructure.queue import keys
from tests.acceptance.jobs_console import JobsConsole
from tests.integration.inspection.ground import WORKER, Ground
from tests.integration.inspection.hostile import BAD, KINDS, UNREAD, VALUES, payloads

READS: dict[str, tuple[str, ...]] = {
    "stats": (),
    "top": ("--frames", "1"),
    "ls": (),
    "workers": (),
    "show good": (),
    "show bad": ("--reveal", "--as", "ada"),
    "why good": (),
    "why bad": (),
    "tail": ("--looks", "1", "--since", "1h"),
    "acts": (),
    "dead ls": (),
    "dead show bad": (),
    "meeting": (),
}
"""The commands that only read, but for `check` and `reconcile`, which are no commands of `jobs`."""

FEW = ("stats", "ls", "workers", "show bad", "why good")
OF_A_JOB = ("show bad", "why bad", "dead show bad", "dead ls", "acts", "tail", "ls")
QUICK = {"a word", "digits", "raw", "a zset", "list of forms", "hash of raw"}
"""Of the values; the others are for those who have the time."""

SHOWS_GOOD = {"ls": "ingest_segments:", "show good": "It waits behind", "why good": "It waits behind"}


@pytest.fixture
def jobs(database_url: str, redis_url: str) -> JobsConsole:
    return JobsConsole(database_url, redis_url)


async def _seed(ground: Ground) -> str:
    """A good job, a good worker, and a place for the bad ones in the queue, the workers and the dead letters."""
    good = await ground.enqueue()
    await ground.worker()
    now_ms = (await ground.redis.time())[0] * 1000
    await ground.redis.zadd("arq:queue", {BAD: now_ms - 1_000})
    await ground.redis.zadd("arq:workers", {BAD: now_ms})
    await ground.redis.zadd("arq:dead:letters", {BAD: now_ms})
    return good


def test_every_key_that_is_not_the_engines_own_is_in_the_table() -> None:
    named = {
        value
        for name, value in vars(keys).items()
        if name.isupper() and isinstance(value, str) and name != "DEFAULT_QUEUE"
    } | {"arq:queue"}
    assert {name for name in named if not any(key.startswith(name) for key in KINDS)} == UNREAD


@pytest.mark.parametrize(
    "value", [each if each in QUICK else pytest.param(each, marks=pytest.mark.slow) for each in VALUES]
)
def test_every_command_reads_past_hostile_values_of_every_type(jobs: JobsConsole, value: str) -> None:
    """All keys but the queue's hold it at once."""
    good = jobs.arrange(_seed)
    kind, put = VALUES[value]
    unlike = [key for key in KINDS if key != "arq:queue"]

    async def spoil(ground: Ground) -> None:
        for key in unlike:
            if not (key in ("arq:workers", "arq:dead:letters") and kind != "zset"):
                if key not in ("arq:workers", "arq:dead:letters"):
                    await ground.redis.delete(key)
                await put(ground.redis, key)

    jobs.arrange(spoil)
    _check_all(jobs, good, tuple(READS), expects_unreadable=True)
    for name in ("check", "reconcile"):
        result = jobs.command(name)
        assert result.exception is None or isinstance(result.exception, SystemExit), (name, result.exc_info)
        assert result.exit_code in ((0, 1) if name == "check" else (0, 3, 4)), (name, result.output)
    for verb in ("retry", "cancel", "drop"):
        result = jobs.run(verb, BAD)
        assert result.exception is None or isinstance(result.exception, SystemExit), (verb, result.exc_info)
        assert result.exit_code in (0, 1, 3), (verb, result.output)


def test_reconcile_never_calls_a_queue_complete_that_it_cannot_read(jobs: JobsConsole, redis_admin: Redis) -> None:
    redis_admin.set("arq:queue", "abc")
    result = jobs.command("reconcile")
    assert result.exit_code == 3
    assert "unreadable: arq:queue: holds another type" in result.output
    assert "what could not be read was not examined" in result.output
    assert "Nothing is missing." not in result.output


@pytest.mark.parametrize("key", KINDS)
def test_a_key_of_another_type_costs_only_itself(jobs: JobsConsole, key: str, redis_admin: Redis) -> None:
    good = jobs.arrange(_seed)
    redis_admin.delete(key)
    if KINDS[key] == "set":
        redis_admin.set(key, "abc")
    else:
        redis_admin.sadd(key, "abc")
    told = _check_all(jobs, good, FEW, expects_unreadable=key not in ("arq:enqueued", "arq:dead:counts"),
                      without=tuple(SHOWS_GOOD) if key in ("arq:queue", "arq:workers") else ())  # fmt: skip
    if key != "arq:workers":
        assert WORKER in told["workers"]


@pytest.mark.parametrize("name", payloads())
def test_a_payload_that_cannot_be_shown_is_shown_in_part(jobs: JobsConsole, name: str, redis_admin: Redis) -> None:
    good = jobs.arrange(_seed)
    redis_admin.set(f"arq:job:{BAD}", payloads()[name])
    redis_admin.set(f"arq:result:{BAD}", payloads()[name])
    redis_admin.hset(f"arq:dead:letter:{BAD}", mapping={"body": payloads()[name], "died_ms": 1_000})
    _check_all(jobs, good, OF_A_JOB, expects_unreadable=False)
    for arguments in (("check", "--compat"), ("reconcile",), ("jobs", "dead", "replay", "--edit", BAD)):
        result = jobs.command(*arguments, EDITOR="true")
        assert result.exception is None or isinstance(result.exception, SystemExit), (arguments, result.exc_info)
        assert result.exit_code in (0, 1, 2, 4), (arguments, result.output)
        assert result.output.replace("\n", "").isprintable()


ROWS = {
    "letters": "INSERT INTO dead_letters (job_id, queue, kind, meeting_id, body, reason, errors, tries, crashes,"
    " worker, enqueued_at, died_at) VALUES ('bad', :raw, :raw, NULL, :body, :raw, CAST(:json AS jsonb), 1, 0, :raw,"
    " now(), now())",
    "ledger": "INSERT INTO job_ledger (job_id, kind, meeting_id, digest, outcome, detail, attempts, worker,"
    " enqueued_at, errors) VALUES ('bad', 'ingest_segments', '00000000-0000-4000-8000-000000000001', :raw, 'applied',"
    " CAST(:json AS jsonb), 2, :raw, now(), CAST(:json AS jsonb))",
    "acts": "INSERT INTO operator_acts (id, act, actor, job_id, target, note, acted_at)"
    " VALUES (gen_random_uuid(), :raw, :raw, 'bad', :raw, :raw, now())",
}
FAR_OFF = ("'4000-01-01 BC'", "'294000-01-01'")
ENDLESS = {
    "dead_letters": "UPDATE dead_letters SET enqueued_at = {}, died_at = {}",
    "job_ledger": "UPDATE job_ledger SET enqueued_at = {}, committed_at = {}",
    "operator_acts": "UPDATE operator_acts SET acted_at = {}",
    "meetings": "UPDATE meetings SET created_at = {}, started_at = {}, state = 'RECORDING', expected_batches = 2000000",
    "outbox": "UPDATE outbox SET created_at = {}, due_at = {}",
}


@pytest.mark.parametrize(
    "moment", ["'infinity'", "'-infinity'", *(pytest.param(each, marks=pytest.mark.slow) for each in FAR_OFF)]
)
def test_times_without_end_are_read_past(jobs: JobsConsole, moment: str) -> None:
    good = jobs.arrange(_seed)

    async def spoil(ground: Ground) -> None:
        await ground.store_meeting()
        await ground.ask_for(ground.change())
        await ground.store_ending(BAD)
        await ground.store_letter(BAD)
        await ground.sql("INSERT INTO operator_acts (id, act, actor, job_id, acted_at)"
                         " VALUES (gen_random_uuid(), 'drop', 'ada', 'bad', now())")  # fmt: skip
        for statement in ENDLESS.values():
            await ground.sql(statement.format(moment, moment))

    jobs.arrange(spoil)
    _check_all(jobs, good, (*OF_A_JOB, "stats", "meeting"), expects_unreadable=False)


FORMS = ['"text"', "7", "null", '{"a": 1}', "[1, null]", '[{"error": [], "message": {}, "at_ms": "x"}]',
         '[{"error": "e", "message": "m", "at_ms": 1e300, "attempt": "x", "worker": 5}]',
         '{"from": [], "to": {}, "stored": "x", "replaced": 1e300}', "[" * 900 + "]" * 900]  # fmt: skip


@pytest.mark.parametrize("form", FORMS, ids=range(len(FORMS)))
def test_rows_that_a_person_wrote_are_read_past(jobs: JobsConsole, form: str) -> None:
    good = jobs.arrange(_seed)

    async def spoil(ground: Ground) -> None:
        for statement in ROWS.values():
            more = {"raw": "\x1b]0;owned\x07\u202e", "json": form, "body": b"abc"}
            await ground.sql(statement, **{name: each for name, each in more.items() if f":{name}" in statement})

    jobs.arrange(spoil)
    _check_all(jobs, good, OF_A_JOB, expects_unreadable=False)


def _check_all(
    jobs: JobsConsole, good: str, names: tuple[str, ...], *, expects_unreadable: bool, without: tuple[str, ...] = ()
) -> dict[str, str]:
    told: dict[str, str] = {}
    for name in names:
        arguments = [*name.replace("good", good).split(), *READS[name]]
        if name == "meeting":
            arguments.append(good.split(":")[1])
        for as_json in (False, True) if names is not FEW else (False,):
            result = jobs.run(*arguments, *(["--json"] if as_json else []))
            assert result.exception is None or isinstance(result.exception, SystemExit), (name, result.exc_info)
            assert result.exit_code in (0, 1), (name, result.output)
            assert result.output.replace("\n", "").isprintable(), (name, ascii(result.output))
            if as_json and name != "tail":
                json.loads(result.stdout)
            else:
                told[name] = told.get(name, "") + result.output
        if name in SHOWS_GOOD and name not in without:
            assert result.exit_code == 0, (name, result.output)
            assert SHOWS_GOOD[name] in told[name], (name, told[name])
    if expects_unreadable:
        assert any("unreadable" in each for each in told.values()), told
    return told


def test_the_unreadable_is_named_where_it_is_looked_for(jobs: JobsConsole, redis_admin: Redis) -> None:
    good = jobs.arrange(_seed)
    redis_admin.set("arq:worker:bad", b"[" * 2_000)
    redis_admin.set(f"arq:retry:{good}", "9" * 5_000)
    redis_admin.hset("arq:outbox:lost", "at", "abc")
    workers = jobs.json("workers")
    assert [each["id"] for each in workers["workers"]] == [WORKER]
    assert {"place": "arq:worker:bad", "why": "JSON of another form"} in workers["unreadable"]
    assert "unreadable: arq:worker:bad: JSON of another form" in jobs.run("workers").stdout
    stats = jobs.json("stats")
    assert stats["workers"]["alive"] == 1
    assert {each["place"] for each in stats["unreadable"]} == {"arq:worker:bad", "arq:outbox:lost at"}
    (row,) = [each for each in jobs.json("ls")["rows"] if each["job_id"] == good]
    assert (row["tries"], row["detail"]) == (None, f"unreadable: arq:retry:{good} not a whole number")
    assert f"(unreadable: arq:worker:bad JSON of another form; arq:retry:{good} not a whole number)" in _why(jobs, good)
    shown: Any = jobs.json("show", good)
    assert shown["footprint"]["tries"] is None
    check = jobs.command("check").stdout
    assert "unreadable" in check
    assert "arq:worker:bad: JSON of another form" in check


def _why(jobs: JobsConsole, job_id: str) -> str:
    sentence: str = jobs.why(job_id)["sentence"]
    return sentence


def test_an_id_with_half_a_surrogate_pair_or_of_no_character_is_not_known(jobs: JobsConsole) -> None:
    for job_id in ("\\ud800", "\\U99999999", "\\x00", "a\x1b[31m"):
        result = jobs.run("show", job_id)
        assert result.exit_code in (1, 2), result.output
        assert result.exception is None or isinstance(result.exception, SystemExit)
        assert "\x1b" not in result.output
