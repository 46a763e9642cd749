"""The service under load, compared with a Flask server: throughput, latency, memory.

    python bench/service.py
    python bench/service.py --soak 10     # and ten minutes at 120 % of its throughput

Needs Flask (`pip install -e .[bench]`), `wrk` and `hey`. The clients run on the same machine and
share the cores with either server.
"""

from __future__ import annotations

import argparse
import json
import re
import signal
import sqlite3
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from measuring import (
    BENCH,
    Row,
    Run,
    at_least,
    at_most,
    make_parser,
    make_photos,
    publish,
    temporary_folder,
    tiny_baseline,
)
from pressure import (
    CONTENT_TYPE,
    LoadResult,
    Server,
    check_tools,
    measure_at_rate,
    measure_throughput,
    run_server,
    write_forms,
)

CLIENTS = 16
PHOTOS = 20
BUSY, OVERLOAD = 0.7, 1.2  # shares of the maximum throughput
OVERLOAD_CLIENTS = 64  # more than fit into the queue
SERVICE = (sys.executable, "-m", "tagger.api", "--port")
TIMED_SERVICE = (sys.executable, str(BENCH / "timed_service.py"))
FLASK = (sys.executable, str(BENCH / "flask_server.py"))
MINUTE = 60.0

Samples = dict[str, list[float]]


def main() -> None:
    options = parse()
    check_tools()
    with temporary_folder() as folder:
        forms = write_forms(make_photos(folder / "photos", "small", PHOTOS), folder / "forms")
        environment = {"TAGGER_HOME": str(folder / "home"), "TAGGER_MODEL": "everyday"}
        starts, rows = measure_starts(environment, options.starts)
        rates = compare_throughput(folder, forms, environment, options)
        maximum = median(rates["ours"])
        rows += throughput_rows(rates) + latency_rows(folder, forms, environment, maximum, options)
        if options.soak:
            rows += soak_rows(forms, environment, maximum, options.soak)
    runs = {what: [Run(value, 0) for value in values] for what, values in (starts | rates).items()}
    publish("The service, 500 x 375 JPEGs, 16 clients", rows, runs, options.json)


def parse() -> argparse.Namespace:
    arguments = make_parser(__doc__)
    arguments.add_argument("--starts", type=int, default=5)
    arguments.add_argument("--repeats", type=int, default=3, help="of each server's throughput")
    arguments.add_argument("--seconds", type=float, default=10, help="of each measurement")
    arguments.add_argument("--soak", type=float, metavar="MINUTES", help="at 120 %% of the maximum")
    return arguments.parse_args()


def row(what: str, value: float | str, bar: str = "") -> Row:
    return {"what": what, "measured": value, "bar": bar}


# Time to start


def measure_starts(environment: Mapping[str, str], times: int) -> tuple[Samples, list[Row]]:
    """The first start creates the library, the others open it."""
    seconds = []
    for _ in range(times + 1):
        with run_server(SERVICE, **environment) as server:
            seconds.append(server.start)
    first, *later = seconds
    rows = [
        row("start to ready, s", median(later), at_most(median(later), 2)),
        row("the first, with a new library, s", first),
    ]
    return {"start": later, "first start": [first]}, rows


# Throughput


def compare_throughput(
    folder: Path, forms: list[Path], environment: Mapping[str, str], options: argparse.Namespace
) -> Samples:
    """Requests per second of both servers, in turns."""
    rates: Samples = {"ours": [], "baseline": []}
    flask = [*FLASK, tiny_baseline(folder)]
    with run_server(SERVICE, **environment) as service, run_server(flask) as baseline:
        for server in (service, baseline):
            measure_throughput(server, forms, CLIENTS, options.seconds)  # warm-up
        for _ in range(options.repeats):
            for name, server in (("ours", service), ("baseline", baseline)):
                rates[name].append(measure_throughput(server, forms, CLIENTS, options.seconds))
    return rates


def throughput_rows(rates: Samples) -> list[Row]:
    ours, baseline = median(rates["ours"]), median(rates["baseline"])
    return [
        row("photos/s", ours),
        row("photos/s, Flask and model.predict", baseline),
        row("ratio", ours / baseline, at_least(ours / baseline, 15)),
    ]


# Latency at 70 %, and how much of it is the prediction log


