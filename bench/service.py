"""The service under load, beside a Flask server of the usual kind: throughput, waiting, memory.

    python bench/service.py
    python bench/service.py --soak 10     # and ten minutes at 120 % of what it can do

Needs Flask (`pip install -e .[bench]`), `wrk` and `hey`. Requests come from the same machine, so
their making is part of what both servers share the cores with.
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
    make_photos,
    parser,
    publish,
    tiny_baseline,
    workplace,
)
from pressure import CONTENT_TYPE, Answers, Server, at_rate, most, need_tools, serving, write_forms

CLIENTS = 16
PHOTOS = 20
SHARE, TOO_MUCH = 0.7, 1.2  # of the maximum: a busy day, and more than there is room for
MANY = 64  # clients of too much: more than the queue has places
OURS = (sys.executable, "-m", "tagger.api", "--port")
TIMED = (sys.executable, str(BENCH / "timed_service.py"))
USUAL = (sys.executable, str(BENCH / "flask_server.py"))
MINUTE = 60.0

Found = dict[str, list[float]]


def main() -> None:
    options = parse()
    need_tools()
    with workplace() as folder:
        forms = write_forms(make_photos(folder / "photos", "small", PHOTOS), folder / "forms")
        ours = {"TAGGER_HOME": str(folder / "home"), "TAGGER_MODEL": "everyday"}
        found, rows = starts(ours, options.starts)
        rates = throughput(folder, forms, ours, options)
        maximum = median(rates["ours"])
        rows += throughput_rows(rates) + waiting_rows(folder, forms, ours, maximum, options)
        if options.soak:
            rows += soak_rows(forms, ours, maximum, options.soak)
    runs = {what: [Run(value, 0) for value in values] for what, values in (found | rates).items()}
    publish("The service, 500 x 375 JPEGs, 16 clients", rows, runs, options.json)


def parse() -> argparse.Namespace:
    made = parser(__doc__)
    made.add_argument("--starts", type=int, default=5)
    made.add_argument("--repeats", type=int, default=3, help="of each server's throughput")
    made.add_argument("--seconds", type=float, default=10, help="of each measurement")
    made.add_argument("--soak", type=float, metavar="MINUTES", help="at 120 %% of the maximum")
    return made.parse_args()


def row(what: str, value: float | str, bar: str = "") -> Row:
    return {"what": what, "measured": value, "bar": bar}


# From the command to the first answer


def starts(ours: Mapping[str, str], times: int) -> tuple[Found, list[Row]]:
    """The first makes a library; the others find it there."""
    seconds = []
    for _ in range(times + 1):
        with serving(OURS, **ours) as server:
            seconds.append(server.start)
    first, *later = seconds
    rows = [
        row("start to ready, s", median(later), at_most(median(later), 2)),
        row("the first, with a new library, s", first),
    ]
    return {"start": later, "first start": [first]}, rows


# As much as goes


def throughput(
    folder: Path, forms: list[Path], ours: Mapping[str, str], options: argparse.Namespace
) -> Found:
    """Requests a second of both servers, taking turns."""
    rates: Found = {"ours": [], "baseline": []}
    usual = [*USUAL, tiny_baseline(folder)]
    with serving(OURS, **ours) as new, serving(usual) as old:
        for server in (new, old):
            most(server, forms, CLIENTS, options.seconds)  # warm
        for _ in range(options.repeats):
            rates["ours"].append(most(new, forms, CLIENTS, options.seconds))
            rates["baseline"].append(most(old, forms, CLIENTS, options.seconds))
    return rates


def throughput_rows(rates: Found) -> list[Row]:
    ours, usual = median(rates["ours"]), median(rates["baseline"])
    return [
        row("photos/s", ours),
        row("photos/s, Flask and model.predict", usual),
        row("ratio", ours / usual, at_least(ours / usual, 15)),
    ]


# At 70 %: how long it takes, and how much of that is writing it down


def waiting_rows(
    folder: Path,
    forms: list[Path],
    ours: Mapping[str, str],
    maximum: float,
    options: argparse.Namespace,
) -> list[Row]:
    rate = SHARE * maximum
    with serving(OURS, **ours) as server:
        answers = at_rate(server, forms[0], rate, CLIENTS, options.seconds)
    written = folder / "written.json"
    with serving([*TIMED, written], **ours) as server:
        at_rate(server, forms[0], rate, CLIENTS, options.seconds)
    writing = Answers(json.loads(written.read_text()), answers.statuses)
    waited, wrote = answers.percentile(99), writing.percentile(99)
    return [
        row(f"at {rate:.0f} photos/s: p99, ms", waited, at_most(waited, 150)),
        row("median, ms", answers.percentile(50)),
        row("not answered with 200", share(answers, 200)),
        row("from prediction to written: p99, ms", wrote, at_most(wrote, 10)),
        row("median, ms", writing.percentile(50)),
    ]


def share(answers: Answers, but: int) -> str:
    """Of requests, those with another status."""
    others = answers.statuses.total() - answers.statuses[but]
    return f"{others / max(1, answers.statuses.total()):.1%}"


# At 120 %, for long


def soak_rows(
    forms: list[Path], ours: Mapping[str, str], maximum: float, minutes: float
) -> list[Row]:
    seconds, rate = minutes * MINUTE, TOO_MUCH * maximum
    with serving(OURS, **ours) as server:
        before = rows_written(ours)
        with watched(server, min(MINUTE, seconds / 2)) as memory, witness(server, forms[0]) as seen:
            answers = at_rate(server, forms[0], rate, MANY, seconds)
            memory.append(server.resident_mb())
        came = requests_that_came(server)
        alive = server.process.poll() is None and "Traceback" not in server.log.read_text()
    statuses = answers.statuses + seen.statuses
    rows = rows_written(ours) - before
    lost = len(set(seen.ids) - ids_written(ours)) + max(0, statuses[200] - rows)
    grown = memory[1] / memory[0]
    others = statuses.total() - statuses[200] - statuses[503]
    crashed, unanswered = 0 if alive else 1, came - statuses.total()
    return [
        row(f"{minutes:g} min at {rate:.0f} photos/s: crashes", crashed, at_most(crashed, 0)),
        row("MB after a minute", memory[0]),
        row("MB at the end", memory[1]),
        row("grown by", f"{grown - 1:+.1%}", at_most(abs(grown - 1), 0.1)),
        row("refused with 503", f"{statuses[503] / statuses.total():.1%}"),
        row("other answers", others, at_most(others, 0)),
        # When the time is over, each client is cut off in the middle of its last request.
        row("requests without an answer", unanswered, at_most(unanswered, MANY)),
        row("acknowledged", statuses[200]),
        row("rows written", rows),
        row("acknowledged and not written", lost, at_most(lost, 0)),
    ]


def requests_that_came(server: Server) -> int:
    """How many requests with photos the service has seen, as it counts them."""
    with urlopen(f"{server.url}/metrics", timeout=MINUTE) as answer:
        told = answer.read().decode()
    counted = re.findall(r'^tagger_requests_total{route="/predict".*} ([\d.e+]+)$', told, re.M)
    return round(sum(map(float, counted)))


@contextmanager
def watched(server: Server, after: float) -> Iterator[list[float]]:
    """What the server holds after so many seconds, in MB."""
    memory: list[float] = []
    timer = threading.Timer(after, lambda: memory.append(server.resident_mb()))
    timer.start()
    yield memory
    timer.join()


@dataclass
class Seen:
    """What one client saw: the ids of its answers, and its statuses, 0 for none."""

    ids: list[str] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)


@contextmanager
def witness(server: Server, form: Path) -> Iterator[Seen]:
    """One client more, a few times a second, that keeps the ids of its answers."""
    seen = Seen()
    over = threading.Event()
    body = form.read_bytes()

    def ask() -> int:
        asked = Request(f"{server.url}/predict", body, {"Content-Type": CONTENT_TYPE})
        try:
            with urlopen(asked, timeout=MINUTE) as answer:
                seen.ids.append(json.load(answer)["id"])
                return int(answer.status)
        except HTTPError as refused:
            with refused:
                return refused.code
        except OSError:
            return 0

    def ask_on() -> None:
        while not over.wait(0.2):
            seen.statuses[ask()] += 1

    thread = threading.Thread(target=ask_on)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


def rows_written(ours: Mapping[str, str]) -> int:
    return len(ids_written(ours))


def ids_written(ours: Mapping[str, str]) -> set[str]:
    with closing(sqlite3.connect(Path(ours["TAGGER_HOME"], "catalogue.db"))) as database:
        return {row[0] for row in database.execute("SELECT id FROM served")}


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # servers are stopped on the way out
    main()
