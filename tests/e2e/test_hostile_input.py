"""Hostile names, tags and queries stay text; broken files become error messages."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tagger.images import decode
from tagger.tagger import Tagger
from tests.conftest import draw
from tests.e2e.app_page import HEADINGS, AppPage
from tests.e2e.app_server import AppServer

NAMES = (
    "<img src=x onerror=alert(1)>.png",
    "=cmd()|' C calc'!A0.png",
    "'; DROP TABLE photos;--.png",
    ":red[x] **b** $x$.png",
    ":smile: [a](javascript:alert(1)).png",
)
BASE_NAMES = {  # of names with a path, which only a script in the browser could send
    "<script>alert(1)</script>.png": "script>.png",
    "../../x.png": "x.png",
    "C:\\Windows\\y.png": "y.png",
}
EVERY = 4  # takes each fourth of the hostile files
BROKEN = (
    ("empty.png", b""),
    ("text.jpg", b"Dear photo, you are none.\n" * 20),
    ("half.png", decode.encode(draw("disc", 999), "PNG")[:300]),
)
TAGS = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "=cmd()|'/C calc'!A0",
    "'; DROP TABLE photos;--",
    ":red[x] **b** $x$",
    "../../x",
)
HOME_ENTRIES = {"catalogue.db", "catalogue.db-shm", "catalogue.db-wal"}
HOME_ENTRIES |= {"exports", "logs", "photos", "thumbnails", "uploads", "watched.json"}
# Elements that exist only if a name was run as HTML or formatted as Markdown.
_INJECTED = "[onerror], [src=x], .katex, [href^=javascript], [data-testid=stMain] script"


@pytest.fixture(autouse=True)
def check_files(server: AppServer) -> Iterator[None]:
    """No files appear beside the library, and no unexpected ones inside."""
    yield
    assert {path.name for path in server.home.iterdir()} <= HOME_ENTRIES
    assert {path.name for path in server.home.parent.iterdir()} == {
        "library",
        server.log.name,
    }


def make_uploads() -> list[tuple[str, bytes]]:
    """A different photo for each of the names."""
    return [
        (name, decode.encode(draw("square", seed), "PNG"))
        for seed, name in enumerate([*NAMES, *BASE_NAMES])
    ]


@pytest.fixture
def hostile_library(server: AppServer, pets: Tagger) -> AppServer:
    """The app with hostile file names in its library."""
    with server.library() as library:
        if not library.count():
            for name, data in make_uploads():
                library.add_photo(name, data, pets)
    return server


def check_no_injection(app: AppPage, errors: int = 0) -> None:
    app.check(errors=errors)
    expect(app.page.locator(_INJECTED)).to_have_count(0)


def test_hostile_file_names_are_shown_as_text_after_import(app: AppPage, server: AppServer) -> None:
    app.go_to("Import")
    app.upload([*make_uploads(), *BROKEN])
    check_no_injection(app)
    app.click(f"Import {len(make_uploads()) + len(BROKEN)} photos")
    app.expect_job_end(f"Import {len(make_uploads()) + len(BROKEN)} photos")
    app.expect_text(re.compile(f" {len(make_uploads())} added · {len(BROKEN)} failed"))
    expect(app.button("Import")).to_be_disabled()  # the uploader was emptied
    app.expand(f"Files that failed: {len(BROKEN)}")
    for name, _ in BROKEN:
        app.expect_text(re.compile(rf"^{re.escape(name)}: \w.+"))
    check_no_injection(app)
    app.go_to("Gallery")
    for name in (*NAMES, *BASE_NAMES.values()):
        expect(app.tile(name)).to_be_visible()
    app.open_photo(NAMES[0])
    check_no_injection(app)


def test_hostile_file_names_are_shown_as_text_on_the_first_page(app: AppPage) -> None:
    for name in (*(name for name, _ in BROKEN), *NAMES):
        app.upload([(name, dict(BROKEN).get(name, b"no photo at all"))])
        app.expect_text(f"{name} can’t be opened")
        check_no_injection(app, errors=1)
    for name, data in make_uploads()[:2]:
        app.upload([(name, data)])
        app.expect_text("Unknown")
        expect(app.page.get_by_alt_text(name, exact=True)).to_be_visible()
        check_no_injection(app)


def test_hostile_tags_are_shown_as_text_and_exported_harmlessly(
    app: AppPage, hostile_library: AppServer
) -> None:
    with hostile_library.library() as library:
        chosen = library.search(sort="oldest").photos[: len(TAGS)]
        for photo, tag in zip(chosen, TAGS[:-1], strict=False):
            library.edit_tags([photo.id], add=[tag])
    app.open(f"gallery?photo={chosen[-1].id}")
    app.press("t")
    app.page.keyboard.type(TAGS[-1])
    app.press("Enter")
    app.expect_message(f"Added {TAGS[-1]}")
    check_no_injection(app)
    app.open("gallery")
    for title in HEADINGS:
        app.go_to(title)
        check_no_injection(app)
        if title in ("Tags", "History"):
            for tag in TAGS:
                app.expect_text(tag)
    app.go_to("Search")
    app.click("Export")
    rows = list(csv.reader(app.download("CSV").read_text(encoding="utf-8").splitlines()))
    assert len(rows) == 1 + len(make_uploads())
    cells = [cell for row in rows for cell in row]
    assert {f"'{text}" for text in (NAMES[1], TAGS[2])} <= set(cells)
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@"))]
    app.open(f"gallery?photo={chosen[1].id}")
    expect(app.button(f"Remove {TAGS[1]}")).to_be_visible()
    check_no_injection(app)


def test_hostile_queries_change_nothing(app: AppPage, hostile_library: AppServer) -> None:
    app.go_to("Search")
    for query in ("'; DROP TABLE photos;--", "<script>alert(1)</script>", "(", ":red[x] AND $"):
        app.type("Search your photos", query)
        expect(app.heading("Search")).to_be_visible()
        expect(app.page.locator(_INJECTED)).to_have_count(0)
    with hostile_library.library() as library:
        assert library.count() == len(make_uploads())


def test_files_that_cannot_be_decoded_fail_with_a_reason(
    app: AppPage, server: AppServer, data: Path
) -> None:
    hostile = [
        path
        for path in sorted((data / "hostile").rglob("*"))
        if path.suffix.lower() in decode.EXTENSIONS
    ][::EVERY]
    app.go_to("Import")
    app.upload(hostile)
    app.click(f"Import {len(hostile)} photos")
    app.expect_job_end(f"Import {len(hostile)} photos")
    with server.library() as library:
        operation = library.operations(1)[0]
        assert sum(operation.counts.values()) == len(hostile)
        assert operation.counts["failed"] > 0
        assert all(file.reason for file in library.operation_files(operation.id, "failed", 1000))
    app.check()
