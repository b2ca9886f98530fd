"""`python -m worker demo`."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from noteflow.domain.errors import NoteflowError
from worker.cli.progress import shown
from worker.cli.reading import read_settings
from worker.cli.terminal import console, echo
from worker.cli.unreachable import complaint
from worker.demo.fleet import FleetError
from worker.demo.stage import Options, run_demo
from worker.embedded import EmbeddedServerError
from worker.settings import Settings
from worker.transcripts import Transcript, read_transcript
from worker.transcripts.fitting import check_fits
from worker.transcripts.formats import ACCEPTED

EXIT_UNSOUND = 1
EXIT_CANNOT = 2
EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
_WIDTH_OF_A_LOG = 100


def demo(
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[FILE]…", help=f"Transcripts: {ACCEPTED}; the examples by default."),
    ] = None,
    seconds: Annotated[float, typer.Option(min=0.1, max=3600.0, help="How long the producer talks.")] = 5.0,
    kill: Annotated[bool, typer.Option(help="Kill a worker with SIGKILL halfway, and start another.")] = True,
) -> None:
    """Ingest transcripts with real workers and real servers, kill a worker halfway, and check every word.

    DATABASE_URL and REDIS_URL name servers to use; without them it starts its own. Ends with 1 if anything is
    lost, doubled, changed or out of order, with 2 if it could not be tried.
    """
    settings = read_settings()
    # A supervisor's or a CI's way to say Ctrl-C: what was started has to be cleared away then too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    options = Options(seconds, kill, _if_set(settings, "database_url"), _if_set(settings, "redis_url"))
    try:
        sound = run_demo(_transcripts(files), options, _console())
    except (NoteflowError, FleetError, EmbeddedServerError) as error:
        echo(f"demo: {complaint(error, settings, settings.model_fields_set)}", err=True)
        raise typer.Exit(EXIT_CANNOT) from None
    raise typer.Exit(0 if sound else EXIT_UNSOUND)


def _transcripts(files: list[Path] | None) -> list[Transcript]:
    samples = (path for path in EXAMPLES.iterdir() if path.suffix in (".vtt", ".srt", ".json"))
    with shown("demo: reading", "cues") as on_progress:
        transcripts = [read_transcript(path, on_progress) for path in files or sorted(samples)]
    for transcript in transcripts:
        check_fits(transcript)
    return transcripts


def _if_set(settings: Settings, name: str) -> str | None:
    """The URL from the environment, not the default, which nobody may be listening at."""
    return getattr(settings, name).get_secret_value() if name in settings.model_fields_set else None


def _console() -> Console:
    # A log has no width to ask for, and 80 columns would break the tables.
    return console(_WIDTH_OF_A_LOG, markup=True)
