"""The page of docs/ tells the names that programs get."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from typer.main import get_command

from tests.unit.ops.files import ROOT
from worker.cli.jobs import create_jobs_app
from worker.inspection.acted import ActTold
from worker.inspection.acts import Act
from worker.inspection.blocking import Blocker
from worker.inspection.checks import Finding
from worker.inspection.depths import QueueDepth
from worker.inspection.endings import EndingTold
from worker.inspection.fleet import Fleet, WorkerRecord
from worker.inspection.footprint import Footprint, HandedBack, KeptResult, Place
from worker.inspection.job import JobFacts, LedgerRow, OutboxRow
from worker.inspection.leases import Lease
from worker.inspection.letters import AttemptTold, Letter
from worker.inspection.listing import JobRow, Listing
from worker.inspection.loss import RedisLoss
from worker.inspection.meeting import Batches, MeetingView
from worker.inspection.pauses import Pause
from worker.inspection.payloads import Envelope
from worker.inspection.records import MeetingFreshness, Meetings, Rates
from worker.inspection.set_back import PostgresLoss
from worker.inspection.stats import FleetSummary, Stats
from worker.inspection.why import Why

PAGE = (ROOT / "docs" / "inspection.md").read_text()
MODELS: dict[str, Any] = {
    "stats, top": Stats,
    "… queues[]": QueueDepth,
    "… workers": FleetSummary,
    "… redis_lost": RedisLoss,
    "… postgresql_lost": PostgresLoss,
    "… pauses[]": Pause,
    "… rates": Rates,
    "… meetings": Meetings,
    "… blockers[]": Blocker,
    "… … freshest, stalest": MeetingFreshness,
    "ls, dead ls": Listing,
    "… rows[]": JobRow,
    "why": Why,
    "show": JobFacts,
    "… footprint": Footprint,
    "… … place": Place,
    "… … lease": Lease,
    "… … result": KeptResult,
    "… … attempts[], also of letters": AttemptTold,
    "… … handed_back[]": HandedBack,
    "… envelope": Envelope,
    "… ledger[]": LedgerRow,
    "… outbox": OutboxRow,
    "dead show, … letters[]": Letter,
    "meeting": MeetingView,
    "… batches": Batches,
    "workers": Fleet,
    "… workers[]": WorkerRecord,
    "tail": EndingTold,
    "retry, cancel, drop, dead replay, dead drop": ActTold,
    "acts": Act,
    "check": Finding,
}


@pytest.mark.parametrize("command", MODELS)
def test_the_page_has_the_names_of_every_answer(command: str) -> None:
    names = ", ".join(f"`{each.name}`" for each in dataclasses.fields(MODELS[command]) if each.name != "body")
    expected = f"| {command} | {names} |"
    assert expected in PAGE, f"docs/inspection.md lacks the row:\n{expected}"


def test_the_page_names_every_command() -> None:
    commands = get_command(create_jobs_app()).commands  # type: ignore[attr-defined]  # a group's
    assert [name for name in commands if f"jobs {name}" not in PAGE and f"`{name}`" not in PAGE] == []


def test_every_command_answers_programs_too() -> None:
    group: Any = get_command(create_jobs_app())
    commands = {**group.commands, **{f"dead {name}": each for name, each in group.commands["dead"].commands.items()}}
    del commands["dead"]
    lacking = [
        name for name, each in commands.items() if not any("--json" in parameter.opts for parameter in each.params)
    ]
    assert lacking == []
