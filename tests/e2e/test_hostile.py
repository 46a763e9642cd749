"""Files and names that mean harm, or are broken: text on the page, a sentence, and nothing else."""

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
from tests.e2e.server import Server
from tests.e2e.visitor import HEADINGS, Visitor

NAMES = (
    "<img src=x onerror=alert(1)>.png",
    "=cmd()|' C calc'!A0.png",
    "'; DROP TABLE photos;--.png",
    ":red[x] **b** $x$.png",
    ":smile: [a](javascript:alert(1)).png",
)
LAST_PARTS = {  # of names with a path in them, which only a browser's script could give
    "<script>alert(1)</script>.png": "script>.png",
    "../../x.png": "x.png",
    "C:\\Windows\\y.png": "y.png",
}
SOME = 4  # one in so many of the files that decoders stumble over
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
INSIDE = {"catalogue.db", "catalogue.db-shm", "catalogue.db-wal"}
INSIDE |= {"exports", "logs", "photos", "thumbnails", "uploads"}
# What such a name would have become, had anything in it been run or formatted.
_BECOME = "[onerror], [src=x], .katex, [href^=javascript], [data-testid=stMain] script"


@pytest.fixture(autouse=True)
def nothing_outside(server: Server) -> Iterator[None]:
    """Nothing is written beside the library, nor where it has no place inside."""
    yield
    assert {path.name for path in server.home.iterdir()} <= INSIDE
    assert {path.name for path in server.home.parent.iterdir()} == {
        "library",
        server.log.name,
    }


def photos() -> list[tuple[str, bytes]]:
    """A photo by each of the names, no two alike."""
    return [
        (name, decode.encode(draw("square", seed), "PNG"))
        for seed, name in enumerate([*NAMES, *LAST_PARTS])
    ]


@pytest.fixture
def named(server: Server, pets: Tagger) -> Server:
    """The app with those photos in its library."""
    with server.library() as library:
        if not library.count():
            for name, data in photos():
                library.add_photo(name, data, pets)
    return server


def check_plain(visitor: Visitor, errors: int = 0) -> None:
    visitor.check(errors=errors)
    expect(visitor.page.locator(_BECOME)).to_have_count(0)


def test_names_are_only_ever_text(visitor: Visitor, server: Server) -> None:
    visitor.go("Import")
    visitor.upload([*photos(), *BROKEN])
    check_plain(visitor)
    visitor.click(f"Import {len(photos()) + len(BROKEN)} photos")
    visitor.sees_end(f"Import {len(photos()) + len(BROKEN)} photos")
    visitor.sees(re.compile(f" {len(photos())} added · {len(BROKEN)} failed"))
    expect(visitor.button("Import")).to_be_disabled()  # nothing is left there to add twice
    visitor.unfold(f"Files that failed: {len(BROKEN)}")
    for name, _ in BROKEN:
        visitor.sees(re.compile(rf"^{re.escape(name)}: \w.+"))
    check_plain(visitor)
    visitor.go("Gallery")
    for name in (*NAMES, *LAST_PARTS.values()):
        expect(visitor.tile(name)).to_be_visible()
    visitor.tile(NAMES[0]).click()
    expect(visitor.heading_of(NAMES[0])).to_be_visible()
    check_plain(visitor)


def test_on_the_first_page_too(visitor: Visitor) -> None:
    for name in (*(name for name, _ in BROKEN), *NAMES):
        visitor.upload([(name, dict(BROKEN).get(name, b"no photo at all"))])
        visitor.sees(f"{name} cannot be opened")
        check_plain(visitor, errors=1)
    for name, data in photos()[:2]:
        visitor.upload([(name, data)])
        visitor.sees("Unknown")
        expect(visitor.page.get_by_alt_text(name, exact=True)).to_be_visible()
        check_plain(visitor)


def test_tags_are_only_ever_text(visitor: Visitor, named: Server) -> None:
    with named.library() as library:
        chosen = library.search(sort="oldest").photos[: len(TAGS)]
        for photo, tag in zip(chosen, TAGS[:-1], strict=False):
            library.edit_tags([photo.id], add=[tag])
    visitor.open(f"gallery?photo={chosen[-1].id}")
    visitor.choose_new("Add a tag", TAGS[-1])
    visitor.click("Add")
    visitor.sees(f"Added “{TAGS[-1]}” to 1 photo.")
    for title in HEADINGS:
        visitor.go(title)
        check_plain(visitor)
        if title in ("Gallery", "Search & export", "Activity"):
            for tag in TAGS:
                visitor.sees(tag)
    visitor.go("Search & export")
    rows = list(csv.reader(visitor.download("CSV").read_text(encoding="utf-8").splitlines()))
    assert len(rows) == 1 + len(photos())
    cells = [cell for row in rows for cell in row]
    assert {f"'{text}" for text in (NAMES[1], TAGS[2])} <= set(cells)
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@"))]
    visitor.open(f"gallery?photo={chosen[1].id}")
    visitor.sees(TAGS[1])
    check_plain(visitor)


def test_a_query_is_only_ever_a_query(visitor: Visitor, named: Server) -> None:
    visitor.go("Search & export")
    for query in ("'; DROP TABLE photos;--", "<script>alert(1)</script>", "(", ":red[x] AND $"):
        visitor.type("What are you looking for?", query)
        expect(visitor.heading("Search & export")).to_be_visible()
        expect(visitor.page.locator(_BECOME)).to_have_count(0)
    with named.library() as library:
        assert library.count() == len(photos())


def test_what_decoders_stumble_over_is_named(visitor: Visitor, server: Server, data: Path) -> None:
    hostile = [
        path
        for path in sorted((data / "hostile").rglob("*"))
        if path.suffix.lower() in decode.EXTENSIONS
    ][::SOME]
    visitor.go("Import")
    visitor.upload(hostile)
    visitor.click(f"Import {len(hostile)} photos")
    visitor.sees_end(f"Import {len(hostile)} photos")
    with server.library() as library:
        run = library.operations(1)[0]
        assert sum(run.counts.values()) == len(hostile)
        assert run.counts["failed"] > 0
        assert all(file.reason for file in library.operation_files(run.id, "failed", 1000))
    visitor.check()
