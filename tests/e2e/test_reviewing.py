"""Review: an answer a key, and what was said written out to teach with."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import expect

from tagger.images import decode
from tagger.tagger import Tagger
from tests.conftest import draw
from tests.e2e.conftest import Serve, Visit
from tests.e2e.server import Server
from tests.e2e.visitor import Visitor


def test_three_answers_by_keyboard(visitor: Visitor, server: Server, tmp_path: Path) -> None:
    visitor.go("Gallery")
    visitor.click("Add the sample photos")
    expect(visitor.tiles()).to_have_count(4)
    visitor.go("Review")
    visitor.sees("4 photos left")
    with server.library() as library:
        first = library.review_queue().photos[0]
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


def test_keys_pressed_faster_than_the_page_draws_are_not_lost(
    visit: Visit, serve: Serve, pets: Tagger, tmp_path: Path
) -> None:
    server = serve(tmp_path / "library")
    with server.library() as library:
        for seed in range(8):
            library.add_photo(f"{seed}.png", decode.encode(draw("disc", seed), "PNG"), pets)
        visitor = visit(server, "review")
        visitor.sees("8 photos left")
        expect(visitor.page.get_by_text("Then", exact=True)).to_be_visible()
        order = [photo.id for photo in library.review_queue(limit=8).photos]
        for key in "n1sn2n":
            visitor.page.keyboard.press(key)
        visitor.sees("3 photos left")
        visitor.check()
        said = [[v.present for v in library.annotations(photo)] for photo in order]
        assert [len(some) for some in said] == [2, 1, 0, 2, 1, 2, 0, 0]
        visitor.page.keyboard.press("u")
        visitor.page.keyboard.press("u")
        visitor.sees("5 photos left")
        assert library.count("reviewed") == 3
    visitor.check()
