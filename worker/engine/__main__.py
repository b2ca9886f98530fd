"""Run a worker as Arq's command does: ``python -m worker.engine app.WorkerSettings`` for ``arq app.WorkerSettings``."""

from __future__ import annotations

import logging.config
import sys
from typing import Any

import click
from arq.logs import default_log_config
from arq.utils import import_string

from worker.engine.from_settings import check_health, run_worker
from worker.engine.log_stream import queue_handlers


@click.command("python -m worker.engine")
@click.argument("worker-settings")
@click.option("--burst/--no-burst", default=None, help="End once no job is left.")
@click.option("--check", is_flag=True, help="End with 0 if a worker of the queue is alive, with 1 if not.")
@click.option("-v", "--verbose", is_flag=True, help="Log at DEBUG.")
@click.option("--custom-log-dict", help="Import path of a dictionary for logging.config.dictConfig.")
def main(*, worker_settings: str, burst: bool | None, check: bool, verbose: bool, custom_log_dict: str | None) -> None:
    """Run jobs by WORKER_SETTINGS, the import path of a class or a dictionary with a worker's arguments."""
    settings = import_string(worker_settings)
    logging.config.dictConfig(import_string(custom_log_dict) if custom_log_dict else _log_config(verbose))
    queue_handlers()
    if check:
        sys.exit(check_health(settings))
    run_worker(settings, **({} if burst is None else {"burst": burst}))


def _log_config(verbose: bool) -> dict[str, Any]:
    config = default_log_config(verbose)
    config["loggers"]["worker.engine"] = config["loggers"]["arq"]
    return config


if __name__ == "__main__":
    main()
