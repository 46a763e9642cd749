"""Waiting times in the app, in a browser, on a library of 20,000 photos.

python bench/app.py

From the command to the first page, from an upload to its tags, from a click to the photos of a
gallery page. Needs the Python package playwright and Chromium.
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
from sqlalchemy import insert

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
DISTINCT = 200  # different thumbnails; the others are hard links to them
TIMEOUT = 60  # seconds
POLL = 0.002  # seconds


def main() -> None:
    options = parse()
    with temporary_folder() as folder, sync_playwright() as playwright:
        home = folder / "library"
        build(home, options.photos, make_photos(folder / "photos", "small", DISTINCT))
        browser = playwright.chromium.launch(
            executable_path=find_chromium(),
            args=["--no-sandbox", "--disable-gpu", "--disable-quic"],
        )
        new = make_photos(folder / "new", "small", options.starts + options.repeats)
        seconds = measure(browser, home, new, options)
        browser.close()
    report(seconds, options)


def parse() -> argparse.Namespace:
    parser = make_parser(__doc__)
    parser.add_argument("--photos", type=int, default=20_000, help="in the library")
    parser.add_argument("--starts", type=int, default=3, help="of each kind")
    parser.add_argument("--repeats", type=int, default=5, help="of what comes after")
    return parser.parse_args()


def find_chromium() -> str:
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        raise SystemExit(f"This benchmark needs a browser: one of {', '.join(BROWSERS)}.")
    return path


def measure(
    browser: Browser, home: Path, new: list[Path], options: argparse.Namespace
) -> dict[str, list[float]]:
    """Seconds of each step; the `new` photos are uploaded once each."""
    times: dict[str, list[float]] = {START: [], TAGS + FIRST: [], GALLERY + FIRST: []}
    start(browser, home, open_gallery)  # fills the disk cache
    for photo in new[: options.starts]:
        for step, measure_step in (
            (TAGS, lambda page, photo=photo: upload(page, photo)),
            (GALLERY, open_gallery),
        ):
            seconds, first = start(browser, home, measure_step)
            times[START].append(seconds)
            times[step + FIRST].append(first)
    with run_app(home) as url:
        for step in (TAGS, GALLERY, NEXT):
            times[step] = []
        for photo in new[options.starts :]:
            with open_app(browser, url) as page:
                times[TAGS].append(upload(page, photo))
            with open_app(browser, url) as page:
                times[GALLERY].append(open_gallery(page))
                times[NEXT].append(open_next_page(page))
    return times


# The library


def build(home: Path, photos: int, pictures: list[Path]) -> None:
    """Build a large library: the database, thumbnails and vectors."""
    database = Database.open(large_library.build(home, photos, TAGS_EACH * photos))
    tagger = Tagger.load(BUNDLED_MODEL)
    dimensions = tagger.words.dimensions if tagger.words else DIMENSIONS
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((photos, dimensions), np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    rows = [
        {"space_id": 1, "photo_id": number, "vector": vector.tobytes()}
        for number, vector in enumerate(vectors.astype(np.float16), 1)
    ]
    with database.write_transaction() as connection:
        # the space in which the app looks for the nearest photos
        connection.execute(insert(schema.spaces).values(id=1, sha256=tagger.space))
        connection.execute(insert(schema.vectors), rows)
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
def run_app(home: Path) -> Iterator[str]:
    """Run the app on a library; its URL. It is killed afterwards."""
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
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
        wait_until(lambda: is_healthy(f"{url}/_stcore/health"))
        yield url
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def is_healthy(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT) as response:
            return bool(response.status == 200)
    except OSError:
        return False


# Steps, in seconds


def start(browser: Browser, home: Path, next_step: Callable[[Page], float]) -> tuple[float, float]:
    """From the command until the first page is ready; then the next step."""
    began = time.perf_counter()
    with run_app(home) as url, open_app(browser, url) as page:
        return time.perf_counter() - began, next_step(page)


@contextmanager
def open_app(browser: Browser, url: str) -> Iterator[Page]:
    """The first page in a new browser profile."""
    context = browser.new_context()
    page = context.new_page()
    page.set_default_timeout(1000 * TIMEOUT)
    page.goto(url)
    page.get_by_role("heading", name="What is in this photo?").wait_for()
    page.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for()
    yield page
    context.close()


def upload(page: Page, photo: Path) -> float:
    """From the upload of a photo until its tags are shown."""
    began = time.perf_counter()
    page.get_by_test_id("stFileUploaderDropzoneInput").set_input_files(photo)
    page.locator(".it-bars li").first.wait_for()
    return time.perf_counter() - began


def open_gallery(page: Page) -> float:
    """From the click in the sidebar until the newest photos are shown."""
    began = time.perf_counter()
    page.get_by_role("link", name="Gallery").click()
    wait_until(lambda: len(loaded_photos(page)) == PAGE)
    return time.perf_counter() - began


def open_next_page(page: Page) -> float:
    """From the click on "Next page" until its photos are shown."""
    before = set(loaded_photos(page))
    began = time.perf_counter()
    page.get_by_role("button", name="Next page").click()
    wait_until(lambda: len(loaded_photos(page)) == PAGE and not before & set(loaded_photos(page)))
    return time.perf_counter() - began


def loaded_photos(page: Page) -> list[str]:
    """The ids of the photos in the grid whose thumbnails are loaded."""
    ids: list[str] = page.locator("li[data-id] img").evaluate_all(
        "all => all.filter(i => i.complete && i.naturalWidth).map(i => i.closest('li').dataset.id)"
    )
    return ids


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + TIMEOUT
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit("The app does not answer.")
        time.sleep(POLL)


def report(times: dict[str, list[float]], options: argparse.Namespace) -> None:
    rows: list[Row] = [
        {
            "what": step,
            "seconds": median(seconds),
            "bar": at_most(median(seconds), BARS[step.removesuffix(FIRST)]),
        }
        for step, seconds in times.items()
    ]
    runs = {step: [Run(second, 0) for second in seconds] for step, seconds in times.items()}
    title = f"The app in a browser, {options.photos:,} photos in the library, medians"
    publish(title, rows, runs, options.json)


if __name__ == "__main__":
    main()
