"""Teach a tag from five examples, and check a tag, in the browser."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Locator, expect

from tagger.jobs import worker
from tagger.jobs.requests import ImportFolderRequest, submit
from tests.conftest import draw_collection, import_folder
from tests.e2e.app_page import AppPage
from tests.e2e.conftest import OpenApp, StartServer

PAUSE = 700  # milliseconds, after which Enter saves photos that were just shown
TAG = "ball"  # a word that the model knows, and no label of it


def tiles(app: AppPage) -> Locator:
    return app.page.locator("button.tile")


def save_button(app: AppPage) -> Locator:
    return app.page.locator("button.save")


@pytest.mark.parametrize("width", [1280, 390])
def test_a_tag_is_taught_from_five_examples_and_checked(
    shapes: Path,
    worded: Path,
    start_server: StartServer,
    open_app: OpenApp,
    tmp_path: Path,
    width: int,
) -> None:
    server = start_server(tmp_path / "library")
    with server.library() as library:
        library.use_model(str(worded))
        import_folder(library, shapes, model=str(worded))
        discs = library.find_ids("folder:/disc")
        library.edit_tags(discs[:3], [TAG])

        app = open_app(server, "teach", width)
        app.add_option("Which tag?", TAG)
        app.heading(TAG).wait_for()
        app.expect_text("Click at least 2 more photos with ball.")
        app.page.keyboard.press("Enter")  # nothing is clicked yet
        expect(save_button(app)).to_be_disabled()
        for number in range(2):
            tiles(app).nth(number).click()
        expect(save_button(app)).to_have_text(f"Save 2 as “{TAG}”")
        app.page.keyboard.press("Enter")
        app.expect_text(re.compile(r"\d+ more look like this"))
        app.wait_until_idle()  # until then the photos before are still there
        expect(save_button(app)).to_have_count(1)
        expect(save_button(app)).to_have_text(f"Save 24 as “{TAG}”")
        expect(tiles(app)).to_have_count(24)
        images = app.page.locator("button.tile img")
        images.last.scroll_into_view_if_needed()
        assert images.first.evaluate("image => image.complete && image.naturalWidth > 0")

        first = int(tiles(app).first.get_attribute("data-id") or 0)
        tiles(app).first.click()
        expect(tiles(app).first).to_have_attribute("aria-pressed", "true")
        tiles(app).first.press("ArrowRight")
        app.page.keyboard.press("Space")  # marks the second one, too
        app.page.keyboard.press("Space")
        expect(save_button(app)).to_have_text(f"Save 23 as “{TAG}”, 1 as not “{TAG}”")
        tiles(app).last.scroll_into_view_if_needed()
        save_button(app).click()
        app.expect_text(f"Added {TAG} to 23 photos, marked 1 as not {TAG}")
        expect(app.button("Undo")).to_be_in_viewport()  # above the next photos
        expect(tiles(app).first).to_be_focused()
        answers = library.teaching.answers(TAG)
        assert len(answers.yes) == 28 and answers.no == (first,)
        assert [each.head.tag for each in library.teaching.learn_active()] == [TAG]
        app.click("Undo")
        app.expect_text(f"Undone: Added {TAG} to 23 photos, marked 1 as not {TAG}")
        assert len(library.teaching.answers(TAG).yes) == 5

        squares = library.find_ids("folder:/square")
        library.edit_tags(squares[:5], ["square"])
        app.open("teach?tag=square")
        app.select_radio("Find more")
        app.select_radio("Check its photos")
        app.expect_text("Is this square? 24 of")
        app.page.wait_for_timeout(PAUSE)
        app.page.keyboard.press("Enter")  # the focus is not left on the switch
        app.expect_text("Confirmed square on 24 photos")
        expect(save_button(app)).not_to_have_text("Saving …")
        wrong = int(tiles(app).nth(2).get_attribute("data-id") or 0)
        tiles(app).nth(2).click()
        tiles(app).last.scroll_into_view_if_needed()
        save_button(app).click()
        message = re.compile("Confirmed square on .* photos, marked 1 as not square")
        app.expect_text(message)
        expect(app.text(message).first).to_be_in_viewport()
        expect(app.button("Undo")).to_be_in_viewport()
        assert library.teaching.answers("square").no == (wrong,)
        assert "square" not in [tag.label for tag in library.photo(wrong).tags]
    app.check()


def test_marks_stay_when_photos_are_imported_meanwhile(
    shapes: Path, worded: Path, start_server: StartServer, open_app: OpenApp, tmp_path: Path
) -> None:
    server = start_server(tmp_path / "library")
    with server.library() as library:
        library.use_model(str(worded))
        import_folder(library, shapes, model=str(worded))
        library.edit_tags(library.find_ids("folder:/disc")[:5], [TAG])
        later = draw_collection(tmp_path / "later", 40, ("disc",), 500)
        job_id = submit(library, ImportFolderRequest(str(later)))
        app = open_app(server, f"teach?tag={TAG}")
        photos = [tile.get_attribute("data-id") for tile in tiles(app).all()]
        for number in (0, 3):
            tiles(app).nth(number).click()
        worker.run(library, job_id)
        app.expect_text(": finished")
        app.wait_until_idle()
        assert [tile.get_attribute("data-id") for tile in tiles(app).all()] == photos
        expect(save_button(app)).to_have_text(
            f"Save {len(photos) - 2} as “{TAG}”, 2 as not “{TAG}”"
        )
        tiles(app).nth(3).press("Enter")
        app.expect_text(f"marked 2 as not {TAG}")
        assert library.teaching.answers(TAG).no == tuple(
            sorted(int(photos[number] or 0) for number in (0, 3))
        )
    app.check()
