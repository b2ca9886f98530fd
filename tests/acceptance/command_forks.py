"""Run many commands of the command line, each in a forked process with streams of its own, after one import.

Started as `python command_forks.py`, with a list of runs as JSON on standard input; answers with a list of what came
of them. A fork costs milliseconds where an interpreter costs most of a second.
"""

from __future__ import annotations

import importlib
import json
import os
import runpy
import sys
import tempfile
import traceback
from typing import Any

AT_A_TIME = 4
READER_GONE, FULL, CLOSED, ALL = "reader gone", "full disk", "closed", "all is read"


def main() -> None:
    """Answer one request."""
    runs: list[dict[str, Any]] = json.load(sys.stdin)
    for name in ("jobs", "check", "reconcile", "prune", "ingest", "demo", "settings", "migrate"):
        importlib.import_module(f"worker.cli.{name}")
    json.dump([answer for begin in range(0, len(runs), AT_A_TIME) for answer in together(runs[begin:][:AT_A_TIME])],
              sys.stdout)  # fmt: skip


def together(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Run some at a time."""
    children = [start(run) for run in runs]
    return [wait(*child) for child in children]


def start(run: dict[str, Any]) -> tuple[int, Any, Any, Any]:
    """Fork one; its process id, the end of the pipe that it writes to, and the files that it writes to."""
    out, err = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115  # closed by `wait`
    ours: int | None
    ours, theirs = os.pipe()
    pid = os.fork()
    if pid:
        os.close(theirs)
        if run["stdout"] == READER_GONE:
            os.close(ours)  # before the first line, which is the hardest
            ours = None
        return pid, ours, out, err
    try:
        code = inside(run, theirs, out.fileno(), err.fileno())
    except BaseException:
        os.write(err.fileno(), traceback.format_exc().encode())
        code = 255
    os._exit(code)


def inside(run: dict[str, Any], pipe: int, out: int, err: int) -> int:
    """Be the process of one command."""
    full = os.open("/dev/full", os.O_WRONLY)
    place = {READER_GONE: pipe, FULL: full, CLOSED: None, ALL: out}[run["stdout"]]
    os.dup2(err, 2)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    if place is not None:
        os.dup2(place, 1)
    os.closerange(3, 64)
    # As the interpreter makes them of what it finds: a closed descriptor has none.
    sys.stdin = None if run["stdin"] == CLOSED else open(0, closefd=False)  # noqa: SIM115
    sys.stdout = None if place is None else open(1, "w", encoding=run["encoding"], closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding=run["encoding"], errors="backslashreplace", closefd=False)  # noqa: SIM115
    if run["stdin"] == CLOSED:
        os.close(0)
    if place is None:
        os.close(1)
    sys.argv = ["worker", *run["arguments"]]
    try:
        runpy.run_module("worker", run_name="__main__")
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0


def wait(pid: int, ours: int | None, out: Any, err: Any) -> dict[str, Any]:
    """What came of one."""
    _, status = os.waitpid(pid, 0)
    answer: dict[str, Any] = {"code": os.waitstatus_to_exitcode(status)}
    for name, file in (("stdout", out), ("stderr", err)):
        file.seek(0)
        answer[name] = file.read().decode("utf-8", "backslashreplace")
        file.close()
    if ours is not None:
        os.close(ours)
    return answer


if __name__ == "__main__":
    main()
