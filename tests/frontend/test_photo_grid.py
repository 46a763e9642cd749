"""The photo grid: what Python sends to the browser and reads back, and its JavaScript."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, sync_playwright
from streamlit.testing.v1 import AppTest

from tagger.library.library import Library
from tagger.paths import ROOT
from tests.conftest import draw_png, import_folder
from tests.frontend.pages import grid_data, report_grid_state

COMPONENTS = ROOT / "frontend" / "components"
BROWSER_OPTIONS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")
HOSTILE = ("<script>alert(1)</script>", "../../x", "=cmd()", "'; DROP TABLE photos;--", ":red[x]")

PAGE = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
import streamlit as st
from frontend.components import photo_grid
from frontend.ui.library import open_library
if st.button("Clear"):
    photo_grid.clear_selection("g")
photos = open_library().search(sort="name").photos
events = photo_grid.show_grid(
    photos, key="g", captions={{1: "a caption"}}, selectable=st.toggle("Selectable", True)
)
st.text(f"opened {{events.opened}}, selected {{events.selected}}")
"""


@pytest.fixture
def library(library: Library, tmp_path: Path) -> Library:
    """Six photos, numbered from 1, some with hostile file names."""
    folder = tmp_path / "photos"
    folder.mkdir()
    names = ("1", "2", "3 <img src=x onerror=alert(1)>", "4 =cmd()", "5 ';--", "6 :red[x]")
    for seed, name in enumerate(names):
        (folder / f"{name}.png").write_bytes(draw_png(seed))
    import_folder(library, folder)
    assert [photo.id for photo in library.search(sort="name").photos] == [1, 2, 3, 4, 5, 6]
    return library


def open_grid() -> AppTest:
    app = AppTest.from_string(PAGE, default_timeout=60).run()
    assert not app.exception
    return app


def report(app: AppTest, *, selected: object = None, opened: object = None) -> AppTest:
    return report_grid_state(app, "g", selected, opened)


def test_a_tile_holds_name_tag_and_thumbnail(library: Library) -> None:
    library.edit_tags([1], add=["<b>sun</b>", "sea"])
    library.edit_tags([2], remove=["cat", "dog"])
    tiles = grid_data(open_grid(), "g")["photos"]
    first, second, third = tiles[:3]
    assert (first["tag"], first["more"], first["confirmed"]) == ("<b>sun</b>", 1, True)
    assert first["caption"] == "a caption"
    assert (second["tag"], second["tagged"], second["confirmed"]) == ("untagged", False, False)
    assert (third["tag"], third["name"]) == ("unknown", "3 <img src=x onerror=alert(1)>.png")
    assert all(tile["image"].startswith("data:image/jpeg;base64,/9j/") for tile in tiles)


def test_a_selection_survives_reruns_until_it_is_cleared(library: Library) -> None:
    app = report(open_grid(), selected={"version": 0, "ids": [5, 2]})
    assert app.text[0].value == "opened None, selected (2, 5)"
    before = grid_data(app, "g")
    app.run()
    assert app.text[0].value == "opened None, selected (2, 5)"
    assert grid_data(app, "g") == before, "unchanged data is not sent again"
    app.button[0].click().run()
    assert app.text[0].value == "opened None, selected ()"
    assert grid_data(app, "g")["version"] == 1


def test_an_opened_photo_is_reported_once(library: Library) -> None:
    app = report(open_grid(), opened=4)
    assert app.text[0].value.startswith("opened 4")
    app.run()
    assert app.text[0].value.startswith("opened None")


@pytest.mark.parametrize(
    "selection",
    [
        {"version": 0, "ids": [99, "2", None]},
        {"version": 7, "ids": [2]},
        {"version": 0, "ids": "2"},
        [2],
        "2",
        None,
    ],
)
def test_only_photos_of_the_grid_can_be_selected(library: Library, selection: object) -> None:
    assert report(open_grid(), selected=selection).text[0].value == "opened None, selected ()"


def test_only_photos_of_the_grid_can_be_opened(library: Library) -> None:
    for invalid in (99, "4", {"id": 4}, -1):
        assert report(open_grid(), opened=invalid).text[0].value.startswith("opened None")


