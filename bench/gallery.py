"""Looking at photos in the app, in a browser: opening one of 20,000, and scrolling 100,000.

python bench/gallery.py
python bench/gallery.py --folder /tmp/large --part scroll    # keeps the libraries; one half alone

Opening a photo of 12 megapixels, the next one after a second's look, and back to the gallery; the
first screen of a large gallery, the longest time in a run that half of it is blank while it is
scrolled with the wheel by ten times its height in a second and then with the scroll bar, and the
page's memory. Bars are for the median of the runs: the highest is often that of a busy machine.
Needs the Python package playwright and Chromium.
"""

from __future__ import annotations

import argparse
import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from app import TIMEOUT, build, find_chromium, run_app
from measuring import Row, Run, at_most, make_parser, make_photos, publish, temporary_folder
from playwright.sync_api import Browser, CDPSession, Page, sync_playwright
from sqlalchemy import update

from tagger.images import decode
from tagger.library.database import schema
from tagger.library.database.database import Database, sqlite_url
from tagger.library.library import Library
from tagger.library.storage import Storage

OPEN, NEXT, BACK = "opening a photo", "the next photo", "back to the gallery"
FIRST = "first screen"
BY_WHEEL, BY_BAR = "longest blank, by the wheel", "longest blank, by the scroll bar"
MEMORY, GROWN = "memory of the page, first screen, MB", "memory of the page, whole gallery, MB"
BARS = {OPEN: 0.4, NEXT: 0.15, BACK: 0.3, FIRST: 1.0, BY_WHEEL: 0.3, BY_BAR: 0.3}  # seconds
GROWTH = 60.0  # MB that scrolling through the whole gallery may add
DISTINCT = 200  # different thumbnails
LARGE = 12  # photos of 12 megapixels, the first of the timeline
LOOK = 1000  # milliseconds, at a photo before the next
STEPS = 4  # to the next photo, each time that a photo is opened
WHEEL, PAUSE = 900, 100  # pixels and milliseconds: ten times the window's height in a second
TURNS = 50
JUMPS = 30

# In each page, as `bench`. Times are in seconds, until the frame after.
_SCRIPT = """window.bench = {
  root: () => [...document.querySelectorAll("[data-testid=stBidiComponentIsolated]")]
    .map((host) => host.shadowRoot).find((root) => root?.querySelector(".timeline")),
  dialog: () => bench.root().querySelector("dialog"),
  frame: () => new Promise((resolve) => requestAnimationFrame(resolve)),
  until: async (condition) => {
    const began = performance.now();
    while (!condition() && performance.now() - began < 60000) await bench.frame();
    await bench.frame();
    return (performance.now() - began) / 1000;
  },
  isReady: ({ dataset, open }) => open && dataset.ready && dataset.ready === dataset.photo,
  // Whether photos are loaded at this share of points of the window.
  isFilled: (share) => {
    const root = bench.root();
    let filled = 0;
    // So near to each other that few can lie between tiles at the same time.
    for (let x = 0.29; x < 0.93; x += 0.09) for (let y = 0.3; y < 0.94; y += 0.09) {
      const tile = root?.elementFromPoint(x * innerWidth, y * innerHeight)?.closest("li");
      const image = tile?.querySelector("img");
      if (image?.complete && image.naturalWidth) filled += 1;
    }
    return filled >= share * 64;
  },
  open: (index) => {
    bench.root().querySelector(`li[data-index="${index}"] > button`).click();
    return bench.until(() => bench.isReady(bench.dialog()));
  },
  next: () => {
    const dialog = bench.dialog();
    const before = dialog.dataset.photo;
    dialog.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight", bubbles: true }));
    return bench.until(() => dialog.dataset.photo !== before && bench.isReady(dialog));
  },
  back: () => {
    bench.dialog().querySelector("[aria-label=Close]").click();
    return bench.until(() => !bench.dialog().open && bench.isFilled(0.6));
  },
  takeBlank: () => {
    const { blank } = bench;
    bench.blank = 0;
    return blank;
  },
  watch: () => {
    bench.blank = 0;
    let since = null;
    const look = () => {
      const now = performance.now();
      since = bench.isFilled(0.5) ? null : since ?? now;
      if (since !== null) bench.blank = Math.max(bench.blank, (now - since) / 1000);
    };
    setInterval(look, 40); // in each frame it would take a third of the page's time
  },
  scroll: (share) => {
    const main = document.querySelector("[data-testid=stMain]");
    main.scrollTop = share * (main.scrollHeight - main.clientHeight);
  },
};"""


def main() -> None:
    options = parse()
    times: dict[str, list[float]] = {}
    with temporary_folder() as temporary, sync_playwright() as playwright:
        folder = options.folder or temporary
        browser = playwright.chromium.launch(
            executable_path=find_chromium(),
            args=["--no-sandbox", "--disable-gpu", "--disable-quic"],
        )
        if options.part != "scroll":
            home = prepare(folder / f"library-{options.photos}", options.photos, folder)
            with run_app(home) as url:
                times |= look_at_photos(browser, url, options.repeats)
        if options.part != "look":
            home = prepare(folder / f"library-{options.large}", options.large, folder)
            with run_app(home) as url:
                times |= scroll(browser, url, options.repeats)
        browser.close()
    report(times, options)


