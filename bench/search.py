"""Latency of searches in a large library: a page of 48 photos with tags, and the match count.

python bench/search.py
python bench/search.py --folder /tmp/large     # builds the library there once and reuses it

Typical searches in all orders, equally often and shuffled; the first time of each counts as well.
Words such as "animal" also find what the vocabulary has below them.
The library is from large_library.py: its most frequent label is on a third of the photos.
"""

from __future__ import annotations

import argparse
import math
import random
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from large_library import build
from measuring import Row, Run, at_most, make_parser, publish, temporary_folder

from tagger.library.library import Library
from tagger.library.records import Sort
from tagger.training.run_folder import peak_memory_mb

BAR = 50.0  # ms, for 95 searches of 100
PAGE = 48
SEARCHES: tuple[tuple[str, Sort], ...] = (
    ("", "newest"),
    ("", "taken"),
    ("", "surest"),
    ("person", "newest"),
    ("dog", "name"),
    ("lighthouse", "newest"),
    ('"Ada\'s 40th"', "oldest"),
    ("nothing", "newest"),
    ("b*", "newest"),
    ("person AND dog", "newest"),
    ("dog AND NOT cat", "taken"),
    ("NOT person", "newest"),
    ("sea OR mountain", "newest"),
    ("animal", "newest"),
    ("people", "taken"),
    ("animal AND NOT people", "newest"),
    ("(animal OR vehicle) score>=0.8", "surest"),
    ("(sea OR mountain) score>=0.8", "surest"),
    ("(person OR dog) (sky OR tree) NOT building", "newest"),
    ("dog score<0.6", "doubtful"),
    ("score>=0.95", "newest"),
    ("by:person", "newest"),
    ("unknown", "newest"),
    ("untagged", "oldest"),
    ("NOT reviewed", "doubtful"),
    ("name:rügen", "name"),
    ("name:4711", "newest"),
    ("folder:wedding", "taken"),
    ("added>2025-06-01", "newest"),
    ("taken:2019", "taken"),
    ("taken<2012 person", "newest"),
    ("model:everyday unknown", "newest"),
    ("run:2", "newest"),
)


def main() -> None:
    options = parse()
    if options.folder:
        timings, totals = measure(options.folder, options)
    else:
        with temporary_folder() as folder:
            timings, totals = measure(folder, options)
    report(timings, totals, options)


def parse() -> argparse.Namespace:
    arguments = make_parser(__doc__)
    add = arguments.add_argument
    add("--photos", type=int, default=100_000)
    add("--tags", type=int, default=500_000)
    add("--rounds", type=int, default=20, help="of all searches")
    add("--folder", type=Path, help="where the library is, or will be built")
    return arguments.parse_args()


def measure(
    folder: Path, options: argparse.Namespace
) -> tuple[dict[tuple[str, Sort], list[float]], dict[str, int]]:
    """The milliseconds of each search, and its number of matches."""
    library = Library.open(folder, build(folder, options.photos, options.tags))
    timings: dict[tuple[str, Sort], list[float]] = {search: [] for search in SEARCHES}
    totals = {}
    try:
        for turn in range(options.rounds):
            for query, sort in random.Random(turn).sample(SEARCHES, len(SEARCHES)):
                began = time.perf_counter()
                page = library.search(query, sort, limit=PAGE)
                timings[query, sort].append(1000 * (time.perf_counter() - began))
                totals[query] = page.total
    finally:
        library.close()
    return timings, totals


def report(
    timings: Mapping[tuple[str, Sort], Sequence[float]],
    totals: Mapping[str, int],
    options: argparse.Namespace,
) -> None:
    every = [milliseconds for times in timings.values() for milliseconds in times]
    rows = [
        row(query or "(all)", sort, totals[query], times)
        for (query, sort), times in timings.items()
    ]
    rows.append(row("all of them", "", None, every, at_most(quantile(every, 0.95), BAR)))
    peak = peak_memory_mb() or 0.0  # of the process, including building the library
    runs = {
        f"{query} by {sort}": [Run(milliseconds / 1000, peak) for milliseconds in times]
        for (query, sort), times in timings.items()
    }
    title = f"Searches of {options.photos:,} photos with {options.tags:,} tags, ms"
    publish(title, rows, runs, options.json)


def row(query: str, sort: str, total: int | None, times: Sequence[float], bar: str = "") -> Row:
    p50, p95 = quantile(times, 0.5), quantile(times, 0.95)
    numbers: Row = {"found": total, "p50": p50, "p95": p95, "max": max(times)}
    return {"search": query, "order": sort, **numbers, "bar (p95)": bar}


def quantile(times: Sequence[float], share: float) -> float:
    """The smallest time that a share of the times does not exceed."""
    return sorted(times)[math.ceil(share * len(times)) - 1]


if __name__ == "__main__":
    main()
