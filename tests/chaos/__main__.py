"""`make chaos`: exit code 0 if nothing was lost, doubled, torn or out of order."""

from __future__ import annotations

import argparse
import asyncio
import secrets
import tempfile
from pathlib import Path

from rich.console import Console

from tests.chaos.display import Display, show_plan, show_report
from tests.chaos.plan import SWITCHES, make_plan
from tests.chaos.run import COMMANDS_A_SECOND, NAIVE, PRODUCT, Progress, run_chaos
from tests.conftest import SETTINGS
from tests.databases import Databases
from worker.embedded import EmbeddedPostgres, EmbeddedRedis


def main() -> int:
    parser = argparse.ArgumentParser(prog="make chaos", description="Break everything while three workers work.")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10_000), help="default: a new one, printed")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long faults happen (60)")
    parser.add_argument("--naive", action="store_true", help="over handlers that must not pass")
    parser.add_argument("--keep", type=Path, help="a new folder for the records: witness, acknowledged, log")
    parser.add_argument("--with", dest="switches", action="append", default=[], choices=[*SWITCHES, "all"],
                        help="more faults, by name; may be given several times")  # fmt: skip
    parser.add_argument("--only", action="store_true", help="the faults of --with and no others")
    options = parser.parse_args()
    if options.only and not options.switches:
        parser.error("--only needs --with")
    switches = set(SWITCHES) if "all" in options.switches else set(options.switches)

    console = Console()
    plan = make_plan(options.seed, options.seconds, switches=switches, only=options.only)
    show_plan(console, plan)
    with (
        tempfile.TemporaryDirectory(prefix="noteflow-") as temporary,
        EmbeddedPostgres(settings=SETTINGS) as postgres,
        EmbeddedRedis(append_only=True, settings={"appendfsync": "always"}) as redis,
        Display(console, round(COMMANDS_A_SECOND * plan.seconds)) as display,
    ):
        folder = options.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        with Databases(postgres) as databases:
            databases.create_migrated()
        module = NAIVE if options.naive else PRODUCT
        progress = Progress(told=display.tell, advanced=display.advance)
        report = asyncio.run(run_chaos(plan, module, postgres, redis, folder, progress))
    show_report(console, report)
    return 0 if report.verdict.is_clean else 1


if __name__ == "__main__":
    raise SystemExit(main())
