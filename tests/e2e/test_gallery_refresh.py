"""A gallery that is open while photos are imported shows them, and stays where it is."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import expect

from tagger.jobs import worker
from tagger.jobs.requests import ImportFolderRequest, submit
from tests.conftest import draw_collection, import_folder
from tests.e2e.conftest import OpenApp, StartServer

SHAPES = ("disc", "square")


def test_an_open_gallery_shows_imported_photos_and_keeps_place_and_selection(
    start_server: StartServer, open_app: OpenApp, tmp_path: Path
) -> None:
    server = start_server(tmp_path / "library")
    with server.library() as library:
        import_folder(library, draw_collection(tmp_path / "first", 60, SHAPES))
        request = ImportFolderRequest(str(draw_collection(tmp_path / "later", 7, SHAPES, 500)))
        job_id = submit(library, request)
        app = open_app(server, "gallery")
        app.page.mouse.move(700, 500)
        app.page.mouse.wheel(0, 1_500)
        app.page.wait_for_timeout(400)
        boxes = [(each.get_attribute("data-id"), each.bounding_box()) for each in app.tiles().all()]
        identity, before = next((id, box) for id, box in boxes if box and 300 < box["y"] < 600)
        tile = app.page.locator(f"li[data-id='{identity}']")
        tile.locator("button").click(modifiers=["Control"])
        expect(app.page.get_by_text("1 selected")).to_be_visible()
        worker.run(library, job_id)
        app.expect_text("finished, 14 added")
        expect(app.page.get_by_text("Select all 134")).to_be_attached()
        app.wait_until_idle()
        after = tile.bounding_box()
        assert after is not None
        assert abs(before["y"] - after["y"]) < 200, "within a row, as tiles are laid out anew"
        expect(app.page.get_by_text("1 selected")).to_be_visible()

        import_folder(library, draw_collection(tmp_path / "elsewhere", 3, SHAPES, 700))
        app.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        expect(app.page.get_by_text("Select all 140")).to_be_attached()
        app.check()
