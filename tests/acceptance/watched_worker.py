"""The odd worker, which also writes down each file that it opens and each module that it imports.

usage: python -m tests.acceptance.watched_worker …      as `python -m worker …`
       arq tests.acceptance.watched_worker.WorkerSettings

They go to the file WATCH_LOG, a line each, as they happen; what needs no file, as a descriptor or a built-in module, is
left out.
"""

from __future__ import annotations

import os
import sys
from typing import Any

WATCHED = frozenset({"open", "import", "os.listdir", "os.scandir"})


def watch() -> None:
    """From here on, for as long as the process lives."""
    log = os.open(os.environ["WATCH_LOG"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def note(event: str, arguments: tuple[Any, ...]) -> None:
        if event in WATCHED and not isinstance(arguments[0], int) and arguments[0] not in sys.builtin_module_names:
            os.write(log, f"{event} {arguments[0]}\n".encode())

    sys.addaudithook(note)


watch()


def __getattr__(name: str) -> Any:
    import tests.acceptance.odd_worker

    return getattr(tests.acceptance.odd_worker, name)  # `WorkerSettings`, made when it is asked for


if __name__ == "__main__":
    import tests.acceptance.odd_worker  # noqa: F401  # its handlers take the place of the project's
    from worker.cli import create_app

    create_app()()
