"""The first minute, and photos imported and searched: on a wide screen and on a phone."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import expect

from tests.conftest import draw_png
from tests.e2e.app_page import displayed
from tests.e2e.axe import SERIOUS, run_axe
from tests.e2e.conftest import PHONE, WIDE, OpenApp, StartServer

Scheme = Literal["light", "dark"]
SCREENS = pytest.mark.parametrize(("width", "scheme"), [(WIDE, "light"), (PHONE, "dark")])


@SCREENS
def test_the_first_minute(
    start_server: StartServer, open_app: OpenApp, tmp_path: Path, width: int, scheme: Scheme
) -> None:
    """A sample is tagged, corrected and kept, and stands in the gallery, where it opens."""
    server = start_server(tmp_path / "library", model=None)
    app = open_app(server, "", width, scheme)
    picture = app.page.locator(".st-key-tag-samples img").nth(1).bounding_box()
    assert picture is not None
    app.page.mouse.click(picture["x"] + 40, picture["y"] + 40)  # not only its button
    expect(app.page.locator(".it-answer")).to_contain_text("person")
    app.button("Confirm person").click()
    expect(app.page.locator("li.chip.confirmed")).to_contain_text("person")
    field = app.page.get_by_label("Add a tag").first
    field.press_sequentially("space suit,")
    expect(app.page.locator("li.chip.confirmed")).to_have_count(2)
    assert run_axe(app.page, SERIOUS) == []
    app.go_to("Gallery")
    app.open_photo("astronaut.png")
    with server.library() as library:
        (photo,) = library.photos()
        by_person = {tag.label for tag in photo.tags if tag.by_person}
        assert by_person == {"person", "space suit"}
    app.press("Escape")
    expect(app.tile("astronaut.png")).to_be_focused()
    app.check()


@SCREENS
def test_photos_are_imported_and_one_is_found(
    start_server: StartServer,
    open_app: OpenApp,
    samples: dict[str, Path],
    tmp_path: Path,
    width: int,
    scheme: Scheme,
) -> None:
    """Many files are dropped; a tag is completed as one types; the search is kept."""
    server = start_server(tmp_path / "library")
    app = open_app(server, "import_photos", width, scheme)
    drawn = [(f"drawn {seed}.png", draw_png(seed, 64)) for seed in range(20)]
    app.upload([*((path.name, path.read_bytes()) for path in samples.values()), *drawn])
    app.click("Import 24 photos")
    app.expect_job_end("Import 24 photos", "24 added")
    app.go_to("Gallery")
    expect(app.tile("rocket.jpg")).to_be_visible()
    app.go_to("Search")
    field = app.field("Search your photos")
    field.press_sequentially("ca")
    app.page.get_by_role("option").filter(has_text=re.compile("^#?cat")).click()
    app.wait_until_idle()
    app.expect_text("1 photo")
    expect(app.tiles()).to_have_count(1)
    expect(app.tile("cat.png")).to_be_visible()
    assert run_axe(app.page, SERIOUS) == []
    app.type("Search your photos", "cat name:rocket")
    app.page.get_by_role("button", name=displayed("cat: 1 by tag")).click()
    app.wait_until_idle()
    expect(app.tile("cat.png")).to_be_visible()
    if width == WIDE:
        recent = app.page.get_by_role("list", name="Recent searches")
        recent.get_by_role("link", name="cat name:rocket").click()
        app.wait_until_idle()
        expect(app.tiles()).to_have_count(0)
    app.check()
