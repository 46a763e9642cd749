"""The app as a person starts it: a process of its own, on a port of its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tagger.library.library import Library
from tagger.paths import ROOT

PATIENCE = 60  # seconds for what takes a few
MODULE = (sys.executable, "-m", "streamlit", "run", "frontend/app.py")


def wait_until(what: Callable[[], bool], told: str, seconds: float = PATIENCE) -> None:
    """Look again and again until it is so; AssertionError with `told` when it takes too long."""
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until, f"waited in vain: {told}"
        time.sleep(0.05)


class Server:
    """A running app and the library it shows. Its jobs are processes beside it."""

    def __init__(
        self,
        home: Path,
        command: Sequence[str] = MODULE,
        cwd: Path = ROOT,
        port: int | None = None,
        model: str | None = "pets",
    ) -> None:
        """`model` is what a new library tags with; None: what it does unless told otherwise."""
        self.home = home
        if model is not None and not home.exists():
            with self.library() as library:
                library.set_active_model(model)
        self.port = port or free_port()
        self.url = f"http://localhost:{self.port}"
        self.log = home.parent / f"{home.name}-{time.time_ns()}.log"
        kept = {name: value for name, value in os.environ.items() if name != "TAGGER_DATABASE"}
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [*command, "--server.port", str(self.port), "--server.headless", "true"],
                cwd=cwd,
                env=kept | {"TAGGER_HOME": str(home)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            wait_until(self.healthy, "the server does not start")
        except AssertionError as error:
            self.kill()
            raise AssertionError(f"{error}\n{self.said()}") from None

    def healthy(self) -> bool:
        if self.process.poll() is not None:
            raise AssertionError(f"the server ended: {self.process.returncode}\n{self.said()}")
        try:
            with urllib.request.urlopen(f"{self.url}/_stcore/health", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def said(self) -> str:
        """What the terminal shows."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def kill(self) -> None:
        """As a power cut would: the server and its jobs at once, with nothing said to them."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        for job in self.jobs():
            os.kill(job, signal.SIGKILL)
        self.process.wait()

    def check(self) -> None:
        """Neither the server nor a job stumbled over anything."""
        for log in (self.log, *self.home.glob("logs/*.log")):
            said = log.read_text(encoding="utf-8", errors="replace")
            assert "Traceback" not in said, said
            assert "database is locked" not in said, said

    def jobs(self) -> list[int]:
        """The processes at work on its library, where the system tells which those are."""
        needle = f"TAGGER_HOME={self.home}\0".encode()
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                commanded = (process / "cmdline").read_bytes().split(b"\0")
                if (
                    b"tagger.jobs.worker" in commanded
                    and needle in (process / "environ").read_bytes()
                ):
                    found.append(int(process.name))
            except OSError:  # it ended meanwhile, or is somebody else's
                continue
        return found

    @contextmanager
    def library(self) -> Iterator[Library]:
        """The library behind the app, to see what came of it."""
        opened = Library.open(self.home)
        try:
            yield opened
        finally:
            opened.close()


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as found:
        found.bind(("localhost", 0))
        return int(found.getsockname()[1])
