"""Servers as processes of their own, and requests to them from Debian's `wrk` and `hey`."""

from __future__ import annotations

import csv
import io
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

BOUNDARY = "a-photo-is-between-these"
CONTENT_TYPE = f"multipart/form-data; boundary={BOUNDARY}"
PATIENCE = 120  # seconds for a server to start or to stop
LOOK = 0.005  # seconds between two looks

# wrk's own language: every photo in turn, each request put together once.
SCRIPT = """
local requests, turn = {}, 0
init = function(arguments)
   wrk.method = "POST"
   wrk.headers["Content-Type"] = "%s"
   for _, path in ipairs({%s}) do
      local file = io.open(path, "rb")
      wrk.body = file:read("*all")
      file:close()
      table.insert(requests, wrk.format())
   end
end
request = function()
   turn = turn %% #requests + 1
   return requests[turn]
end
"""


@dataclass(frozen=True)
class Server:
    """A running server: where, as which process, and the seconds it took to be ready."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path
    start: float

    def resident_mb(self) -> float:
        """What it holds now, in MB (10^6 bytes), as Linux tells it."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


@dataclass(frozen=True)
class Answers:
    """What a fixed rate of requests got: the seconds of those answered 200; statuses, counted."""

    seconds: list[float]
    statuses: Counter[int]

    def percentile(self, percent: float) -> float:
        """Milliseconds that so many percent took at most; no answer is an endless one."""
        ranked = sorted(self.seconds)
        place = int(len(ranked) * percent / 100)
        return 1000 * ranked[min(place, len(ranked) - 1)] if ranked else float("inf")


def need_tools() -> None:
    """SystemExit where one is not installed."""
    missing = [tool for tool in ("wrk", "hey") if shutil.which(tool) is None]
    if missing:
        raise SystemExit(f"This benchmark needs {' and '.join(missing)}: apt-get install wrk hey")


@contextmanager
def serving(command: Sequence[str | Path], **environment: str) -> Iterator[Server]:
    """A server that `command` and a port start, ready; asked to stop afterwards."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    with tempfile.NamedTemporaryFile(suffix=".log") as log:
        began = time.perf_counter()
        process = subprocess.Popen(
            [*map(str, command), str(port)],
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        try:
            url = f"http://127.0.0.1:{port}"
            while not answers(f"{url}/ready"):
                if process.poll() is not None or time.perf_counter() - began > PATIENCE:
                    raise SystemExit(f"The server does not start.\n{Path(log.name).read_text()}")
                time.sleep(LOOK)
            yield Server(url, process, Path(log.name), time.perf_counter() - began)
        finally:
            process.terminate()
            process.wait(PATIENCE)


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def form(photo: Path) -> bytes:
    """A photo as the body of a form with a field `file`."""
    name = f'Content-Disposition: form-data; name="file"; filename="{photo.name}"'
    head = f"--{BOUNDARY}\r\n{name}\r\nContent-Type: image/jpeg\r\n\r\n".encode()
    return head + photo.read_bytes() + f"\r\n--{BOUNDARY}--\r\n".encode()


def write_forms(photos: Sequence[Path], folder: Path) -> list[Path]:
    """A file for each photo, with the body that sends it."""
    folder.mkdir()
    for photo in photos:
        (folder / f"{photo.stem}.form").write_bytes(form(photo))
    return sorted(folder.iterdir())


def most(server: Server, forms: Sequence[Path], clients: int, seconds: float) -> float:
    """Requests a second that are answered when every client asks again at once."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(SCRIPT % (CONTENT_TYPE, ", ".join(f'"{path}"' for path in forms)))
        script.flush()
        options = ["-t1", f"-c{clients}", f"-d{seconds:g}s", "--timeout", "30s"]
        said = _run("wrk", *options, "-s", script.name, f"{server.url}/predict")
    failed = re.search(r"Non-2xx or 3xx responses: (\d+)", said)
    failed_too = re.search(r"Socket errors: (.*)", said)
    if failed or failed_too:
        raise SystemExit(f"Requests failed:\n{said}\n{server.log.read_text()[-2000:]}")
    (rate,) = re.findall(r"Requests/sec:\s+([\d.]+)", said)
    if not float(rate):
        raise SystemExit(f"Nothing was answered within {seconds:g} s: give more --seconds.")
    return float(rate)


def at_rate(server: Server, form: Path, rate: float, clients: int, seconds: float) -> Answers:
    """So many requests a second, by clients that each keep to their share of it."""
    options = ["-z", f"{seconds:g}s", "-c", str(clients), "-q", f"{rate / clients:.4f}"]
    options += ["-m", "POST", "-T", CONTENT_TYPE, "-D", str(form), "-o", "csv"]
    said = _run("hey", *options, f"{server.url}/predict")
    rows = list(csv.DictReader(io.StringIO(said)))
    statuses = Counter(int(row["status-code"]) for row in rows)
    well = [float(row["response-time"]) for row in rows if row["status-code"] == "200"]
    return Answers(well, statuses)


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{command[0]}: exit status {done.returncode}\n{done.stderr[-2000:]}")
    return done.stdout
