from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Iterator

import pytest

from benchmarks.turns import TurnCounter


class Echo(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        while words := self.request.recv(1024):
            self.request.sendall(words)


@pytest.fixture
def echo_url() -> Iterator[str]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Echo) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"redis://:secret@127.0.0.1:{server.server_address[1]}/0"
        server.shutdown()
        thread.join()


def ask(connection: socket.socket, words: bytes) -> None:
    connection.sendall(words)
    heard = b""
    while len(heard) < len(words):
        heard += connection.recv(1024)
    assert heard == words


def test_a_turn_is_a_word_after_an_answer_however_much_is_said_at_once(echo_url: str) -> None:
    with TurnCounter(echo_url) as counter:
        port = int(counter.url.rpartition(":")[2].removesuffix("/0"))
        with socket.create_connection(("127.0.0.1", port)) as one, socket.create_connection(("127.0.0.1", port)) as two:
            ask(one, b"PING")
            ask(one, b"PING PING PING")
            ask(two, b"PING")
        assert counter.turns == 3


def test_the_address_keeps_its_password_and_changes_its_port(echo_url: str) -> None:
    with TurnCounter(echo_url) as counter:
        assert counter.url.startswith("redis://:secret@127.0.0.1:")
        assert counter.url != echo_url


def test_closing_with_a_client_still_connected_leaves_nothing_behind(echo_url: str) -> None:
    with TurnCounter(echo_url) as counter:
        connection = socket.create_connection(("127.0.0.1", int(counter.url.rpartition(":")[2].removesuffix("/0"))))
        ask(connection, b"PING")
    with connection:
        assert connection.recv(1) == b""
