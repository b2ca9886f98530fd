"""A process that cannot outlive the one that started it, not even when that one is killed with SIGKILL."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from worker.embedded import guard

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from io import BufferedWriter

    from worker.embedded.privileges import Identity


class Lifeline:
    """Holds one running command through its guard, and lets go only when both are gone.

    May be used from any thread. When this process vanishes, the guard sends ``stop_signal``, five seconds later
    SIGKILL, and with ``removes_home`` it removes ``home``, the command's directory. The command gets this
    process's environment, or the one given, and inherits the ``lock``: it is held until guard and command are gone.
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        identity: Identity,
        stop_signal: signal.Signals,
        log: Path,
        home: Path,
        removes_home: bool = True,
        lock: BufferedWriter | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        user = "" if identity.user is None else f"{identity.user[0]}:{identity.user[1]}"
        with log.open("ab") as output:
            self._guard = subprocess.Popen(
                [
                    *(sys.executable, "-I", "-S", guard.__file__, str(int(stop_signal)), user),
                    home if removes_home else "",
                    *identity.prefix,
                    *command,
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                cwd=home,
                env=environment,
                pass_fds=() if lock is None else (lock.fileno(),),
                start_new_session=True,  # Ctrl-C in a terminal is for us: we stop the servers last
            )
        assert self._guard.stdout is not None
        with self._guard.stdout as answer:
            self.pid = int(answer.readline() or -1)

    @property
    def running(self) -> bool:
        """Whether the command is still there."""
        return self._guard.poll() is None

    def send(self, number: int, *, children: bool = False) -> None:
        """Send a signal to the command, and on Linux to its children too if wanted, as far as they are still there."""
        if self.running and self.pid > 0:
            for pid in (*(guard.children(self.pid) if children else ()), self.pid):
                with suppress(ProcessLookupError):
                    os.kill(pid, number)

    def wait(self, timeout_s: float) -> int:
        """Return the command's exit code; TimeoutError when it has none within the time."""
        assert self._guard.stdin is not None
        try:
            code = self._guard.wait(timeout_s)
        except subprocess.TimeoutExpired as error:
            raise TimeoutError(f"process {self.pid} did not end within {timeout_s} s") from error
        self._guard.stdin.close()
        return code

    def end(self, number: signal.Signals, timeout_s: float) -> None:
        """Send a signal that ends the command and wait for the end; past the time, send SIGKILL."""
        self.send(number)
        self.send(signal.SIGCONT, children=True)
        try:
            self.wait(timeout_s)
        except TimeoutError:
            self.send(signal.SIGKILL)
            self.wait(timeout_s)
