"""The app in a process and on a port of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tagger.library.library import Library
from tagger.paths import ROOT
from tests.service.service_process import free_port

TIMEOUT = 60  # seconds for what takes a few
MODULE = (sys.executable, "-m", "streamlit", "run", "frontend/app.py")


def wait_until(condition: Callable[[], bool], message: str, seconds: float = TIMEOUT) -> None:
    """Poll `condition` until it holds. Raises AssertionError with `message` after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"timed out: {message}"
        time.sleep(0.05)


class AppServer:
    """A running app and its library. Its jobs are separate processes."""

    def __init__(
        self,
        home: Path,
        command: Sequence[str] = MODULE,
        cwd: Path = ROOT,
        port: int | None = None,
        model: str | None = "pets",
        base: str = "",
    ) -> None:
        """`model` is the active model of a new library; None leaves the default.

        `base` is the path below which the app is served, such as "/photos".
        """
        self.home = home
        if model is not None and not home.exists():
            with self.library() as library:
                library.use_model(model)
        self.port = port or free_port()
        self.url = f"http://localhost:{self.port}{base}"
        options = ["--server.port", str(self.port), "--server.headless", "true"]
        self.log = home.parent / f"{home.name}-{time.time_ns()}.log"
        environment = {k: value for k, value in os.environ.items() if k != "TAGGER_DATABASE"}
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [*command, *options, "--server.baseUrlPath", base],
                cwd=cwd,
                env=environment | {"TAGGER_HOME": str(home)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            wait_until(self.is_healthy, "the server does not start")
        except AssertionError as error:
            self.kill()
            raise AssertionError(f"{error}\n{self.read_log()}") from None

    def is_healthy(self) -> bool:
        if self.process.poll() is not None:
            raise AssertionError(f"the server ended: {self.process.returncode}\n{self.read_log()}")
        try:
            with urllib.request.urlopen(f"{self.url}/_stcore/health", timeout=5) as response:
                return bool(response.status == 200)
        except OSError:
            return False

    def read_log(self) -> str:
        """What the server printed."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def kill(self) -> None:
        """SIGKILL the server and its jobs at once, like a power cut."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        for pid in self.job_pids():
            os.kill(pid, signal.SIGKILL)
        self.process.wait()

    def check_logs(self) -> None:
        """Fail if the server or a job logged a traceback or a locked database."""
        for path in (self.log, *self.home.glob("logs/*.log")):
            text = path.read_text(encoding="utf-8", errors="replace")
            assert "Traceback" not in text, text
            assert "database is locked" not in text, text

    def job_pids(self) -> list[int]:
        """Worker processes of this library, where /proc lists them."""
        variable = f"TAGGER_HOME={self.home}\0".encode()
        pids = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                command = (process / "cmdline").read_bytes().split(b"\0")
                environment = (process / "environ").read_bytes()
                if b"tagger.jobs.worker" in command and variable in environment:
                    pids.append(int(process.name))
            except OSError:  # it has ended, or belongs to another user
                continue
        return pids

    @contextmanager
    def library(self) -> Iterator[Library]:
        """The app's library, opened beside it."""
        library = Library.open(self.home)
        try:
            yield library
        finally:
            library.close()
