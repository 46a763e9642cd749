"""The service as a person starts it: a process of its own, on a port of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from e2e.server import free_port, wait_until
from tagger.places import ROOT
from tagger.service import KEPT

OURS = ("TAGGER_CACHE",)  # settings that it shares with the tests


class Service:
    """A running service with a library of its own."""

    def __init__(self, home: Path, **environment: str) -> None:
        """`environment` is added to ours, less what would set a service up."""
        self.home = home
        self.port = free_port()
        self.url = f"http://localhost:{self.port}"
        self.log = home.parent / f"{home.name}.log"
        kept = {
            name: value
            for name, value in os.environ.items()
            if name in OURS or not name.startswith("TAGGER_")
        }
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tagger.api", "--port", str(self.port)],
                cwd=ROOT,
                env=kept | {"TAGGER_HOME": str(home)} | environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def ready(self) -> bool:
        assert self.process.poll() is None, f"the service ended\n{self.said()}"
        try:
            with urllib.request.urlopen(f"{self.url}/ready", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def newest_photo(self) -> bytes:
        """The last photo that came in, of a service that keeps them."""
        photos = (path for path in self.home.glob(f"{KEPT}/*/*") if path.is_file())
        return max(photos, key=lambda path: path.stat().st_mtime_ns).read_bytes()

    def said(self) -> str:
        """What the terminal shows."""
        return self.log.read_text(encoding="utf-8", errors="replace")


@contextmanager
def running(home: Path, **environment: str) -> Iterator[Service]:
    """A service that is stopped in the end; it must not have stumbled."""
    service = Service(home, **environment)
    try:
        wait_until(service.ready, "the service does not start")
        yield service
    finally:
        service.process.terminate()
        service.process.wait(timeout=30)
    assert "Traceback" not in service.said(), service.said()
