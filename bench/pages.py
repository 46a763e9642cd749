"""Time of the app's pages on a library of 100,000 photos, without a browser.

python bench/pages.py
python bench/pages.py --folder /tmp/large     # builds the library there once and reuses it

Each page is opened in a new process, after the start page: its first view, a rerun as after a
click, and the first run after a tag was added to a photo. What a page fetches afterwards, such as
the photos of the gallery, is not in it: see gallery.py.
"""

from __future__ import annotations

import argparse
import functools
import os
import time
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from app import build
from measuring import BENCH, Row, Run, at_most, make_parser, make_photos, publish, temporary_folder
from sqlalchemy import func, update

from tagger.library.database import schema
from tagger.library.database.database import Database, sqlite_url
from tagger.library.duplicates.comparisons import Comparisons
from tagger.library.duplicates.duplicates import FILE

PAGES = {
    "gallery": "Gallery",
    "search": "Search",
    "tags": "Tags",
    "review": "Review",
    "teach": "Teach a tag",
    "models": "Models",
    "duplicates": "Duplicates",
    "activity": "History",
}
TIMES = ("first view", "rerun", "after a change")
BAR = 1.0  # seconds
DISTINCT = 200  # different thumbnails
PAIRS = 2_000  # near copies
MAIN = BENCH.parent / "frontend" / "main.py"


def main() -> None:
    options = parse()
    with temporary_folder() as temporary:
        home = options.folder or temporary / "library"
        if not (home / "catalogue.db").is_file():
            build(home, options.photos, make_photos(temporary / "photos", "small", DISTINCT))
        if not (home / FILE).is_file():
            add_near_copies(home, options.photos)
        os.environ |= {"TAGGER_HOME": str(home), "TAGGER_DATABASE": ""}
        times = {title: measure(view, options.repeats) for view, title in PAGES.items()}
    report(times, options)


def parse() -> argparse.Namespace:
    parser = make_parser(__doc__)
    parser.add_argument("--photos", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=3, help="processes for each page")
    parser.add_argument("--folder", type=Path, help="where the library is, or will be built")
    return parser.parse_args()


def add_near_copies(home: Path, photos: int) -> None:
    """Hashes of all photos, and pairs of photos that are near copies."""
    ids = np.arange(1, photos + 1)
    hashes = np.arange(photos, dtype=np.uint64)
    database = Database.open(sqlite_url(home / "catalogue.db"))
    with database.write_transaction() as connection:
        digits = func.substr(schema.photos.c.sha256, 49)  # of 64, which are the photo's number
        connection.execute(update(schema.photos).values(phash=digits))
    database.close()
    pairs = np.random.default_rng(3).choice(ids, (PAIRS, 2), replace=False)
    compared = Comparisons().add(ids, hashes, np.ones(photos, np.bool_), pairs)
    compared.save(home / FILE)


def measure(view: str, repeats: int) -> list[list[float]]:
    """Seconds of each of TIMES, by process."""
    with get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        return [pool.apply(open_page, (view,)) for _ in range(repeats)]


def open_page(view: str) -> list[float]:
    """Open a page in this process; seconds of each of TIMES."""
    from streamlit.components.v2 import manifest_scanner
    from streamlit.testing.v1 import AppTest

    from frontend.ui.library import open_library

    # The server looks for packages of components at its start, AppTest for each page.
    scan = functools.cache(manifest_scanner.scan_component_manifests)
    manifest_scanner.scan_component_manifests = scan
    scan()
    app = AppTest.from_file(str(MAIN), default_timeout=60).run()
    app.switch_page(f"views/{view}.py")
    first, again = time_run(app.run), time_run(app.run)
    library = open_library()
    operation_id = library.edit_tags(library.list_photos("NOT reviewed").ids[:1], ["sunset"])
    changed = time_run(app.run)
    library.undo(operation_id)
    if app.exception:
        raise SystemExit(f"{view}: {app.exception[0].message}")
    return [first, again, changed]


def time_run(run: Callable[[], Any]) -> float:
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def report(times: dict[str, list[list[float]]], options: argparse.Namespace) -> None:
    rows: list[Row] = []
    for title, runs in times.items():
        seconds = [median(column) for column in zip(*runs, strict=True)]
        row: Row = dict(zip(TIMES, seconds, strict=True))
        rows.append({"page": title, **row, "bar": at_most(max(seconds), BAR)})
    named = {
        f"{title}, {name}": [Run(run[index], 0) for run in runs]
        for title, runs in times.items()
        for index, name in enumerate(TIMES)
    }
    title = f"Pages of the app, {options.photos:,} photos in the library, medians in seconds"
    publish(title, rows, named, options.json)


if __name__ == "__main__":
    main()
