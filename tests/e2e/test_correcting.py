"""What a person says of a photo, and takes back again."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tagger.library.library import Library
from tagger.library.records import Annotation
from tests.e2e.server import Server
from tests.e2e.visitor import Visitor

Tagged = dict[str, tuple[list[tuple[str, bool, float | None]], list[Annotation]]]


def tagged(library: Library) -> Tagged:
    """The tags of every photo by its name, and what people said of it."""
    return {
        photo.name: (
            [(tag.label, tag.by_person, tag.score) for tag in photo.tags],
            library.annotations(photo.id),
        )
        for photo in library.photos()
    }


def labels(library: Library, name: str) -> list[str]:
    return [label for label, *_ in tagged(library)[name][0]]


@pytest.fixture
def gallery(visitor: Visitor) -> Visitor:
    """Somebody before the four sample photos, brought in with the button that offers them."""
    visitor.go("Gallery")
    if not visitor.tiles().count():
        visitor.click("Add the sample photos")
    expect(visitor.tiles()).to_have_count(4)
    return visitor


def test_what_was_corrected_is_taken_back(gallery: Visitor, server: Server) -> None:
    visitor = gallery
    with server.library() as library:
        before = tagged(library)
        visitor.tile("cat.png").click()
        visitor.click("Remove")
        visitor.sees("Removed “cat” from 1 photo.")
        visitor.sees("Not cat")
        assert labels(library, "cat.png") == []
        visitor.click("Undo")
        visitor.sees("Undone: Removed “cat” from 1 photo.")
        expect(visitor.text("Not cat")).to_have_count(0)
        assert tagged(library) == before

        visitor.choose_new("Add a tag", "my cat Chelsea")
        visitor.click("Add")
        visitor.sees("Added “my cat Chelsea” to 1 photo.")
        assert sorted(labels(library, "cat.png")) == ["cat", "my cat Chelsea"]
        visitor.click("Undo")
        visitor.sees("Undone: Added “my cat Chelsea” to 1 photo.")
        assert tagged(library) == before
        visitor.check()


def test_what_was_deleted_is_brought_back(gallery: Visitor, server: Server) -> None:
    visitor = gallery
    with server.library() as library:
        before = tagged(library)
        visitor.tick("cat.png", "coffee.png")
        visitor.sees("2 selected")
        visitor.click("Delete")
        visitor.sees("Deleted 2 photos from the library.")
        expect(visitor.tiles()).to_have_count(2)
        assert set(tagged(library)) == {"astronaut.png", "rocket.jpg"}
        visitor.click("Undo")
        expect(visitor.tiles()).to_have_count(4)
        assert tagged(library) == before
        visitor.check()
