"""Load tests: servers as child processes, and requests from Debian's `wrk` and `hey`."""

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
TIMEOUT = 120  # seconds for a server to start or to stop
POLL_SECONDS = 0.005

# For wrk, in Lua: the photos in turn; each request is built once.
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
    """A running server; `start` is the seconds from its command to its first answer."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path
    start: float

    def resident_mb(self) -> float:
        """Resident memory in MB (10^6 bytes) of all its processes, on Linux."""
        pages, processes = 0, [self.process.pid]
        while processes:
            folder = Path(f"/proc/{processes.pop()}")
            try:
                pages += int((folder / "statm").read_text().split()[1])
                for children in folder.glob("task/*/children"):
                    processes += map(int, children.read_text().split())
            except OSError:  # it has ended
                continue
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


@dataclass(frozen=True)
class LoadResult:
    """Results at a fixed rate of requests: the seconds of answers with 200, and all statuses."""

    seconds: list[float]
    statuses: Counter[int]

    def percentile(self, percent: float) -> float:
        """The percentile of the answers' time in milliseconds; infinite if there are none."""
        ranked = sorted(self.seconds)
        index = int(len(ranked) * percent / 100)
        return 1000 * ranked[min(index, len(ranked) - 1)] if ranked else float("inf")


def check_tools() -> None:
    """SystemExit if wrk or hey is not installed."""
    missing = [tool for tool in ("wrk", "hey") if shutil.which(tool) is None]
    if missing:
        raise SystemExit(f"This benchmark needs {' and '.join(missing)}: apt-get install wrk hey")


@contextmanager
def run_server(command: Sequence[str | Path], **environment: str) -> Iterator[Server]:
    """Start a server by `command` and a port, wait until it is ready; stop it at the end."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.NamedTemporaryFile(suffix=".log") as log:
        started = time.perf_counter()
        process = subprocess.Popen(
            [*map(str, command), str(port)],
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        try:
            url = f"http://127.0.0.1:{port}"
            while not is_ready(f"{url}/ready"):
                if process.poll() is not None or time.perf_counter() - started > TIMEOUT:
                    raise SystemExit(f"The server does not start.\n{Path(log.name).read_text()}")
                time.sleep(POLL_SECONDS)
            yield Server(url, process, Path(log.name), time.perf_counter() - started)
        finally:
            process.terminate()
            process.wait(TIMEOUT)


def is_ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT) as response:
            return bool(response.status == 200)
    except OSError:
        return False


def form(photo: Path) -> bytes:
    """The body of a multipart form with a photo in its field `file`."""
    disposition = f'Content-Disposition: form-data; name="file"; filename="{photo.name}"'
    head = f"--{BOUNDARY}\r\n{disposition}\r\nContent-Type: image/jpeg\r\n\r\n".encode()
    return head + photo.read_bytes() + f"\r\n--{BOUNDARY}--\r\n".encode()


def write_forms(photos: Sequence[Path], folder: Path) -> list[Path]:
    """Write the body of a form for each photo; the files' paths."""
    folder.mkdir()
    for photo in photos:
        (folder / f"{photo.stem}.form").write_bytes(form(photo))
    return sorted(folder.iterdir())


def measure_throughput(
    server: Server, forms: Sequence[Path], clients: int, seconds: float
) -> float:
    """Requests per second if each client sends its next request at once."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(SCRIPT % (CONTENT_TYPE, ", ".join(f'"{path}"' for path in forms)))
        script.flush()
        options = ["-t1", f"-c{clients}", f"-d{seconds:g}s", "--timeout", "30s"]
        output = _run("wrk", *options, "-s", script.name, f"{server.url}/predict")
    failed = re.search(r"Non-2xx or 3xx responses: (\d+)", output)
    broken = re.search(r"Socket errors: (.*)", output)
    if failed or broken:
        raise SystemExit(f"Requests failed:\n{output}\n{server.log.read_text()[-2000:]}")
    (rate,) = re.findall(r"Requests/sec:\s+([\d.]+)", output)
    if not float(rate):
        raise SystemExit(f"Nothing was answered within {seconds:g} s: give more --seconds.")
    return float(rate)


def measure_at_rate(
    server: Server, form: Path, rate: float, clients: int, seconds: float
) -> LoadResult:
    """Send `rate` requests per second, an equal share by each client."""
    options = ["-z", f"{seconds:g}s", "-c", str(clients), "-q", f"{rate / clients:.4f}"]
    options += ["-m", "POST", "-T", CONTENT_TYPE, "-D", str(form), "-o", "csv"]
    output = _run("hey", *options, f"{server.url}/predict")
    rows = list(csv.DictReader(io.StringIO(output)))
    statuses = Counter(int(row["status-code"]) for row in rows)
    times = [float(row["response-time"]) for row in rows if row["status-code"] == "200"]
    return LoadResult(times, statuses)


def _run(*command: str) -> str:
    process = subprocess.run(command, capture_output=True, text=True)
    if process.returncode:
        error = process.stderr[-2000:]
        raise SystemExit(f"{command[0]}: exit status {process.returncode}\n{error}")
    return process.stdout
