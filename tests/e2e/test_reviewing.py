"""Review: an answer a key, and what was said written out to teach with."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import expect

from e2e.server import Server
from e2e.visitor import Visitor


def test_three_answers_by_keyboard(visitor: Visitor, server: Server, tmp_path: Path) -> None:
    visitor.go("Gallery")
    visitor.click("Add the sample photos")
    expect(visitor.tiles()).to_have_count(4)
    visitor.go("Review")
    visitor.sees("4 photos left")
    with server.library() as library:
        first = library.review().photos[0]
        visitor.press("1")
        visitor.sees("3 photos left")
        said = library.photo(first.id)
        assert [(tag.label, tag.by_person) for tag in said.tags] == [("cat", True)]
        visitor.press("n")
        visitor.sees("2 photos left")
        visitor.press("2")
        visitor.sees("1 photo left")
        visitor.press("u")
        visitor.sees("2 photos left")
        assert library.count("reviewed") == 2
    visitor.unfold("Write them as a collection")
    visitor.field("A new folder on this machine").fill(str(tmp_path / "taught"))
    visitor.click("Write the photos")
    visitor.sees("1 photo written to")
    visitor.sees("1 photo left out: 1 without a tag")
    written = {file.relative_to(tmp_path / "taught") for file in tmp_path.rglob("*.*")}
    assert written == {Path("cat", f"{first.id}-{first.name}"), Path("labels.csv")}
    visitor.check()
