"""Attacks on a running service, and what its ordinary users notice meanwhile."""

from __future__ import annotations

import http.client
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from tests.service.hostile_photos import float_tiff, grey_png, profile_jpeg, scan_jpeg
from tests.service.service_process import FORM_HEADERS, form_body, photo_bytes, request_head

MB = 2**20
TIMEOUT = 60.0
POLL_SECONDS = 0.05
Attack = Callable[[int], None]  # takes the service's port


@dataclass
class Measures:
    """The seconds of ordinary photos, and the memory of all processes together."""

    seconds: list[float] = field(default_factory=list)
    peak: int = 0


def attacks(scale: float = 1.0) -> dict[str, Attack]:
    """The attacks by name; a smaller `scale` sends less of each."""
    size = int(150 * MB * scale)
    chunked = request_head("/predict", "Transfer-Encoding: chunked")
    length = f"Content-Length: {10 * MB}"
    slow_body = request_head("/predict", length, f"Content-Type: {FORM_HEADERS['Content-Type']}")
    side = int(10_900 * scale**0.5)
    return {
        "progressive JPEGs of 1,500 scans": partial(
            _send_forms, [scan_jpeg(13_300, 1500)], 4, {413}
        ),
        "progressive JPEGs that are allowed": partial(
            _send_forms, [scan_jpeg(7900, 60)], 6, {200, 422, 503}
        ),
        # Of several photos in a form, each has its own error.
        "float TIFFs": partial(_send_forms, [float_tiff(side)] * 2, 2, {200, 503}),
        "16 float TIFFs in a request": partial(_send_forms, [float_tiff(7000)] * 16, 1, {200, 503}),
        "large PNGs": partial(_send_forms, [grey_png(side)] * 2, 2, {200, 503}),
        "large profiles": partial(_send_profiles, int(160 * scale)),
        "a long head": partial(_send, b"GET /health HTTP/1.1\r\nX: ", b"a" * 2**16, size),
        "long heads, dripped": partial(_drip, int(400 * max(scale, 0.5))),
        "many headers": partial(_send, b"GET /health HTTP/1.1\r\n", b"X-Y: z\r\n" * 2**13, size),
        "a long target": partial(_send, b"GET /", b"a" * 2**16, size),
        "long trailers": partial(_send, chunked + b"0\r\nX: ", b"a" * 2**16, size),
        "many trailers": partial(_send, chunked + b"0\r\n", b"X-Y: z\r\n" * 2**13, size),
        "tiny chunks": partial(_send, chunked, b"1\r\nx\r\n" * 2**13, size),
        "a long chunk header": partial(_send, chunked + b"1;", b"a" * 2**16, size),
        "pipelined requests": partial(_send, b"", request_head("/", method="GET") * 2**10, size),
        "idle connections": partial(_hold, b"", int(700 * max(scale, 0.8))),
        "half heads": partial(_hold, b"GET / HTTP/1.1\r\nX: ", int(700 * max(scale, 0.8))),
        "half bodies": partial(_hold, slow_body, int(700 * max(scale, 0.8))),
    }


@contextmanager
def ordinary_photos(port: int, process_id: int, pause: float = 0.1) -> Iterator[Measures]:
    """Send an ordinary photo after the other meanwhile. AssertionError unless all are tagged."""
    measures, stop, failures = Measures(), threading.Event(), []
    body = form_body(photo_bytes())

    def send() -> None:
        while not stop.is_set():
            started = time.monotonic()
            try:
                status = _post(port, body)
            except (OSError, http.client.HTTPException) as error:
                failures.append(error)
                return
            measures.seconds.append(time.monotonic() - started)
            if status != 200:
                failures.append(status)
            stop.wait(pause)

    def watch() -> None:
        """Looks for new processes less often, which takes longer."""
        while not stop.is_set():
            members = family(process_id)
            for _ in range(5):
                measures.peak = max(measures.peak, _resident_memory(members))
                stop.wait(POLL_SECONDS)

    threads = [threading.Thread(target=task, daemon=True) for task in (send, watch)]
    for thread in threads:
        thread.start()
    try:
        yield measures
    finally:
        stop.set()
        for thread in threads:
            thread.join(TIMEOUT)
    assert not failures, failures
    assert measures.seconds


def resident_memory(process_id: int) -> int:
    """Bytes of a process and its descendants, where /proc lists them; shared ones count often."""
    return _resident_memory(family(process_id))


def family(process_id: int) -> set[int]:
    """A process and its descendants."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parents[int(path.parent.name)] = int(path.read_text().rsplit(")", 1)[1].split()[1])
    members = {process_id}
    while more := {child for child, parent in parents.items() if parent in members} - members:
        members |= more
    return members


def _resident_memory(members: set[int]) -> int:
    pages = 0
    for member in members:
        with suppress(OSError):
            pages += int(Path("/proc", str(member), "statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def _post(port: int, body: bytes) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)
    try:
        connection.request("POST", "/predict", body, dict(FORM_HEADERS))
        response = connection.getresponse()
        response.read()
        return response.status
    finally:
        connection.close()


def _send_forms(photos: list[bytes], clients: int, expected: set[int], port: int) -> None:
    """The same form by several clients at once, until all have an answer as expected."""
    body = form_body(*photos)
    statuses: list[int] = []
    threads = [
        threading.Thread(target=lambda: statuses.append(_post(port, body)), daemon=True)
        for _ in range(clients)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(TIMEOUT)
    assert len(statuses) == clients and set(statuses) <= expected, statuses


def _send_profiles(count: int, port: int) -> None:
    """Small photos, each with a colour profile of its own of 4 MB."""
    for _ in range(count):
        assert _post(port, form_body(profile_jpeg(4 * MB))) == 200


def _send(beginning: bytes, part: bytes, size: int, port: int) -> None:
    """Send a beginning and then its part again and again, reading nothing, while that is taken."""
    with (
        socket.create_connection(("127.0.0.1", port), timeout=3) as connection,
        suppress(OSError),  # closed, or nothing is taken for some seconds
    ):
        connection.sendall(beginning)
        for _ in range(size // len(part)):
            connection.sendall(part)


def _drip(count: int, port: int) -> None:
    """Long heads of which a few bytes arrive again and again, on many connections."""
    head = b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 60_000
    with ExitStack() as stack, suppress(OSError):
        connections = []
        for _ in range(count):
            connection = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT)
            connections.append(stack.enter_context(connection))
            connection.sendall(head)
        for _ in range(8):
            for connection in connections:
                connection.sendall(b"a" * 400)
            time.sleep(0.4)


def _hold(beginning: bytes, count: int, port: int) -> None:
    """Open connections, send each a beginning, and keep them for some seconds."""
    with ExitStack() as stack:
        for _ in range(count):
            connection = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT)
            stack.enter_context(connection)
            with suppress(OSError):
                connection.sendall(beginning)
        time.sleep(2)
