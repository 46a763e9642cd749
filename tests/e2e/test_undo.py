"""Corrections and deletions, and their undo."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tagger.library.library import Library
from tagger.library.records import Annotation
from tests.e2e.app_page import AppPage
from tests.e2e.app_server import AppServer
from tests.e2e.conftest import OpenApp

WIDTHS = (1280, 390)  # pixels: a desktop's window, a phone's
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


@pytest.fixture(params=WIDTHS)
def gallery(open_app: OpenApp, server: AppServer, request: pytest.FixtureRequest) -> AppPage:
    """The gallery with the four sample photos, added with its button."""
    app = open_app(server, "gallery", request.param)
    if app.button("Add the sample photos").is_visible():
        app.click("Add the sample photos")
    expect(app.tiles()).to_have_count(4)
    return app


def test_a_correction_is_undone(gallery: AppPage, server: AppServer) -> None:
    with server.library() as library:
        before = read_tags(library)
        gallery.open_photo("cat.png")
        if not gallery.page.get_by_role("complementary").is_visible():
            gallery.press("i")  # on a phone
        gallery.click("Remove cat")
        gallery.expect_message("Removed cat")
        expect(gallery.button("Clear your no to cat")).to_be_visible()
        assert labels(library, "cat.png") == []
        gallery.undo()
        gallery.expect_message("Undone: Removed cat from 1 photo")
        expect(gallery.button("Clear your no to cat")).to_have_count(0)
        assert read_tags(library) == before

        gallery.press("t")
        gallery.page.keyboard.type("my cat Chelsea,")
        gallery.expect_message("Added my cat Chelsea")
        assert sorted(labels(library, "cat.png")) == ["cat", "my cat Chelsea"]
        gallery.undo()
        gallery.expect_message("Undone: Added my cat Chelsea to 1 photo")
        assert read_tags(library) == before

        gallery.press("f")
        gallery.expect_message("Added to favourites")
        assert library.count("is:favourite") == 1
        gallery.press("u")
        gallery.expect_message("Undone: Made 1 photo a favourite")
        assert library.count("is:favourite") == 0

        library.tags.rename("cat", "Chelsea")  # on another device
        question = "Undo “Renamed cat to Chelsea”?"
        gallery.press("u")
        gallery.expect_message(question)
        gallery.press("u")
        gallery.wait_until_idle()
        gallery.expect_message(question)
        assert labels(library, "cat.png") == ["Chelsea"]
        gallery.undo()
        gallery.expect_message("Undone: Renamed cat to Chelsea")
        assert labels(library, "cat.png") == ["cat"]
        redo = gallery.page.locator("dialog").get_by_title("Redo: Renamed cat to Chelsea")
        redo.click()
        gallery.expect_message("Redone: Renamed cat to Chelsea")
        expect(gallery.page.locator("dialog").get_by_title("Redo", exact=True)).to_be_disabled()
        assert labels(library, "cat.png") == ["Chelsea"]
        gallery.press("u")  # at once: it was redone here
        gallery.expect_message("Undone: Renamed cat to Chelsea")
        assert read_tags(library) == before
        gallery.press("Escape")
        expect(gallery.tile("cat.png")).to_be_focused()
        gallery.check()


def test_a_deletion_is_undone(gallery: AppPage, server: AppServer) -> None:
    with server.library() as library:
        before = read_tags(library)
        gallery.select_photos("cat.png", "coffee.png")
        expect(gallery.text("2 selected")).to_be_visible()
        gallery.click("Delete")
        gallery.expect_message("Deleted 2 photos from the library")
        expect(gallery.tiles()).to_have_count(2)
        assert set(read_tags(library)) == {"astronaut.png", "rocket.jpg"}
        gallery.undo()
        gallery.expect_message("Restored 2 photos")
        expect(gallery.tiles()).to_have_count(4)
        assert read_tags(library) == before
        gallery.check()
