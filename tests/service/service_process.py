"""The service in a process and on a port of its own, and clients for it."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import select

from tagger.images import decode
from tagger.library.database.schema import served
from tagger.library.library import Library
from tagger.paths import ROOT
from tests.conftest import TIMEOUT, draw, wait_until

BOUNDARY = "a-photo-is-between-these"
FORM_HEADERS = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
START_SECONDS = 120  # a start takes one or two, but several may run at once
VARIABLES = [
    *("TAGGER_MODEL", "TAGGER_HOME", "TAGGER_DATABASE", "TAGGER_WORKERS", "TAGGER_QUEUE"),
    *("TAGGER_PREDICT_TOKEN", "TAGGER_ADMIN_TOKEN", "TAGGER_CORS", "TAGGER_KEEP_PHOTOS"),
    *("TAGGER_OPEN_INVOCATIONS", "TAGGER_REQUEST_SECONDS", "TAGGER_EMBED_PHOTOS"),
]


@dataclass(frozen=True)
class Response:
    status: int
    headers: Mapping[str, str]  # by lower-case names
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


def photo_bytes(seed: int = 0) -> bytes:
    """A drawn photo as a JPEG."""
    return decode.encode(draw("disc", seed), "JPEG")


def form_body(*photos: bytes, field_name: str = "file") -> bytes:
    """Photos as a multipart form, whose headers are FORM_HEADERS."""
    disposition = f'Content-Disposition: form-data; name="{field_name}"; filename="a.jpg"'
    head = f"--{BOUNDARY}\r\n{disposition}\r\nContent-Type: image/jpeg\r\n\r\n".encode()
    return b"".join(head + photo + b"\r\n" for photo in photos) + f"--{BOUNDARY}--\r\n".encode()


def request_head(
    target: str, *headers: str, method: str = "POST", host: str = "localhost"
) -> bytes:
    """Request line and headers as bytes."""
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", *headers]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


class ServiceProcess:
    """A running service and its library."""

    def __init__(self, home: Path, **environment: str) -> None:
        """`environment` holds TAGGER_... variables; the default model is `pets`."""
        self.home = home
        self.port = free_port()
        self._connections: list[socket.socket] = []
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = home.parent / f"{home.name}-{self.port}.log"
        inherited = {name: text for name, text in os.environ.items() if name not in VARIABLES}
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tagger.api", "--port", str(self.port)],
                cwd=ROOT,
                env=inherited | {"TAGGER_HOME": str(home), "TAGGER_MODEL": "pets"} | environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            wait_until(self.is_ready, START_SECONDS)
        except AssertionError:
            self.kill()
            raise AssertionError(f"the service does not start\n{self.output()}") from None

    def is_ready(self) -> bool:
        if self.process.poll() is not None:
            raise AssertionError(f"the service ended: {self.process.returncode}\n{self.output()}")
        try:
            return self.request("GET", "/ready").status == 200
        except OSError:
            return False

    def connect(self) -> http.client.HTTPConnection:
        """A connection for several requests."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT)

    def request(
        self,
        method: str,
        target: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        connection: http.client.HTTPConnection | None = None,
    ) -> Response:
        """The response to one request, by default over a new connection."""
        used = connection or self.connect()
        try:
            used.request(method, target, body, dict(headers or {}))
            return _response(used.getresponse())
        finally:
            if connection is None:
                used.close()

    def predict(self, *photos: bytes, query: str = "", **headers: str) -> Response:
        """The response to POST /predict."""
        return self.request("POST", f"/predict{query}", form_body(*photos), FORM_HEADERS | headers)

    def open(self, content: bytes = b"") -> socket.socket:
        """A bare connection over which `content` was sent; `kill` closes it."""
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=TIMEOUT)
        self._connections.append(connection)
        connection.sendall(content)
        return connection

    def send(self, request: bytes) -> Response:
        """The response to raw bytes."""
        with self.open(request) as connection:
            return read_response(connection)

    def logged_ids(self) -> set[str]:
        """The ids in its prediction log."""
        library = Library.open(self.home)
        try:
            with library.database.read_transaction() as connection:
                return set(connection.scalars(select(served.c.id)))
        finally:
            library.close()

    @contextmanager
    def memory_limit(self, size: int) -> Iterator[None]:
        """AssertionError if its memory grows by more bytes meanwhile, even for a moment."""
        process = Path("/proc", str(self.process.pid))
        (process / "clear_refs").write_text("5")  # resets the peak
        before = _peak_memory(process)
        yield
        growth = _peak_memory(process) - before
        assert growth <= size, f"{growth / 2**20:.0f} MB more"

    def output(self) -> str:
        """Its standard output and error."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def interrupt(self) -> None:
        """As Ctrl-C does."""
        self.process.send_signal(signal.SIGINT)

    def kill(self) -> None:
        """SIGKILL, as a crash."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for connection in self._connections:
            connection.close()

    def check(self) -> None:
        """AssertionError if it has ended or printed a traceback."""
        assert self.process.poll() is None, self.output()
        assert "Traceback" not in self.output(), self.output()


@contextmanager
def run_service(home: Path, **environment: str) -> Iterator[ServiceProcess]:
    service = ServiceProcess(home, **environment)
    try:
        yield service
    finally:
        service.kill()


@dataclass
class Clients:
    """Clients that request predictions without pause, and their results."""

    responses: list[Response] = field(default_factory=list)
    errors: list[OSError | http.client.HTTPException] = field(default_factory=list)

    def ids(self) -> set[str]:
        """The ids of all answers."""
        return {answer.json()["id"] for answer in self.responses if answer.status == 200}

    def statuses(self) -> set[int]:
        return {response.status for response in self.responses}

    def wait_for_responses(self, count: int) -> None:
        """Wait for `count` more responses."""
        total = len(self.responses) + count
        wait_until(lambda: len(self.responses) >= total)


@contextmanager
def run_clients(service: ServiceProcess, count: int = 4) -> Iterator[Clients]:
    """Run clients meanwhile; each stops at its first connection error."""
    clients, stop = Clients(), threading.Event()

    def run(seed: int) -> None:
        body, connection = form_body(photo_bytes(seed)), service.connect()
        try:
            while not stop.is_set():
                response = service.request("POST", "/predict", body, FORM_HEADERS, connection)
                clients.responses.append(response)
        except (OSError, http.client.HTTPException) as error:
            clients.errors.append(error)
        finally:
            connection.close()

    with run_threads([lambda seed=seed: run(seed) for seed in range(count)], stop):
        yield clients


@contextmanager
def run_threads(tasks: list[Callable[[], None]], stop: threading.Event) -> Iterator[None]:
    """Run each task in a thread meanwhile; `stop` is set at the end."""
    running = [threading.Thread(target=task, daemon=True) for task in tasks]
    for thread in running:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in running:
            thread.join(TIMEOUT)
    assert not any(thread.is_alive() for thread in running), "a client hangs"


def read_response(connection: socket.socket) -> Response:
    """The next response on a bare connection."""
    response = http.client.HTTPResponse(connection)
    response.begin()
    return _response(response)


def free_port() -> int:
    """A port that no process listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def log_lines(service: ServiceProcess) -> list[dict[str, object]]:
    """The lines of its request log."""
    lines = service.output().splitlines()
    return [json.loads(line) for line in lines if line.startswith("{")]


def _response(response: http.client.HTTPResponse) -> Response:
    headers = {name.lower(): value for name, value in response.getheaders()}
    return Response(response.status, headers, response.read())


def _peak_memory(process: Path) -> int:
    status = (process / "status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024
