"""`python -m worker jobs …`: see what waits, runs and failed, and put it right."""

from __future__ import annotations

import typer

from worker.cli.jobs import act, acts, dead, ls, meeting, pausing, show, stats, tail, top, why, workers


def create_jobs_app() -> typer.Typer:
    """`python -m worker jobs …`, with every command."""
    app = typer.Typer(
        help="See what waits, runs and failed, and why; retry, cancel, drop, pause.", no_args_is_help=True
    )
    app.command("stats")(stats.stats)
    app.command("top")(top.top)
    app.command("ls")(ls.ls)
    app.command("show")(show.show)
    app.command("why")(why.why)
    app.command("meeting")(meeting.meeting)
    app.command("workers")(workers.workers)
    app.command("tail")(tail.tail)
    app.command("retry")(act.retry)
    app.command("cancel")(act.cancel)
    app.command("drop")(act.drop)
    app.command("pause")(pausing.pause)
    app.command("resume")(pausing.resume)
    app.command("acts")(acts.acts)
    app.add_typer(dead.create_dead_app(), name="dead")
    return app
