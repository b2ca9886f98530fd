"""Runs one server and ends it when whoever asked for it is gone, however it went.

A program of its own, ``python -I -S guard.py …``. Why not ask the kernel alone: PR_SET_PDEATHSIG is tied to
the *thread* that forked, exists on Linux only, and leaves the server's directory behind. The parent therefore holds
the write end of this program's standard input and never writes to it: end of file means that the parent is gone. The
server in turn is bound to this single-threaded program by PR_SET_PDEATHSIG, in case that somebody kills *it*.

usage: guard.py STOP_SIGNAL UID:GID|"" DIRECTORY_TO_REMOVE|"" COMMAND …
It prints the server's process id, and ends with the server's exit code.
"""

import ctypes
import os
import select
import shutil
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

GRACE_S = 5.0
PARENT_CHECK_S = 1.0
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
ENDINGS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def main(stop_signal: int, user: str, doomed: str, command: list[str]) -> int:
    """Run the command until it ends by itself or the parent is gone; then leave no process and no directory."""
    parent = os.getppid()
    # Backends orphaned by a killed postmaster become our children instead of init's, so we can end them too.
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    news, write_end = os.pipe()
    os.set_blocking(write_end, False)
    signal.set_wakeup_fd(write_end)
    for number in (signal.SIGCHLD, *ENDINGS):
        signal.signal(number, lambda *_: None)

    server = spawn(command, stop_signal, user)
    os.write(1, b"%d\n" % server)
    os.close(1)

    while (code := ended(server)) is None:
        ready, _, _ = select.select([0, news], [], [], PARENT_CHECK_S)
        told = news in ready and not set(os.read(news, 64)).isdisjoint(ENDINGS)
        # The second check sees a parent whose fork (multiprocessing) still holds the pipe open.
        if told or 0 in ready or os.getppid() != parent:
            code = end(server, stop_signal)
            sweep()
            shutil.rmtree(doomed, ignore_errors=True) if doomed else None
            return code
    sweep()
    return code


def spawn(command: list[str], stop_signal: int, user: str) -> int:
    """Start the command as the given user, bound to this process, with its words going to the log."""
    guard = os.getpid()
    if child := os.fork():
        return child
    try:
        if user:
            uid, gid = map(int, user.split(":"))
            os.setgroups([])
            os.setgid(gid)
            os.setuid(uid)
        prctl(PR_SET_PDEATHSIG, stop_signal)  # after setuid, which clears it
        if os.getppid() != guard:
            os._exit(1)
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(2, 1)
        os.execvp(command[0], command)  # noqa: S606
    except OSError as error:
        os.write(2, f"{command[0]}: {error.strerror}\n".encode())
    finally:
        os._exit(127)


def end(server: int, stop_signal: int) -> int:
    """Stop the server politely, then not."""
    send(server, stop_signal)
    for stopped in (server, *children(server)):
        send(stopped, signal.SIGCONT)
    deadline = time.monotonic() + GRACE_S
    while (code := ended(server)) is None:
        if time.monotonic() > deadline:
            send(server, signal.SIGKILL)
        time.sleep(0.01)
    return code


def ended(server: int) -> int | None:
    """Return the server's exit code once it has one; 128 + n when signal n ended it."""
    pid, status = os.waitpid(server, os.WNOHANG)
    if not pid:
        return None
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def sweep() -> None:
    """Kill what the server left behind and wait until it is gone. Only Linux hands orphans to us."""
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not pid:
            for orphan in children(os.getpid()):
                send(orphan, signal.SIGKILL)
            time.sleep(0.005)


def send(pid: int, number: int) -> None:
    """Send a signal, to nobody if the process just went away."""
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def children(parent: int) -> list[int]:
    """Return the processes whose parent this is, as far as /proc knows: on Linux all, elsewhere none."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            ppid = int(stat.read_bytes().rpartition(b")")[2].split()[1])
        except OSError:
            continue
        if ppid == parent:
            found.append(int(stat.parent.name))
    return found


def prctl(option: int, value: int) -> None:
    """Ask the Linux kernel; elsewhere do nothing."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


if __name__ == "__main__":
    # Not sys.exit: nothing here needs the interpreter's farewell, and the parent waits for the exit.
    os._exit(main(int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4:]))
