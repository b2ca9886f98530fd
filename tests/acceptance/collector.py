"""A collector of spans: keeps what is posted to it, as it came."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Collector:
    """Takes every POST. `received` is all of it, one after the other."""

    def __init__(self, server: ThreadingHTTPServer) -> None:
        self._server = server
        self._bodies: list[bytes] = []

    @property
    def endpoint(self) -> str:
        """Where spans are to be sent."""
        return f"http://127.0.0.1:{self._server.server_port}/v1/traces"

    @property
    def received(self) -> bytes:
        """Everything so far. Protobuf leaves texts as they are."""
        return b"".join(self._bodies)

    def take(self, body: bytes) -> None:
        """Keep one."""
        self._bodies.append(body)


@contextmanager
def collector() -> Iterator[Collector]:
    """One on a free port of this machine, gone when the block ends."""

    class Post(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            kept.take(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name it has above
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Post) as server:
        kept = Collector(server)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield kept
        finally:
            server.shutdown()
            thread.join()
