"""Name every Redis key there is: its type, its life, and who writes it.

The first block is Arq's own, unchanged, so that stock Arq producers, clients and workers share a queue with ours.
The second block is ours. Nothing else in Redis belongs to NoteFlow. Ids are unique per Redis database, not per queue.

==========================  ======  ==========================================  ==================================
key                         type    life                                        written by
==========================  ======  ==========================================  ==================================
``arq:queue``, …            zset    for ever; member job id, score due time     producer adds; claim parks the
                            (ms)    in unix ms, while claimed the lease's end   score; retry re-scores; end removes
``arq:job:<id>``            string  until the job ends (stock producers: 24 h   producer; a claim takes the end off
                                    after it is due, unless claimed by then)    its life; the job's end deletes it
``arq:in-progress:<id>``    string  the lease, renewed while the job runs;      claim (SET NX); renewed from the
                                    a cron job's stays 60 s after its end;      worker's lease thread; end deletes
                                    worker id and unix ms of the claim, with
                                    ``ended:`` before it after the end
``arq:retry:<id>``          string  24.5 h after the last try; number of        a retry; stock workers at each
                                    tries that count, 0 if there are only       start; the end deletes it
                                    errors to be told of
``arq:result:<id>``         string  ``keep_result`` (1 h), or for ever          end of a job
``arq:abort``               zset    until the job ends, or 1–2 min if it has    ``Job.abort()``
``<queue>:health-check``    string  ``health_check_interval`` + 1 s             every worker of the queue, the
                                                                                last one to stop deletes it
--------------------------  ------  ------------------------------------------  ----------------------------------
``arq:leases:<queue>``      zset    until none of the queue's jobs is held;     as ``arq:in-progress:<id>``: ours
                                    member job id, score the parked score       only, not those of stock workers
``arq:holders:<queue>``     hash    as ``arq:leases:<queue>``; job id → token   claim; the endings delete
                                    of our latest claim, until it is ended,
                                    also when its lease has run out
``arq:shelves:<queue>``     hash    while a job may be on one; paused function  claim; hand-back of a job whose
                                    → number of its shelf, a band of scores in  function is paused
                                    the queue that is due for nobody
``arq:errors:<id>``         list    as ``arq:retry:<id>``; JSON, one an         a retry or hand-back with an
                                    attempt, newest last, at most 20            error; the end deletes it
``arq:crashes:<id>``        string  as ``arq:retry:<id>``; lapsed leases of     claim of a job whose lease ended
                                    the job that count, see                     unfinished; the end deletes it
                                    ``claim_quarantine.lua``
``arq:quarantine``          hash    24.5 h after the last claim of a job in     claim; the worker's next claim or
                                    quarantine; worker → id of the job that it  its stop deletes its field
                                    runs alone, also after the worker is lost
``arq:quarantine:turn``     string  30 s; the worker that claims nothing until  claim that met a job in quarantine
                                    it is empty, for a job in quarantine        while its worker had others
``arq:unknown:<id>``        string  twice the grace; unix ms when a worker      release of a job whose function is
                                    first could not run the job                 unknown here, or that is a pickle
                                                                                where those are refused
``arq:handed-back:<id>``    hash    as ``arq:retry:<id>``, also after the       hand-back at no cost; deleted
                                    job's end; for each reason how often        when the id is enqueued anew
                                    (``n:``), last when (``at:``, unix ms)
                                    and by which worker (``by:``)
``arq:dead:letter:<id>``    hash    until replayed, dropped or moved to         ``bury.lua``, in the call that
                                    PostgreSQL                                  removes the job
``arq:dead:letters``        zset    for ever; member job id, score when it      as the letter
                                    died in unix ms
``arq:dead:counts``         hash    for ever; ``buried``, ``evicted``,          as the letter; replay; drop; mover
                                    ``replayed``, ``dropped``, ``moved``
``arq:set-aside``           hash    for ever; key → how often another type      the script that met it
                                    stood where a key of the second block
                                    belongs, or a field of it was no number
``arq:set-aside:<key>``     any     a week; what stood there                    as ``arq:set-aside``
``arq:worker:<worker>``     string  three beats; JSON record of one process     the worker's lease thread
``arq:workers``             zset    for ever; member worker id, score its last  the worker's lease thread
                                    beat in unix ms; the stale are pruned
``arq:cron:<id>``           string  a day; one tick of one cron job was         the worker that enqueued the tick
                                    enqueued
``arq:keeper``              string  an hour; somebody keeps waiting bodies      one worker of the fleet
                                    alive
``arq:outbox:mark``         string  for ever; the run id of the Redis it was    the relay of any worker
                                    left in: another, or none, says that
                                    jobs may have been lost
``arq:outbox:lost``         hash    an hour; ``at`` (unix ms) a relay noticed   as the mark
                                    that Redis had lost data, ``jobs`` of the
                                    outbox looked at again since
``arq:postgresql:mark``     hash    for ever; database id → counter and         the relay of any worker
                                    identity of the server as they were last:
                                    with a lower counter, or another server,
                                    PostgreSQL may have lost commits
``arq:postgresql:lost``     hash    a day; ``at`` (unix ms) a relay noticed     as the mark
                                    that PostgreSQL had lost commits made
                                    after ``since`` (unix ms), ``results``
                                    forgotten and ``jobs`` of the outbox
                                    looked at again because of it
``arq:enqueued``            hash    for ever; function → jobs put into Redis    ``enqueue.lua``, ``dispatch.lua``
``arq:probe``               string  a second                                    a worker's ``/readyz``, to see
                                                                                whether it can write
``arq:paused``              hash    until resumed; ``queue:<name>`` or          an operator; the relay of any
                                    ``function:<name>`` → reason, or JSON of    worker, if Redis has lost it
                                    reason, actor and time
``arq:acts``                list    until moved to PostgreSQL; JSON, one an     an operator's command
                                    act of an operator, newest last
==========================  ======  ==========================================  ==================================
"""