def test_selecting_can_be_turned_off(library: Library) -> None:
    app = open_grid()
    app.toggle[0].set_value(False).run()
    assert not grid_data(app, "g")["selectable"]
    app = report(app, selected={"version": 0, "ids": [1]})
    assert app.text[0].value == "opened None, selected ()"


def test_deleted_photos_leave_the_selection(library: Library) -> None:
    app = report(open_grid(), selected={"version": 0, "ids": [1, 2]})
    library.delete([1])
    assert app.run().text[0].value == "opened None, selected (2,)"


# In a browser, without Streamlit


@pytest.fixture(scope="module")
def blank() -> Iterator[Page]:
    """An empty page."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("needs a browser: chromium or google-chrome on the PATH")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=BROWSER_OPTIONS)
        yield browser.new_page(viewport={"width": 820, "height": 900})
        browser.close()


class Grid:
    """A grid grid in a browser as Streamlit does it; `events` are its reports."""

    def __init__(self, page: Page, tiles: list[dict[str, Any]], selectable: bool = True) -> None:
        self.page = page
        self.alerts: list[str] = []
        page.on("dialog", lambda dialog: (self.alerts.append(dialog.message), dialog.dismiss()))
        page.set_content('<main style="display: block"></main><p id="below" tabindex="0">below</p>')
        html = (COMPONENTS / "photo_grid.html").read_text(encoding="utf-8")
        css = (COMPONENTS / "photo_grid.css").read_text(encoding="utf-8")
        code = (COMPONENTS / "photo_grid.js").read_text(encoding="utf-8")
        page.evaluate(_MOUNT, [html, css, code])
        self.version = 0
        self.show(tiles, selectable)

    def show(self, tiles: list[dict[str, Any]], selectable: bool = True) -> None:
        data = {"key": "g", "version": self.version, "selectable": selectable, "photos": tiles}
        self.page.evaluate("data => window.show(data)", data)

    @property
    def events(self) -> list[list[Any]]:
        events: list[list[Any]] = self.page.evaluate("window.events")
        return events

    @property
    def selected(self) -> list[int]:
        """The ids of the last reported selection."""
        reports = [value["ids"] for name, value in self.events if name == "selected"]
        return reports[-1] if reports else []

    def photo(self, index: int) -> Any:
        return self.page.locator("li button").nth(index)

    def box(self, index: int) -> Any:
        return self.page.locator("li input").nth(index)


_MOUNT = """async ([html, css, code]) => {
  const root = document.querySelector("main").attachShadow({ mode: "open" });
  root.innerHTML = `<div>${html}<style>${css}</style></div>`;
  const url = URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
  const module = await import(url);
  window.events = [];
  const setStateValue = (name, value) => window.events.push([name, value]);
  window.show = (data) =>
    module.default({ parentElement: root, data, setStateValue, setTriggerValue: setStateValue });
}"""

_PIXEL = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"


def make_tile(photo_id: int, **changes: Any) -> dict[str, Any]:
    defaults = {"tag": "dog", "tagged": True, "more": 0, "confirmed": False, "caption": ""}
    return {"id": photo_id, "name": f"{photo_id}.jpg", "image": _PIXEL, **defaults, **changes}


@pytest.fixture
def grid(blank: Page) -> Grid:
    """Twelve photos, numbered from 1."""
    blank.set_viewport_size({"width": 820, "height": 900})
    return Grid(blank, [make_tile(photo) for photo in range(1, 13)])


def test_a_click_or_enter_opens_a_photo(grid: Grid) -> None:
    grid.photo(3).click()
    grid.photo(5).focus()
    grid.page.keyboard.press("Enter")
    assert grid.events == [["opened", 4], ["opened", 6]]


def test_checkboxes_select_and_shift_selects_a_range(grid: Grid) -> None:
    grid.box(1).click()
    grid.photo(4).click(modifiers=["Shift"])
    assert grid.selected == [2, 3, 4, 5]
    grid.box(7).click(modifiers=["Shift"])
    assert grid.selected == [2, 3, 4, 5, 6, 7, 8]
    grid.box(2).click()
    assert grid.selected == [2, 4, 5, 6, 7, 8]
    grid.photo(11).click(modifiers=["Control"])
    assert grid.selected[-1] == 12
    assert not [name for name, _ in grid.events if name == "opened"]


def test_everything_works_by_keyboard(grid: Grid) -> None:
    columns = grid.page.evaluate(
        "getComputedStyle(document.querySelector('main').shadowRoot.querySelector('ul'))"
        ".gridTemplateColumns.split(' ').length"
    )
    keys = grid.page.keyboard
    grid.page.locator(".all input").focus()
    keys.press("Tab")  # the grid is one tab stop
    for key in ("ArrowRight", "ArrowDown", "ArrowLeft", "Space"):
        keys.press(key)
    assert grid.selected == [columns + 1]
    keys.press("Shift+ArrowRight")
    assert grid.selected == [columns + 1, columns + 2]
    keys.press("End")
    keys.press("Enter")
    assert grid.events[-1] == ["opened", 12]
    keys.press("Tab")
    assert grid.page.evaluate("document.activeElement.id") == "below"


def test_all_photos_of_a_page_are_selected_at_once(grid: Grid) -> None:
    select_all = grid.page.get_by_label("Select all 12 on this page")
    select_all.check()
    assert grid.selected == list(range(1, 13))
    assert grid.page.get_by_role("status").inner_text() == "12 selected"
    grid.box(0).click()
    assert select_all.evaluate("box => box.indeterminate")
    select_all.check()
    select_all.uncheck()
    assert grid.selected == []


def test_the_selection_survives_an_update(grid: Grid) -> None:
    grid.box(1).click()
    grid.box(2).click()
    tiles = [make_tile(photo, tag="cat") for photo in range(1, 13)]
    grid.show(tiles)
    assert grid.page.locator("li.selected").count() == 2
    grid.show([tile for tile in tiles if tile["id"] != 2])  # it was deleted
    assert grid.page.locator("li.selected").count() == 1
    grid.version = 1
    grid.show(tiles)
    assert grid.page.locator("li.selected").count() == 0


def test_the_focus_survives_an_update(grid: Grid) -> None:
    grid.photo(6).focus()
    grid.show([make_tile(photo, confirmed=True) for photo in range(3, 15)])
    assert grid.page.evaluate(
        "document.querySelector('main').shadowRoot.activeElement.closest('li').dataset.id"
    ) == ("7")


def test_nothing_can_be_selected_when_selecting_is_off(blank: Page) -> None:
    grid = Grid(blank, [make_tile(photo) for photo in range(1, 4)], selectable=False)
    assert not grid.page.locator("input:visible").count()
    grid.photo(1).focus()
    grid.page.keyboard.press("Space")
    grid.photo(1).click(modifiers=["Shift"])
    assert grid.events == [["opened", 2]]


@pytest.mark.parametrize("text", HOSTILE)
def test_names_and_tags_are_shown_as_text(blank: Page, text: str) -> None:
    hostile = f'{text}"><img src=x onerror=alert(1)>'
    grid = Grid(blank, [make_tile(1, name=hostile, tag=hostile, caption=hostile)])
    grid.page.wait_for_timeout(50)
    assert grid.page.locator(".tag").inner_text() == hostile
    assert grid.page.locator(".caption").inner_text() == hostile
    assert grid.page.locator("li img").count() == 1
    assert grid.page.get_by_role("img", name=hostile, exact=True).count() == 1
    assert grid.page.get_by_role("checkbox", name=f"Select {hostile}").count() == 1
    assert grid.alerts == []


def test_it_fits_a_phone_in_two_columns(blank: Page) -> None:
    blank.set_viewport_size({"width": 390, "height": 844})
    grid = Grid(blank, [make_tile(photo, tag="word " * 30) for photo in range(1, 13)])
    tops = [grid.page.locator("li").nth(index).bounding_box() for index in range(4)]
    first, second, third, _ = (box for box in tops if box is not None)
    assert first["y"] == second["y"] < third["y"]
    assert grid.page.evaluate("document.documentElement.scrollWidth") == 390
