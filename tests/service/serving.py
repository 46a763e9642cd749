"""The service as a person starts it: a process of its own, on a port of its own."""

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
from tests.conftest import PATIENCE, draw, wait_until

BOUNDARY = "a-photo-is-between-these"
FORM = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
STARTING = 120  # seconds, at the most, for what takes one or two
VARIABLES = [
    *("TAGGER_MODEL", "TAGGER_HOME", "TAGGER_DATABASE", "TAGGER_WORKERS", "TAGGER_QUEUE"),
    *("TAGGER_PREDICT_TOKEN", "TAGGER_ADMIN_TOKEN", "TAGGER_CORS", "TAGGER_KEEP_PHOTOS"),
    *("TAGGER_OPEN_INVOCATIONS", "TAGGER_REQUEST_SECONDS"),
]


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]  # by names in small letters
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


def photo(seed: int = 0) -> bytes:
    """A drawn photo, as a JPEG."""
    return decode.encode(draw("disc", seed), "JPEG")


def form(*photos: bytes, field_name: str = "file") -> bytes:
    """Photos as the body of a form; its headers are FORM."""
    name = f'Content-Disposition: form-data; name="{field_name}"; filename="a.jpg"'
    head = f"--{BOUNDARY}\r\n{name}\r\nContent-Type: image/jpeg\r\n\r\n".encode()
    return b"".join(head + one + b"\r\n" for one in photos) + f"--{BOUNDARY}--\r\n".encode()


def head(target: str, *headers: str, method: str = "POST", host: str = "localhost") -> bytes:
    """A request's first lines, as they are on the wire."""
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", *headers]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


class Serving:
    """A running service and the library it writes to."""

    def __init__(self, home: Path, **environment: str) -> None:
        """`environment` holds its settings, TAGGER_...; it tags with `pets` unless told."""
        self.home = home
        self.port = free_port()
        self._opened: list[socket.socket] = []
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = home.parent / f"{home.name}-{self.port}.log"
        kept = {name: value for name, value in os.environ.items() if name not in VARIABLES}
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tagger.api", "--port", str(self.port)],
                cwd=ROOT,
                env=kept | {"TAGGER_HOME": str(home), "TAGGER_MODEL": "pets"} | environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            wait_until(self.ready, STARTING)
        except AssertionError:
            self.kill()
            raise AssertionError(f"the service does not start\n{self.said()}") from None

    def ready(self) -> bool:
        if self.process.poll() is not None:
            raise AssertionError(f"the service ended: {self.process.returncode}\n{self.said()}")
        try:
            return self.ask("GET", "/ready").status == 200
        except OSError:
            return False

    def connect(self) -> http.client.HTTPConnection:
        """A connection to ask over, again and again."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)

    def ask(
        self,
        method: str,
        target: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        over: http.client.HTTPConnection | None = None,
    ) -> Answer:
        """One request, over a connection of its own unless one is given."""
        connection = over or self.connect()
        try:
            connection.request(method, target, body, dict(headers or {}))
            came = connection.getresponse()
            named = {name.lower(): value for name, value in came.getheaders()}
            return Answer(came.status, named, came.read())
        finally:
            if over is None:
                connection.close()

    def predict(self, *photos: bytes, query: str = "", **headers: str) -> Answer:
        """Photos, tagged."""
        return self.ask("POST", f"/predict{query}", form(*photos), FORM | headers)

    def open(self, sent: bytes = b"") -> socket.socket:
        """A bare connection over which this was sent; closed with the service, if not before."""
        opened = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)
        self._opened.append(opened)
        opened.sendall(sent)
        return opened

    def say(self, request: bytes) -> Answer:
        """Bytes as they are, and the answer to them."""
        with self.open(request) as connection:
            return heard(connection)

    def written(self) -> set[str]:
        """The answers in its journal, by id."""
        library = Library.open(self.home)
        try:
            with library.database.read_transaction() as connection:
                return set(connection.scalars(select(served.c.id)))
        finally:
            library.close()

    @contextmanager
    def growing_at_most(self, most: int) -> Iterator[None]:
        """AssertionError where it takes so many bytes more meanwhile, even for a moment."""
        own = Path("/proc", str(self.process.pid))
        (own / "clear_refs").write_text("5")  # the peak is what it is now
        before = _peak(own)
        yield
        grown = _peak(own) - before
        assert grown <= most, f"{grown / 2**20:.0f} MB more"

    def said(self) -> str:
        """What it wrote to its terminal."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def ask_to_stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def interrupt(self) -> None:
        """As Ctrl-C does."""
        self.process.send_signal(signal.SIGINT)

    def kill(self) -> None:
        """As a power cut would."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for connection in self._opened:
            connection.close()

    def check(self) -> None:
        """It lives, and stumbled over nothing."""
        assert self.process.poll() is None, self.said()
        assert "Traceback" not in self.said(), self.said()


@contextmanager
def serving(home: Path, **environment: str) -> Iterator[Serving]:
    """A service for as long as it is needed."""
    running = Serving(home, **environment)
    try:
        yield running
    finally:
        running.kill()


@dataclass
class Crowd:
    """Clients that ask for predictions without a pause, and what they got."""

    serving: Serving
    answers: list[Answer] = field(default_factory=list)
    cut: list[OSError | http.client.HTTPException] = field(default_factory=list)

    def ids(self) -> set[str]:
        """The answers they have, by id."""
        return {answer.json()["id"] for answer in self.answers if answer.status == 200}

    def statuses(self) -> set[int]:
        return {answer.status for answer in self.answers}

    def wait_for(self, more: int) -> None:
        """Until they have so many answers more."""
        enough = len(self.answers) + more
        wait_until(lambda: len(self.answers) >= enough)


@contextmanager
def crowd(serving: Serving, clients: int = 4) -> Iterator[Crowd]:
    """Clients at work meanwhile; each stops at its first connection that fails."""
    found, over = Crowd(serving), threading.Event()

    def ask(seed: int) -> None:
        body, connection = form(photo(seed)), serving.connect()
        try:
            while not over.is_set():
                found.answers.append(serving.ask("POST", "/predict", body, FORM, connection))
        except (OSError, http.client.HTTPException) as error:
            found.cut.append(error)
        finally:
            connection.close()

    with threads([lambda seed=seed: ask(seed) for seed in range(clients)], over):
        yield found


@contextmanager
def threads(works: list[Callable[[], None]], over: threading.Event) -> Iterator[None]:
    """Work that goes on meanwhile, on a thread each, until `over` is set at the end."""
    begun = [threading.Thread(target=work, daemon=True) for work in works]
    for one in begun:
        one.start()
    try:
        yield
    finally:
        over.set()
        for one in begun:
            one.join(PATIENCE)
    assert not any(one.is_alive() for one in begun), "a client hangs"


def _peak(process: Path) -> int:
    status = (process / "status").read_text()
    (peak,) = (line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(peak.split()[1]) * 1024


def heard(connection: socket.socket) -> Answer:
    """The answer on a bare connection, once whole."""
    came = http.client.HTTPResponse(connection)
    came.begin()
    named = {name.lower(): value for name, value in came.getheaders()}
    return Answer(came.status, named, came.read())


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def log(running: Serving) -> list[dict[str, object]]:
    """The lines it wrote of requests."""
    lines = running.said().splitlines()
    return [json.loads(line) for line in lines if line.startswith("{")]
