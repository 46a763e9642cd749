"""Near copies are found, compared and removed in the browser; their files stay."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from tagger.images import decode
from tests.conftest import draw_scene, import_folder
from tests.e2e.app_page import AppPage
from tests.e2e.app_server import AppServer


def test_copies_are_found_and_removed(app: AppPage, server: AppServer, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for seed in range(4):
        photo = draw_scene(seed, 400)
        (folder / f"{seed}.png").write_bytes(decode.encode(photo, "PNG"))
        small = cv2.resize(photo, (200, 200), interpolation=cv2.INTER_AREA).astype(np.uint8)
        if seed < 2:
            (folder / f"{seed} small.png").write_bytes(decode.encode(small, "PNG"))
    with server.library() as library:
        import_folder(library, folder)
        app.go_to("Duplicates")
        app.expect_text("6 photos were not compared yet.")
        app.click("Look for duplicates")
        app.expect_text("2 groups")
        app.expect_text("Suggested: largest")
        app.page.get_by_role("button", name="Compare").first.click()
        app.page.get_by_role("dialog").get_by_role("img", name="1 small.png").wait_for()
        app.press("Escape")
        app.page.get_by_role("button", name="Remove 1 photo").first.click()
        app.expect_text("Removed 1 near copy from the library")
        app.expect_text("1 group")
        assert {photo.name for photo in library.photos()} == {
            *(f"{seed}.png" for seed in range(4)),
            "0 small.png",
        }
        app.click("Undo")
        app.expect_text("2 groups")
        app.click("Keep the best of each …")
        app.click("Remove 2 photos")
        app.expect_text("Removed 2 near copies from the library")
        app.expect_text("No duplicates among 4 photos.")
        assert library.count() == 4 and len(list(folder.iterdir())) == 6
    app.check()