def latency_rows(
    folder: Path,
    forms: list[Path],
    environment: Mapping[str, str],
    maximum: float,
    options: argparse.Namespace,
) -> list[Row]:
    rate = BUSY * maximum
    with run_server(SERVICE, **environment) as server:
        answers = measure_at_rate(server, forms[0], rate, CLIENTS, options.seconds)
    notes = folder / "written.json"
    with run_server([*TIMED_SERVICE, notes], **environment) as server:
        measure_at_rate(server, forms[0], rate, CLIENTS, options.seconds)
    logging = LoadResult(json.loads(notes.read_text()), answers.statuses)
    answered, logged = answers.percentile(99), logging.percentile(99)
    return [
        row(f"at {rate:.0f} photos/s: p99, ms", answered, at_most(answered, 150)),
        row("median, ms", answers.percentile(50)),
        row("not answered with 200", share_not(200, answers.statuses)),
        row("from prediction to written: p99, ms", logged, at_most(logged, 10)),
        row("median, ms", logging.percentile(50)),
    ]


def share_not(status: int, statuses: Counter[int]) -> str:
    """The share of requests with any other status."""
    count = statuses.total() - statuses[status]
    return f"{count / max(1, statuses.total()):.1%}"


# Overload: 120 % for minutes


def soak_rows(
    forms: list[Path], environment: Mapping[str, str], maximum: float, minutes: float
) -> list[Row]:
    seconds, rate = minutes * MINUTE, OVERLOAD * maximum
    with run_server(SERVICE, **environment) as server:
        before = len(logged_ids(environment))
        with (
            memory_after(server, min(MINUTE, seconds / 2)) as memory,
            extra_client(server, forms[0]) as client,
        ):
            answers = measure_at_rate(server, forms[0], rate, OVERLOAD_CLIENTS, seconds)
            memory.append(server.resident_mb())
        received = count_requests(server)
        alive = server.process.poll() is None and "Traceback" not in server.log.read_text()
    statuses = answers.statuses + client.statuses
    ids = logged_ids(environment)
    rows = len(ids) - before
    lost = len(set(client.ids) - ids) + max(0, statuses[200] - rows)
    growth = memory[1] / memory[0] - 1
    other_answers = statuses.total() - statuses[200] - statuses[503]
    crashes, unanswered = 0 if alive else 1, received - statuses.total()
    return [
        row(f"{minutes:g} min at {rate:.0f} photos/s: crashes", crashes, at_most(crashes, 0)),
        row("MB after a minute", memory[0]),
        row("MB at the end", memory[1]),
        row("grown by", f"{growth:+.1%}", at_most(abs(growth), 0.1)),
        row("refused with 503", f"{statuses[503] / statuses.total():.1%}"),
        row("other answers", other_answers, at_most(other_answers, 0)),
        # At the end each client is stopped in the middle of a request.
        row("requests without an answer", unanswered, at_most(unanswered, OVERLOAD_CLIENTS)),
        row("acknowledged", statuses[200]),
        row("rows written", rows),
        row("acknowledged and not written", lost, at_most(lost, 0)),
    ]


def count_requests(server: Server) -> int:
    """The service's own count of requests to /predict."""
    with urlopen(f"{server.url}/metrics", timeout=MINUTE) as response:
        metrics = response.read().decode()
    counts = re.findall(r'^tagger_requests_total{route="/predict".*} ([\d.e+]+)$', metrics, re.M)
    return round(sum(map(float, counts)))


@contextmanager
def memory_after(server: Server, seconds: float) -> Iterator[list[float]]:
    """A list that gets the server's resident memory in MB after some seconds."""
    memory: list[float] = []
    timer = threading.Timer(seconds, lambda: memory.append(server.resident_mb()))
    timer.start()
    yield memory
    timer.join()


@dataclass
class ClientResult:
    """The ids and statuses of one client's answers; status 0 is no answer."""

    ids: list[str] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)


@contextmanager
def extra_client(server: Server, form: Path) -> Iterator[ClientResult]:
    """A client that sends a few requests per second and keeps the ids of its answers."""
    result = ClientResult()
    stop = threading.Event()
    body = form.read_bytes()

    def send() -> int:
        request = Request(f"{server.url}/predict", body, {"Content-Type": CONTENT_TYPE})
        try:
            with urlopen(request, timeout=MINUTE) as response:
                result.ids.append(json.load(response)["id"])
                return int(response.status)
        except HTTPError as error:
            with error:
                return error.code
        except OSError:
            return 0

    def run() -> None:
        while not stop.wait(0.2):
            result.statuses[send()] += 1

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield result
    finally:
        stop.set()
        thread.join()


def logged_ids(environment: Mapping[str, str]) -> set[str]:
    with closing(sqlite3.connect(Path(environment["TAGGER_HOME"], "catalogue.db"))) as database:
        return {row[0] for row in database.execute("SELECT id FROM served")}


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the servers are stopped
    main()
