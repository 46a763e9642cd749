"""Corrections and deletions, and their undo."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tagger.library.library import Library
from tagger.library.records import Annotation
from tests.e2e.app_page import AppPage
from tests.e2e.app_server import AppServer

TagState = dict[str, tuple[list[tuple[str, bool, float | None]], list[Annotation]]]


def read_tags(library: Library) -> TagState:
    """Tags and annotations of every photo, by its name."""
    return {
        photo.name: (
            [(tag.label, tag.by_person, tag.score) for tag in photo.tags],
            library.annotations(photo.id),
        )
        for photo in library.photos()
    }


def labels(library: Library, name: str) -> list[str]:
    return [label for label, *_ in read_tags(library)[name][0]]


@pytest.fixture
def gallery(app: AppPage) -> AppPage:
    """The gallery with the four sample photos, added with its button."""
    app.go_to("Gallery")
    if not app.tiles().count():
        app.click("Add the sample photos")
    expect(app.tiles()).to_have_count(4)
    return app


def test_a_correction_is_undone(gallery: AppPage, server: AppServer) -> None:
    with server.library() as library:
        before = read_tags(library)
        gallery.tile("cat.png").click()
        gallery.click("Remove")
        gallery.expect_text("Removed “cat” from 1 photo.")
        gallery.expect_text("Not cat")
        assert labels(library, "cat.png") == []
        gallery.click("Undo")
        gallery.expect_text("Undone: Removed “cat” from 1 photo.")
        expect(gallery.text("Not cat")).to_have_count(0)
        assert read_tags(library) == before

        gallery.add_option("Add a tag", "my cat Chelsea")
        gallery.click("Add")
        gallery.expect_text("Added “my cat Chelsea” to 1 photo.")
        assert sorted(labels(library, "cat.png")) == ["cat", "my cat Chelsea"]
        gallery.click("Undo")
        gallery.expect_text("Undone: Added “my cat Chelsea” to 1 photo.")
        assert read_tags(library) == before
        gallery.check()


def test_a_deletion_is_undone(gallery: AppPage, server: AppServer) -> None:
    with server.library() as library:
        before = read_tags(library)
        gallery.select_photos("cat.png", "coffee.png")
        gallery.expect_text("2 selected")
        gallery.click("Delete")
        gallery.expect_text("Deleted 2 photos from the library.")
        expect(gallery.tiles()).to_have_count(2)
        assert set(read_tags(library)) == {"astronaut.png", "rocket.jpg"}
        gallery.click("Undo")
        expect(gallery.tiles()).to_have_count(4)
        assert read_tags(library) == before
        gallery.check()
