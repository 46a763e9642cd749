"""The app in a browser, on a library of 20,000 photos: how long a person waits for what they want.

python bench/app.py

From the command to the first page, from dropping a photo to its tags, from a click to the photos
of a gallery page. Needs Playwright's Python package, and Chromium.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import large_library
import numpy as np
from measuring import BENCH, Row, Run, at_most, make_parser, make_photos, publish, temporary_folder
from playwright.sync_api import Browser, Page, sync_playwright
from sqlalchemy import insert, update

from tagger.images import decode
from tagger.inference.embeddings import DIMENSIONS
from tagger.inference.registry import BUNDLED_MODEL
from tagger.library.database import schema
from tagger.library.database.database import Database
from tagger.library.storage import Storage
from tagger.tagger import Tagger

START = "from the command to the first page"
TAGS = "from a photo's upload to its tags"
GALLERY = "from a click to the gallery's photos"
NEXT = "from a click to its next page's photos"
FIRST = ", the first time"
BARS = {START: 5.0, TAGS: 1.0, GALLERY: 1.0, NEXT: 1.0}  # seconds
COMMAND = (sys.executable, "-m", "streamlit", "run", "frontend/app.py", "--server.headless=true")
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
PAGE = 48
TAGS_EACH = 5
DISTINCT = 200  # thumbnails that differ; the rest are links
PATIENCE = 60  # seconds
LOOK = 0.002  # seconds between two looks


def main() -> None:
    options = parse()
    with temporary_folder() as folder, sync_playwright() as playwright:
        home = folder / "library"
        build(home, options.photos, make_photos(folder / "photos", "small", DISTINCT))
        browser = playwright.chromium.launch(
            executable_path=chromium(), args=["--no-sandbox", "--disable-gpu", "--disable-quic"]
        )
        new = make_photos(folder / "new", "small", options.starts + options.repeats)
        found = measure(browser, home, new, options)
        browser.close()
    report(found, options)


def parse() -> argparse.Namespace:
    parser = make_parser(__doc__)
    parser.add_argument("--photos", type=int, default=20_000, help="in the library")
    parser.add_argument("--starts", type=int, default=3, help="of each kind")
    parser.add_argument("--repeats", type=int, default=5, help="of what comes after")
    return parser.parse_args()


def chromium() -> str:
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        raise SystemExit(f"This benchmark needs a browser: one of {', '.join(BROWSERS)}.")
    return found


def measure(
    browser: Browser, home: Path, new: list[Path], options: argparse.Namespace
) -> dict[str, list[float]]:
    """The seconds of each wait; `new` photos are uploaded, each once."""
    started: list[float] = []
    found: dict[str, list[float]] = {START: started, TAGS + FIRST: [], GALLERY + FIRST: []}
    start(browser, home, open_gallery)  # fills the disk cache
    for photo in new[: options.starts]:
        for what, wait_for in (
            (TAGS, lambda page, photo=photo: upload(page, photo)),
            (GALLERY, open_gallery),
        ):
            seconds, first = start(browser, home, wait_for)
            started.append(seconds)
            found[what + FIRST].append(first)
    with served(home) as url:
        for what in (TAGS, GALLERY, NEXT):
            found[what] = []
        for photo in new[options.starts :]:
            with visit(browser, url) as page:
                found[TAGS].append(upload(page, photo))
            with visit(browser, url) as page:
                found[GALLERY].append(open_gallery(page))
                found[NEXT].append(turn_over(page))
    return found


# The library


def build(home: Path, photos: int, pictures: list[Path]) -> None:
    """Build a large library: the database, thumbnails and embeddings."""
    database = Database.open(large_library.build(home, photos, TAGS_EACH * photos))
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((photos, DIMENSIONS), np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    rows = [
        {"model_id": 1, "photo_id": number, "vector": vector.tobytes()}
        for number, vector in enumerate(vectors.astype(np.float16), 1)
    ]
    with database.write_transaction() as connection:
        sha256 = Tagger.load(BUNDLED_MODEL).sha256  # so that the nearest of all are looked for
        connection.execute(update(schema.models).values(name="pets", sha256=sha256))
        connection.execute(insert(schema.embeddings), rows)
    database.close()
    storage = Storage(home)
    for number in range(photos):
        path = storage.thumbnail_path(f"{number:064x}")
        if number < len(pictures):
            storage.write_thumbnail(path.stem, decode.read(pictures[number]))
        else:
            os.link(storage.thumbnail_path(f"{number % len(pictures):064x}"), path)


# The app


@contextmanager
def served(home: Path) -> Iterator[str]:
    """The app on a library, at an address; killed afterwards."""
    with socket.socket() as found:
        found.bind(("localhost", 0))
        port = found.getsockname()[1]
    process = subprocess.Popen(
        [*COMMAND, f"--server.port={port}"],
        cwd=BENCH.parent,
        env={**os.environ, "TAGGER_HOME": str(home), "TAGGER_DATABASE": ""},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        url = f"http://localhost:{port}"
        wait(lambda: answers(f"{url}/_stcore/health"))
        yield url
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


# What a person waits for, in seconds


def start(browser: Browser, home: Path, then: Callable[[Page], float]) -> tuple[float, float]:
    """From the command until the first page can be used; and what comes `then`."""
    began = time.perf_counter()
    with served(home) as url, visit(browser, url) as page:
        return time.perf_counter() - began, then(page)


@contextmanager
def visit(browser: Browser, url: str) -> Iterator[Page]:
    """The first page before somebody new, in a browser that knows nothing of the app yet."""
    context = browser.new_context()
    page = context.new_page()
    page.set_default_timeout(1000 * PATIENCE)
    page.goto(url)
    page.get_by_role("heading", name="What is in this photo?").wait_for()
    page.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for()
    yield page
    context.close()


def upload(page: Page, photo: Path) -> float:
    """From giving the page a photo until its tags are seen."""
    began = time.perf_counter()
    page.get_by_test_id("stFileUploaderDropzoneInput").set_input_files(photo)
    page.locator(".it-bars li").first.wait_for()
    return time.perf_counter() - began


def open_gallery(page: Page) -> float:
    """From the click at the side until the newest photos are seen."""
    began = time.perf_counter()
    page.get_by_role("link", name="Gallery").click()
    wait(lambda: len(shown(page)) == PAGE)
    return time.perf_counter() - began


def turn_over(page: Page) -> float:
    """From the click on "Next page" until its photos are seen."""
    before = set(shown(page))
    began = time.perf_counter()
    page.get_by_role("button", name="Next page").click()
    wait(lambda: len(shown(page)) == PAGE and not before & set(shown(page)))
    return time.perf_counter() - began


def shown(page: Page) -> list[str]:
    """The photos in the grid whose thumbnails are drawn."""
    drawn: list[str] = page.locator("li[data-id] img").evaluate_all(
        "all => all.filter(i => i.complete && i.naturalWidth).map(i => i.closest('li').dataset.id)"
    )
    return drawn


def wait(until: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not until():
        if time.monotonic() > deadline:
            raise SystemExit("The app does not answer.")
        time.sleep(LOOK)


def report(found: dict[str, list[float]], options: argparse.Namespace) -> None:
    rows: list[Row] = [
        {
            "what": what,
            "seconds": median(times),
            "bar": at_most(median(times), BARS[what.removesuffix(FIRST)]),
        }
        for what, times in found.items()
    ]
    runs = {what: [Run(seconds, 0) for seconds in times] for what, times in found.items()}
    title = f"The app in a browser, {options.photos:,} photos in the library, medians"
    publish(title, rows, runs, options.json)


if __name__ == "__main__":
    main()
