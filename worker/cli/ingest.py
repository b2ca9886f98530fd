"""`python -m worker ingest`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import islice
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

from noteflow.domain.commands import ChangeMeetingState, Command, IngestSegments
from noteflow.domain.entities import Meeting
from noteflow.domain.errors import MeetingNotFound, NoteflowError, Refused, Unavailable
from noteflow.domain.value_objects import MeetingId, MeetingState
from noteflow.infrastructure.persistence.engine import create_engine, create_session_factory
from noteflow.infrastructure.persistence.pooler import refuse_pooler
from noteflow.infrastructure.persistence.unit_of_work import SqlAlchemyUnitOfWork
from noteflow.infrastructure.queue.answers import Enqueued
from noteflow.infrastructure.queue.client import JobClient
from worker.cli.jobs.frame import EXIT_AWAY
from worker.cli.progress import shown
from worker.cli.reading import read_settings
from worker.cli.terminal import echo
from worker.cli.unreachable import complaint
from worker.settings import Settings
from worker.transcripts import Transcript, read_transcript
from worker.transcripts.fitting import check_fits
from worker.transcripts.formats import ACCEPTED
from worker.transcripts.progress import OnProgress
from worker.transcripts.segments import batches_of

EXIT_FAILED = 1
EXIT_REFUSED = 2
_STATES = (MeetingState.RECORDING, MeetingState.STOPPING, MeetingState.STOPPED, MeetingState.COMPLETED)
_COMMANDS_AT_A_TIME = 10


def ingest(
    file: Annotated[Path, typer.Argument(help=f"A transcript: {ACCEPTED}.")],
    title: Annotated[str | None, typer.Option(help="The meeting's title; by default the file's.")] = None,
    meeting: Annotated[UUID | None, typer.Option(help="A meeting that exists; by default it is created.")] = None,
) -> None:
    """Enqueue a transcript as a finished meeting, for workers that run elsewhere to store.

    DATABASE_URL, REDIS_URL and QUEUE_NAME say where. Saying it again with the same --meeting is safe, and what helps
    if Redis lost its data since. Ends with 2 if the file or the meeting is refused, before anything is stored; with 3
    if a server is away. docs/transcripts.md lists what is kept of each format, and what to do about a file of another.
    """
    settings = read_settings()
    try:
        with shown("ingest: reading", "cues") as on_progress:
            transcript = read_transcript(file, on_progress)
        with shown("ingest: checking", "segments") as on_progress:
            check_fits(transcript, on_progress)
        asyncio.run(_ingest(settings, transcript, title or transcript.title, meeting))
    except NoteflowError as error:
        echo(f"ingest: {complaint(error, settings)}", err=True)
        raise typer.Exit(_exit_code(error)) from None


def _exit_code(error: NoteflowError) -> int:
    if isinstance(error, Refused | MeetingNotFound):
        return EXIT_REFUSED
    return EXIT_AWAY if isinstance(error, Unavailable) else EXIT_FAILED


async def _ingest(settings: Settings, transcript: Transcript, title: str, existing: UUID | None) -> None:
    meeting_id = await _found(settings, existing) if existing is not None else await _create(settings, title)
    echo(f"meeting {meeting_id}")
    try:
        with shown("ingest: enqueueing", "segments") as on_progress:
            jobs, any_new = await _enqueue(settings, transcript, meeting_id, on_progress)
    except NoteflowError:
        # It exists by now, and saying the command again as it was would create another.
        echo(f"ingest: to go on, say it again with --meeting {meeting_id}", err=True)
        raise
    if any_new:
        echo(f"{len(transcript.segments)} segments and {len(_STATES)} changes of state enqueued as {jobs} jobs")
    else:
        echo(f"nothing new: all {jobs} jobs are known already")


async def _enqueue(
    settings: Settings, transcript: Transcript, meeting_id: MeetingId, on_progress: OnProgress
) -> tuple[int, bool]:
    """Enqueue everything, a few commands at a time; say how many jobs that is and whether any of them was new."""
    jobs, sent, any_new = 0, 0, False
    async with JobClient.from_url(settings.redis_url.get_secret_value(), queue_name=settings.queue_name) as client:
        commands = _commands(transcript, meeting_id)
        while together := list(islice(commands, _COMMANDS_AT_A_TIME)):
            answers = await client.enqueue_many(together)
            jobs += sum(len(answer.job_ids) for answer in answers)
            any_new = any_new or any(isinstance(answer, Enqueued) for answer in answers)
            sent += sum(len(command.segments) for command in together if isinstance(command, IngestSegments))
            on_progress(sent, len(transcript.segments))
    return jobs, any_new


async def _create(settings: Settings, title: str) -> MeetingId:
    async with _unit_of_work(settings) as uow:
        meeting = await uow.meetings.create(Meeting.create(title=title))
        await uow.commit()
        return meeting.id


async def _found(settings: Settings, meeting_id: UUID) -> MeetingId:
    async with _unit_of_work(settings) as uow:
        if await uow.meetings.get(MeetingId(meeting_id)) is None:
            raise MeetingNotFound(meeting_id)
    return MeetingId(meeting_id)


@asynccontextmanager
async def _unit_of_work(settings: Settings) -> AsyncIterator[SqlAlchemyUnitOfWork]:
    engine = create_engine(settings.database_url.get_secret_value(), pool_size=2, application_name="noteflow-ingest")
    try:
        await refuse_pooler(engine)  # the workers could do nothing with what would be enqueued
        async with SqlAlchemyUnitOfWork(create_session_factory(engine), settings.meetings_dir) as uow:
            yield uow
    finally:
        await engine.dispose()


def _commands(transcript: Transcript, meeting_id: MeetingId) -> Iterator[Command]:
    recording, *endings = (
        ChangeMeetingState(meeting_id, state, sequence) for sequence, state in enumerate(_STATES, start=1)
    )
    yield recording
    for batch in batches_of(transcript, meeting_id):
        yield IngestSegments(meeting_id, batch)
    yield from endings
