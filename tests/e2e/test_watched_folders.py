"""A folder is picked by keyboard, watched, and its changes imported and undone in the browser."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Locator, expect

from tests.conftest import draw_png
from tests.e2e.conftest import OpenApp, StartServer


def row(tree: Locator, name: str) -> Locator:
    return tree.get_by_role("treeitem").filter(has_text=name).first


def test_a_folder_is_picked_watched_and_brought_up_to_date(
    start_server: StartServer,
    open_app: OpenApp,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    home = tmp_path / "home"
    for name in ("Pictures/trip/1.png", "Pictures/trip/2.png", "Pictures/<b>odd/3.png"):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_bytes(draw_png(len(name) + int(name[-5])))
    monkeypatch.setenv("HOME", str(home))
    server = start_server(tmp_path / "library")
    app = open_app(server)
    app.go_to("Import")
    app.select_radio("Folder")
    tree = app.page.get_by_role("tree")
    row(tree, "Home").focus()
    app.press("ArrowDown")
    expect(row(tree, "Pictures")).to_be_focused()
    app.press("ArrowRight")
    expect(row(tree, "Pictures")).to_have_attribute("aria-expanded", "true")
    row(tree, "<b>odd").wait_for()
    app.press("ArrowRight")
    app.press("t")
    expect(row(tree, "trip")).to_be_focused()
    app.press("ArrowLeft")
    expect(row(tree, "Pictures")).to_be_focused()
    app.press("ArrowLeft")
    expect(row(tree, "Pictures")).to_have_attribute("aria-expanded", "false")
    row(tree, "Pictures").click()  # opens it, and selects it
    expect(row(tree, "Pictures")).to_have_attribute("aria-expanded", "true")
    app.press("Enter")
    expect(row(tree, "Pictures")).to_have_attribute("aria-selected", "true")
    app.expect_text("3 photos in ")
    app.page.get_by_text("Watch this folder", exact=True).click()
    app.click("Import folder")
    with server.library() as library:
        app.expect_job_end("Import ", "3 added")
        app.expect_text("up to date")

        trip = home / "Pictures" / "trip"
        (trip / "4.png").write_bytes(draw_png(40))
        (trip / "1.png").rename(home / "Pictures" / "moved.png")
        (trip / "2.png").unlink()
        app.click("Check now")
        app.expect_text("1 new, 1 moved, 1 missing")
        assert library.count() == 3
        app.click("Import 1 new, 1 moved, 1 missing")
        app.expect_job_end("Update Pictures", "1 added")
        app.expect_text("up to date")
        assert library.count() == 4 and library.count("missing") == 1
        (moved,) = library.photos("name:1.png")
        assert moved.path.name == "moved.png"
        update = app.page.locator("[class*='st-key-import-']").filter(has_text="Update Pictures")
        update.last.get_by_role("button", name="Undo").click()
        app.expect_job_end("Update Pictures", "undone")
        assert library.count() == 3
    app.check()
    server.kill()
    (home / "Pictures" / "trip" / "5.png").write_bytes(draw_png(50))
    server = start_server(server.home, port=server.port)
    app.open("activity")
    app.problems.clear()  # failed requests while the server was down
    app.page.get_by_role("link", name="2 changes in watched folders").wait_for()