from __future__ import annotations

from typing import Final

DEFAULT_QUEUE: Final = "arq:queue"
ABORT: Final = "arq:abort"
JOB_PREFIX: Final = "arq:job:"
IN_PROGRESS_PREFIX: Final = "arq:in-progress:"
RETRY_PREFIX: Final = "arq:retry:"
RESULT_PREFIX: Final = "arq:result:"
HEALTH_CHECK_SUFFIX: Final = ":health-check"

SHELVES_PREFIX: Final = "arq:shelves:"
LEASES_PREFIX: Final = "arq:leases:"
HOLDERS_PREFIX: Final = "arq:holders:"
ERRORS_PREFIX: Final = "arq:errors:"
CRASHES_PREFIX: Final = "arq:crashes:"
QUARANTINE: Final = "arq:quarantine"
QUARANTINE_TURN: Final = "arq:quarantine:turn"
UNKNOWN_PREFIX: Final = "arq:unknown:"
HANDED_BACK_PREFIX: Final = "arq:handed-back:"
DEAD_LETTER_PREFIX: Final = "arq:dead:letter:"
DEAD_LETTERS: Final = "arq:dead:letters"
DEAD_COUNTS: Final = "arq:dead:counts"
WORKER_PREFIX: Final = "arq:worker:"
WORKERS: Final = "arq:workers"
SET_ASIDE: Final = "arq:set-aside"
SET_ASIDE_PREFIX: Final = "arq:set-aside:"
CRON_PREFIX: Final = "arq:cron:"
KEEPER: Final = "arq:keeper"
PAUSED: Final = "arq:paused"
ACTS: Final = "arq:acts"
ENQUEUED: Final = "arq:enqueued"
PROBE: Final = "arq:probe"
OUTBOX_MARK: Final = "arq:outbox:mark"
OUTBOX_LOST: Final = "arq:outbox:lost"
POSTGRESQL_MARK: Final = "arq:postgresql:mark"
POSTGRESQL_LOST: Final = "arq:postgresql:lost"

SHELVES: Final = 50
SHELVES_FROM_MS: Final = 10**15
"""From here on a score in a queue may be a place on the shelf of a paused function, as in ``shelf.lua``.

It is beyond the year 9999, which is the last that a producer can name, and below 2**52, up to where a score keeps its
half.
"""

SHELF_WIDTH_MS: Final = 4 * 10**13

RETRY_LIFE_S: Final = 88_400
"""Arq's own figure for the life of ``arq:retry:<id>``, kept so that mixed fleets agree."""


def job(job_id: str) -> str:
    """Name the key of a job's body."""
    return JOB_PREFIX + job_id


def in_progress(job_id: str) -> str:
    """Name the key of a job's lease; its value is the owner's token."""
    return IN_PROGRESS_PREFIX + job_id


def retry(job_id: str) -> str:
    """Name the key of a job's number of tries."""
    return RETRY_PREFIX + job_id


def result(job_id: str) -> str:
    """Name the key of a job's result."""
    return RESULT_PREFIX + job_id


def health_check(queue: str) -> str:
    """Name the key of a queue's line of health, which ``arq --check`` reads."""
    return queue + HEALTH_CHECK_SUFFIX


def errors(job_id: str) -> str:
    """Name the key of the errors of a job's earlier attempts."""
    return ERRORS_PREFIX + job_id


def crashes(job_id: str) -> str:
    """Name the key of the number of workers that died running a job."""
    return CRASHES_PREFIX + job_id


def unknown(job_id: str) -> str:
    """Name the key that says since when a job's function is unknown."""
    return UNKNOWN_PREFIX + job_id


def handed_back(job_id: str) -> str:
    """Name the key that counts how often a job was handed back, and why."""
    return HANDED_BACK_PREFIX + job_id


def dead_letter(job_id: str) -> str:
    """Name the key of a dead letter."""
    return DEAD_LETTER_PREFIX + job_id


def worker(worker_id: str) -> str:
    """Name the key of a worker's record."""
    return WORKER_PREFIX + worker_id


def cron_tick(job_id: str) -> str:
    """Name the key that marks one tick of a cron job as enqueued."""
    return CRON_PREFIX + job_id
