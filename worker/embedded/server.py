"""What both servers have in common: a directory, a way to start, to be killed, to come back, and to be gone."""

from __future__ import annotations

import fcntl
import shutil
import signal
import socket
import tempfile
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, Self

from worker.embedded.binaries import Binary, Kind, Places, usable
from worker.embedded.errors import EmbeddedServerError, StartFailed
from worker.embedded.lifeline import Lifeline
from worker.embedded.privileges import Identity, ordinary_identity

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from io import BufferedWriter

Mode = Literal["fast", "immediate"]
LONGEST_TEMPORARY_PATH = 60  # a unix socket's path may have some 100 bytes; ours adds 40
LONGEST_HOME = 85
STOP_TIMEOUT_S = 10.0


class EmbeddedServer(ABC):
    """A real server of our own, in a directory that only we may enter, which never outlives this process.

    Not started by being made: use ``with``, or ``start`` and ``close``. All calls block, from any thread.
    After ``stop`` or ``kill``, ``start`` brings it back with the same data at the same address. Its directory is made
    ``within`` another, by default the system's for temporary files; the server's user must be able to enter that. It
    is removed at the end, unless it was given as ``home``: then the data stays for the next server of that home.
    """

    kind: ClassVar[Kind]
    stop_signals: ClassVar[Mapping[Mode, signal.Signals]]
    needs_ordinary_user: ClassVar[bool] = False

    def __init__(
        self,
        *,
        settings: Mapping[str, str | int] | None = None,
        tcp: bool = False,
        places: Places | None = None,
        within: Path | None = None,
        home: Path | None = None,
    ) -> None:
        self._settings = dict(settings or {})
        self._places = places or Places()
        self._tcp = tcp
        self._binary: Binary | None = None
        self._executable = Path()
        self._lifeline: Lifeline | None = None
        self._identity = ordinary_identity() if self.needs_ordinary_user else Identity()
        self._keeps_data = home is not None
        self._lock: BufferedWriter | None = None
        self.home = self._make_home(within) if home is None else self._enter_home(home)
        self.log = self.home / "log"
        self._log_start = 0
        self.port = 0

    def start(self, timeout_s: float = 30.0) -> None:
        """Return when the server answers; BinaryMissing or StartFailed say what to do instead."""
        if self.running:
            return
        if self._binary is not None:
            self._launch(timeout_s)
            return
        failure: EmbeddedServerError | None = None
        for binary in usable(self.kind, self._places):
            self._binary = binary
            try:
                self._executable = self._prepare(binary)
                self._first_launch(timeout_s)
            except EmbeddedServerError as error:
                failure, self._binary = error, None
            else:
                return
        assert failure is not None  # `usable` raises when it has nothing to offer
        raise failure

    def stop(self, mode: Mode = "fast") -> None:
        """End the server and wait for it: "fast" in good order, "immediate" as in a crash. The data stays."""
        if self._lifeline is not None:
            self._lifeline.end(self.stop_signals[mode], STOP_TIMEOUT_S)

    def kill(self, number: signal.Signals, *, children: bool = False) -> None:
        """Send a signal to the server (on Linux also to its children, if wanted); after SIGKILL wait for the end."""
        if self._lifeline is not None:
            self._lifeline.send(number, children=children)
            if number == signal.SIGKILL:
                self._lifeline.wait(STOP_TIMEOUT_S)

    def close(self) -> None:
        """Leave no process behind, and no file unless the home was given."""
        self.stop(self._last_stop)
        if self._lock is not None:
            self._lock.close()
        else:
            shutil.rmtree(self.home, ignore_errors=True)

    @property
    def _last_stop(self) -> Mode:
        return "fast" if self._keeps_data else "immediate"

    @property
    def pid(self) -> int:
        """The server's process id; after its end, the last one."""
        if self._lifeline is None:
            raise EmbeddedServerError(f"{self.kind.name} was never started")
        return self._lifeline.pid

    @property
    def running(self) -> bool:
        """Whether the server's process is there, stopped by SIGSTOP or not."""
        return self._lifeline is not None and self._lifeline.running

    @property
    def description(self) -> str:
        """Which server this is and where it came from, for people."""
        if self._binary is None:
            return f"{self.kind.name}, not started yet"
        return f"{self._binary.name} {self._binary.version[0]}.{self._binary.version[1]} from {self._binary.source}"

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @abstractmethod
    def _prepare(self, binary: Binary) -> Path:
        """Make the data directory and return the executable to run."""

    @abstractmethod
    def _command(self, executable: Path) -> list[str]: ...

    @abstractmethod
    def _answers(self) -> bool: ...

    def _make_home(self, within: Path | None) -> Path:
        system = tempfile.gettempdir()
        # Another user cannot enter a private temporary directory, and a socket's path must stay short.
        private = self._identity.user is not None or len(system) > LONGEST_TEMPORARY_PATH
        home = Path(tempfile.mkdtemp(prefix="noteflow-", dir=within or ("/tmp" if private else system)))  # noqa: S108
        self._identity.give(home)
        return home

    def _enter_home(self, home: Path) -> Path:
        if len(str(home)) > LONGEST_HOME:
            raise EmbeddedServerError(
                f"the path {home} is too long for a unix socket: at most {LONGEST_HOME} characters"
            )
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = _locked(home / "lock")
        self._identity.give(home)
        return home

    def _first_launch(self, timeout_s: float) -> None:
        for attempts_left in reversed(range(3 if self._tcp else 1)):
            self.port = free_port() if self._tcp else 0
            try:
                self._launch(timeout_s)
            except StartFailed as error:
                # Between our look and its bind, somebody else may have taken the port.
                if not attempts_left or "in use" not in str(error):
                    raise
            else:
                return

    def _launch(self, timeout_s: float) -> None:
        self._lifeline = self._run(self._command(self._executable))
        deadline = time.monotonic() + timeout_s
        while not self._answers():
            if not self._lifeline.running:
                code = self._lifeline.wait(STOP_TIMEOUT_S)
                raise self._failure(f"{self.description} ended with code {code} instead of answering")
            if time.monotonic() > deadline:
                self._lifeline.end(signal.SIGKILL, STOP_TIMEOUT_S)
                raise self._failure(f"{self.description} did not answer within {timeout_s:g} s")
            time.sleep(0.005)

    def _run(self, command: Sequence[str | Path]) -> Lifeline:
        self._log_start = self.log.stat().st_size if self.log.exists() else 0
        return Lifeline(
            command,
            identity=self._identity,
            stop_signal=self.stop_signals["fast"],
            log=self.log,
            home=self.home,
            removes_home=not self._keeps_data,
            lock=self._lock,
        )

    def _failure(self, what: str) -> StartFailed:
        advice = f"Check the settings {', '.join(self._settings)}, or set" if self._settings else "Set"
        return StartFailed(what, f"{advice} {self.kind.url} to a server of yours.", self.log, self._log_start)


def _locked(path: Path) -> BufferedWriter:
    """Lock a home for one server, which inherits the lock. Wait for one that is just ending.

    Raises EmbeddedServerError if it does not end.
    """
    lock = path.open("ab")
    deadline = time.monotonic() + STOP_TIMEOUT_S
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                lock.close()
                raise EmbeddedServerError(f"another server uses {path.parent}") from None
            time.sleep(0.05)
        else:
            return lock


def free_port() -> int:
    """Return a loopback port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
