"""Who has jobs run again hears that one that was refused may die again, and that a pause keeps one from running."""

from __future__ import annotations

import json

import pytest

from noteflow.infrastructure.queue.codec import serialize
from noteflow.infrastructure.queue.wire import VERSION_FIELD
from tests.acceptance.jobs_console import JobsConsole
from tests.integration.inspection.ground import Ground

HELPS_ONLY = "a replay helps only if its payload, or what it contradicts, is mended first → python -m worker jobs why"
REASONS = {
    "one": "refused: wrong",
    "two": "refused: wrong as well",
    "\x1b[1mthree": "refused: by an id that would colour a terminal",
    "bug": "bug: KeyError",
    "newer": f"refused: {VERSION_FIELD}: 1 is the newest that this worker knows",
}

Verb = tuple[str, ...]
VERBS: list[Verb] = [("retry",), ("dead", "replay")]


@pytest.fixture
def jobs(database_url: str, redis_url: str) -> JobsConsole:
    """The commands, on servers with dead letters."""

    async def arranged(ground: Ground) -> None:
        newer = ground.payload()
        newer["k"][VERSION_FIELD] = 99
        await ground.redis.set("arq:job:newer", serialize(newer))
        for job_id, reason in REASONS.items():
            await ground.store_letter(job_id, reason)
        await ground.redis.delete("arq:job:newer")

    console = JobsConsole(database_url, redis_url)
    console.arrange(arranged)
    return console


@pytest.mark.parametrize(
    ("job_id", "what"),
    [
        ("one", f"asked for again; {HELPS_ONLY} one"),
        ("bug", "asked for again"),
        ("newer", "asked for again"),  # it depends on the workers
    ],
)
@pytest.mark.parametrize("form", ["eyes", "json"])
@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
def test_one_replay_is_done_and_says_whether_it_may_help(
    jobs: JobsConsole, verb: Verb, job_id: str, what: str, form: str
) -> None:
    if form == "json":
        assert jobs.json(*verb, job_id) == [{"job_id": job_id, "done": True, "what": what}]
        return
    answer = jobs.run(*verb, job_id)
    assert (answer.exit_code, answer.stdout, answer.stderr) == (0, f"done   {job_id}   {what}\n", "")


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
def test_of_many_it_is_said_once_with_their_number_before_anybody_is_asked(jobs: JobsConsole, verb: Verb) -> None:
    note = f"note: 3 of them were refused, and {HELPS_ONLY} ID\n"
    asked = jobs.run(*verb, "--since", "1h")
    assert asked.exit_code == 2
    assert asked.stderr.startswith(note)
    done = jobs.run(*verb, "--since", "1h", "--yes")
    assert (done.exit_code, done.stderr) == (0, note)
    assert HELPS_ONLY not in done.stdout


@pytest.mark.parametrize(
    ("job_ids", "note"),
    [
        (("one", "two", "bug"), f"note: 2 of them were refused, and {HELPS_ONLY} ID\n"),
        (("one", "newer"), f"note: 1 of them was refused, and {HELPS_ONLY} ID\n"),
        (("bug", "newer"), ""),
    ],
)
@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
def test_of_many_named_by_their_ids_it_is_said_once_as_well(
    jobs: JobsConsole, verb: Verb, job_ids: tuple[str, ...], note: str
) -> None:
    answer = jobs.run(*verb, *job_ids)
    assert (answer.exit_code, answer.stderr) == (0, note)
    assert answer.stdout == "".join(f"done   {job_id}   asked for again\n" for job_id in job_ids)


def test_to_programs_it_is_said_of_each_and_who_drops_or_fails_hears_nothing_of_it(jobs: JobsConsole) -> None:
    assert HELPS_ONLY not in jobs.run("dead", "drop", "two").output
    told = json.loads(jobs.run("dead", "replay", "one", "two", "bug", "--json").stdout)
    assert {each["job_id"]: (each["done"], HELPS_ONLY in each["what"]) for each in told} == {
        "one": (True, True), "two": (False, False), "bug": (True, False),
    }  # fmt: skip


def test_an_id_that_no_terminal_should_be_sent_is_shown_escaped(jobs: JobsConsole) -> None:
    answer = jobs.run("dead", "replay", "\x1b[1mthree")
    assert answer.stdout == f"done   \\x1b[1mthree   asked for again; {HELPS_ONLY} \\x1b[1mthree\n"


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
def test_that_a_pause_keeps_them_from_running_is_said_too(jobs: JobsConsole, verb: Verb) -> None:
    jobs.run("pause", "kind", "ingest_segments", "--reason", "a drill", "--anyway")
    resume = "python -m worker jobs resume kind ingest_segments"
    paused = "kind ingest_segments is paused, and no worker begins"
    assert jobs.json(*verb, "bug")[0]["what"] == f"asked for again; but its {paused} it before: {resume}"
    (one,) = jobs.json(*verb, "one")
    assert one["what"] == f"asked for again; but its {paused} it before: {resume}; {HELPS_ONLY} one"
    answer = jobs.run(*verb, "two", "newer")
    assert answer.stderr == (
        f"note: 1 of them was refused, and {HELPS_ONLY} ID\nnote: 2 of them wait: the {paused} them before: {resume}\n"
    )