def parse() -> argparse.Namespace:
    parser = make_parser(__doc__)
    parser.add_argument("--photos", type=int, default=20_000, help="of which some are opened")
    parser.add_argument("--large", type=int, default=100_000, help="photos that are scrolled")
    parser.add_argument("--repeats", type=int, default=8)
    parser.add_argument("--part", choices=["look", "scroll"], help="one of the two alone")
    parser.add_argument("--folder", type=Path, help="where the libraries are, or will be built")
    return parser.parse_args()


def prepare(home: Path, photos: int, folder: Path) -> Path:
    """A library of so many photos, of which the first of the timeline are large."""
    if not (home / "catalogue.db").exists():
        build(home, photos, make_photos(folder / "small", "small", DISTINCT))
        add_large(home, make_photos(folder / "large", "large", LARGE, LARGE))
    return home


def add_large(home: Path, files: list[Path]) -> None:
    """Put files in the place of the first photos of the timeline."""
    library = Library.open(home)
    ids = library.list_photos().ids[: len(files)]
    library.close()
    database = Database.open(sqlite_url(home / "catalogue.db"))
    with database.write_transaction() as connection:
        for photo_id, path in zip(ids, files, strict=True):
            data = path.read_bytes()
            digest = hashlib.sha256(data).hexdigest()
            rgb = decode.read(data, shorter_side=320)
            Storage(home).write_thumbnail(digest, rgb)
            columns = {"sha256": digest, "path": str(path), "stored": False, "size": len(data)}
            query = update(schema.photos).where(schema.photos.c.id == photo_id)
            connection.execute(query.values(**columns))
    database.close()


@contextmanager
def new_page(browser: Browser) -> Iterator[Page]:
    """A page in a new browser profile, with `bench`."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.add_init_script(_SCRIPT)
    page = context.new_page()
    page.set_default_timeout(1000 * TIMEOUT)
    yield page
    context.close()


def wait_for_script(page: Page) -> None:
    page.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for()


def look_at_photos(browser: Browser, url: str, repeats: int) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {OPEN: [], NEXT: [], BACK: []}
    for number in range(repeats):
        with new_page(browser) as page:
            page.goto(f"{url}/gallery")
            page.wait_for_function("bench.isFilled(0.6)")
            wait_for_script(page)
            times[OPEN].append(page.evaluate("bench.open", number % (LARGE - STEPS)))
            for _ in range(STEPS):
                page.wait_for_timeout(LOOK)
                times[NEXT].append(page.evaluate("bench.next()"))
            times[BACK].append(page.evaluate("bench.back()"))
    return times


def scroll(browser: Browser, url: str, repeats: int) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {FIRST: [], BY_WHEEL: [], BY_BAR: [], MEMORY: [], GROWN: []}
    for number in range(repeats):
        with new_page(browser) as page:
            times[FIRST].append(open_gallery(page, url))
            session = page.context.new_cdp_session(page)
            times[MEMORY].append(measure_heap(session))
            page.evaluate("bench.watch()")
            page.mouse.move(640, 600)
            for _ in range(TURNS):  # a hard scroll
                page.mouse.wheel(0, WHEEL)
                page.wait_for_timeout(PAUSE)
            page.wait_for_timeout(LOOK)
            times[BY_WHEEL].append(page.evaluate("bench.takeBlank()"))
            rng = random.Random(number)
            for _ in range(JUMPS):  # the scroll bar
                page.evaluate("bench.scroll", rng.random())
                page.wait_for_timeout(600)
            times[BY_BAR].append(page.evaluate("bench.takeBlank()"))
            times[GROWN].append(measure_heap(session))
    return times


def open_gallery(page: Page, url: str) -> float:
    """From the click in the sidebar until the window is full of photos."""
    page.goto(url)
    page.get_by_role("heading", name="What is in this photo?").wait_for()
    wait_for_script(page)
    began = page.evaluate("performance.now()")
    page.locator(".st-key-navigation").get_by_role("link", name="Gallery").click()
    page.wait_for_function("bench.isFilled(0.6)", polling="raf")
    return float(page.evaluate("performance.now()") - began) / 1000


def measure_heap(session: CDPSession) -> float:
    """Megabytes of the page's JavaScript and its elements, after a garbage collection."""
    session.send("HeapProfiler.collectGarbage")
    usage = session.send("Runtime.getHeapUsage")
    return float(usage["usedSize"]) / 1e6


def report(times: dict[str, list[float]], options: argparse.Namespace) -> None:
    rows: list[Row] = []
    for what, values in times.items():
        value = median(values)
        bar = at_most(value, BARS[what]) if what in BARS else ""
        if what == GROWN:
            bar = at_most(value, round(median(times[MEMORY]) + GROWTH))
        rows.append({"what": what, "median": value, "highest": max(values), "bar": bar})
    runs = {what: [Run(value, 0) for value in values] for what, values in times.items()}
    title = (
        f"Looking at photos of 12 megapixels in a library of {options.photos:,}, and scrolling"
        f" {options.large:,}; in seconds, over {options.repeats} runs"
    )
    publish(title, rows, runs, options.json)


if __name__ == "__main__":
    main()
