"""Connections: heads, trailers, pipelines, time limits, and what happens when all are taken."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast

import pytest
import uvicorn
from uvicorn.server import ServerState

from tagger.service import connections
from tagger.service.connections import Connection
from tagger.service.settings import MAX_HEAD
from tests.conftest import wait_until

GET = b"GET /now HTTP/1.1\r\nHost: a\r\n\r\n"
WAIT = b"GET /wait HTTP/1.1\r\nHost: a\r\n\r\n"
CHUNKED = b"POST /read HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


@dataclass
class SmallServer:
    """A server around `application`, whose connections are ours."""

    timeout: float = 5.0
    port: int = 0
    refused: list[int] = field(default_factory=list)
    requests: int = 0
    released: bool = False
    opened: list[socket.socket] = field(default_factory=list)

    async def application(self, scope: Any, receive: Any, send: Any) -> None:
        """/wait answers when `released`, /read when the body is read, others at once."""
        self.requests += 1
        while scope["path"] == "/wait" and not self.released:
            await asyncio.sleep(0.01)
        while scope["path"] == "/read" and (await receive()).get("more_body"):
            pass
        body = b"x" * 200_000 if scope["path"] == "/long" else b"ok"
        headers = [(b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def open(self, content: bytes = b"") -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        self.opened.append(connection)
        connection.sendall(content)
        return connection

    def ask(self, content: bytes = GET) -> tuple[int, bytes]:
        """Status and body of the first response."""
        with self.open(content) as connection:
            return read(connection)


def read(connection: socket.socket) -> tuple[int, bytes]:
    answer = b""
    while b"\r\n\r\n" not in answer:
        part = connection.recv(2**16)
        assert part, f"closed after {answer!r}"
        answer += part
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), body


def is_closed(connection: socket.socket) -> bool:
    try:
        return connection.recv(2**16) == b""
    except ConnectionError:
        return True


def make_config(application: Any, protocol: Callable[..., Connection]) -> uvicorn.Config:
    return uvicorn.Config(
        application,
        port=0,
        http=cast(Any, protocol),
        h11_max_incomplete_event_size=MAX_HEAD,
        interface="asgi3",
        ws="none",
        lifespan="off",
        log_level="critical",
    )


@contextmanager
def run_server(timeout: float = 5.0) -> Iterator[SmallServer]:
    small = SmallServer(timeout)
    protocol = partial(Connection, timeout=timeout, count_refused=small.refused.append)
    server = uvicorn.Server(make_config(small.application, protocol))
    thread = threading.Thread(target=server.run)
    thread.start()
    wait_until(lambda: server.started)
    small.port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield small
    finally:
        small.released = server.should_exit = True
        thread.join(20)
        for connection in small.opened:
            connection.close()


@pytest.mark.parametrize(
    ("beginning", "part", "status"),
    [
        (b"GET / HTTP/1.1\r\nX: ", b"a" * 8192, 431),
        (b"GET / HTTP/1.1\r\n", b"X-Y: z\r\n" * 1024, 431),
        (b"GET /", b"a" * 8192, 431),
        (b"a" * 8192, b"a" * 8192, 431),
        (CHUNKED + b"0\r\nX: ", b"a" * 8192, 431),
        (CHUNKED + b"0\r\n", b"X-Y: z\r\n" * 1024, 431),
        (CHUNKED + b"1;", b"a" * 8192, 431),
    ],
)
def test_a_long_head_or_trailer_is_refused(beginning: bytes, part: bytes, status: int) -> None:
    with run_server() as server, server.open(beginning) as connection:
        sent = 0
        try:
            while sent < 64 * MAX_HEAD:
                connection.sendall(part)
                sent += len(part)
        except ConnectionError:
            pass
        assert sent < 64 * MAX_HEAD  # socket buffers take more than the server reads
        assert server.refused == [status]
        assert server.ask() == (200, b"ok")


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET /now HTTP/1.1\nHost: a\n\n",
        b"GET /now HTTP/1.1\r\nHost: a\nX: b\r\n\r\n",
        b"GET /now HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n",
        b"GARBAGE\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET /now HTTP/1.1\r\n\r\n",
        b"GET /now HTTP/1.1\r\nHost: a\r\nContent-Length: " + b"0" * 5000 + b"\r\n\r\n",
    ],
)
def test_what_is_no_request_gets_json(request_bytes: bytes) -> None:
    with run_server() as server:
        status, body = server.ask(request_bytes)
        assert status == 400 and json.loads(body)["detail"]
        assert server.refused == [400] and server.requests == 0


OPTIONS: dict[str, Any] = {"timeout": 60, "count_refused": print}
LINES = (b"GET /now HTTP/1.1\r\nHost: a\r\n", b"X: " + b"a" * 50 + b"\r\n")


@pytest.mark.parametrize("odd", [b"X: b\n", b"X: b\r\n ", b"X: b\r\n\t"])
def test_odd_lines_are_noticed_however_a_head_arrives(odd: bytes) -> None:
    with run_server(timeout=60) as server:
        for head in (LINES[0] + odd, b"".join(LINES) + odd):
            for size in (1, 2, 3, len(head)):
                with server.open() as connection:
                    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    for start in range(0, len(head), size):
                        connection.sendall(head[start : start + size])
                        time.sleep(0.0005)
                    assert read(connection)[0] == 400, (head, size)
        assert server.requests == 0
        assert server.ask(LINES[0] + b"\r\n") == (200, b"ok")


def test_an_odd_line_is_noticed_in_each_request_of_a_connection() -> None:
    with run_server() as server, server.open(GET * 3 + LINES[0] + b"X: b\n\r\n") as connection:
        answer = b""
        while part := connection.recv(2**16):
            answer += part
        assert answer.count(b"HTTP/1.1 200") == 3 and answer.count(b"HTTP/1.1 400") == 1


def test_a_head_costs_as_much_in_a_thousand_pieces() -> None:
    """What is there of a long head is not looked at again with each byte that arrives."""

    async def measure(size: int) -> float:
        config = make_config(SmallServer().application, partial(Connection, **OPTIONS))
        config.load()
        connection = Connection(config, ServerState(), {}, **OPTIONS)
        ours, theirs = socket.socketpair()
        with theirs:
            await asyncio.get_running_loop().create_connection(lambda: connection, sock=ours)
            connection.data_received(LINES[0] + b"X: " + b"a" * size)
            started = time.thread_time()
            for _ in range(1000):
                connection.data_received(b"a")
            seconds = time.thread_time() - started
            connection.transport.abort()
        return seconds

    short, long = (min(asyncio.run(measure(size)) for _ in range(3)) for size in (100, 60_000))
    assert long < 5 * short, (short, long)


def test_pipelined_requests_wait_in_the_client() -> None:
    with run_server(timeout=1) as server, server.open() as connection:
        connection.settimeout(1)
        sent = 0
        try:
            while sent < 200_000_000:
                sent += connection.send(GET.replace(b"now", b"long") * 1024)
        except OSError:
            pass
        assert sent < 100_000_000
        assert server.requests < 1000  # most of what was sent is not even parsed
        wait_until(lambda: server.ask() == (200, b"ok"))


def test_pipelined_requests_are_answered_in_turn() -> None:
    with run_server() as server, server.open(GET * 50) as connection:
        answer = b""
        while answer.count(b"HTTP/1.1 200") < 50:
            answer += connection.recv(2**16)


def test_slow_clients_are_closed() -> None:
    beginnings = (b"", b"GET / HT", GET + b"GET / HT")
    with run_server(timeout=0.5) as server:
        slow = [server.open(beginning) for beginning in beginnings]
        started = time.monotonic()
        for connection in slow:
            while not is_closed(connection):
                pass
        assert time.monotonic() - started < 10
        body = b"POST /now HTTP/1.1\r\nHost: a\r\nContent-Length: 50\r\n\r\n"
        with server.open(body) as unread:  # answered without its body
            assert read(unread) == (200, b"ok") and is_closed(unread)


def test_the_connection_that_is_idle_for_longest_makes_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connections, "MAX_CONNECTIONS", 3)
    with run_server() as server:
        working, idle = server.open(WAIT), server.open()
        wait_until(lambda: server.requests == 1)
        half = server.open(CHUNKED)
        wait_until(lambda: server.requests == 2)
        assert server.ask() == (200, b"ok") and is_closed(idle)
        later = server.open()
        assert server.ask() == (200, b"ok") and is_closed(later)
        another = server.open(WAIT)
        wait_until(lambda: server.requests == 5)
        assert server.ask() == (200, b"ok") and is_closed(half)  # before what works
        last = server.open(WAIT)
        wait_until(lambda: server.requests == 7)
        status, body = server.ask()
        assert status == 503 and "try again" in json.loads(body)["detail"]
        assert server.refused == [503]
        server.released = True
        assert read(working) == read(another) == read(last) == (200, b"ok")
