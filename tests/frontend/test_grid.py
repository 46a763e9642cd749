"""The grid of photos: what Python tells it and is told, and how it behaves in a browser."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from playwright.sync_api import Page, sync_playwright
from streamlit.proto.WidgetStates_pb2 import WidgetState
from streamlit.testing.v1 import AppTest

from tagger.images import decode
from tagger.library.library import Library
from tagger.paths import ROOT
from tests.conftest import draw, import_folder

COMPONENTS = ROOT / "frontend" / "components"
QUIETLY = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")
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
answer = photo_grid.photo_grid(
    photos, key="g", captions={{1: "a caption"}}, selectable=st.toggle("Selectable", True)
)
st.text(f"opened {{answer.opened}}, selected {{answer.selected}}")
"""


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Library]:
    """Six photos, numbered from 1, with hostile names where a file may be called so."""
    monkeypatch.setenv("TAGGER_HOME", str(tmp_path / "library"))
    monkeypatch.delenv("TAGGER_DATABASE", raising=False)
    opened = Library.open()
    folder = tmp_path / "photos"
    folder.mkdir()
    names = ("1", "2", "3 <img src=x onerror=alert(1)>", "4 =cmd()", "5 ';--", "6 :red[x]")
    for seed, name in enumerate(names):
        (folder / f"{name}.png").write_bytes(decode.encode(draw("disc", seed), "PNG"))
    import_folder(opened, folder)
    assert [photo.id for photo in opened.search(sort="name").photos] == [1, 2, 3, 4, 5, 6]
    yield opened
    opened.close()
    st.cache_resource.clear()


def opened_page() -> AppTest:
    app = AppTest.from_string(PAGE, default_timeout=60).run()
    assert not app.exception
    return app


def sent(app: AppTest) -> dict[str, Any]:
    """What the browser is given."""
    (component,) = app.get("bidi_component")
    data: dict[str, Any] = json.loads(component.proto.json)
    return data


def told(app: AppTest, *, selected: object = None, opened: object = None) -> AppTest:
    """The page after the browser told something."""
    (component,) = app.get("bidi_component")
    states = app._tree.get_widget_states()
    kept = WidgetState(id=component.proto.id)
    kept.json_value = json.dumps({"selected": selected})
    states.widgets.append(kept)
    if opened is not None:
        event = WidgetState(id=f"$$STREAMLIT_INTERNAL_KEY_{component.proto.id}__events")
        event.json_trigger_value = json.dumps([{"event": "opened", "value": opened}])
        states.widgets.append(event)
    app._run(states)
    assert not app.exception
    return app


def test_a_tile_says_what_a_photo_is(library: Library) -> None:
    library.edit_tags([1], add=["<b>sun</b>", "sea"])
    library.edit_tags([2], remove=["cat", "dog"])
    tiles = sent(opened_page())["photos"]
    first, second, third = tiles[:3]
    assert (first["tag"], first["more"], first["confirmed"]) == ("<b>sun</b>", 1, True)
    assert first["caption"] == "a caption"
    assert (second["tag"], second["tagged"], second["confirmed"]) == ("untagged", False, False)
    assert (third["tag"], third["name"]) == ("unknown", "3 <img src=x onerror=alert(1)>.png")
    assert all(tile["image"].startswith("data:image/jpeg;base64,/9j/") for tile in tiles)


def test_what_is_selected_survives_reruns_and_is_cleared(library: Library) -> None:
    app = told(opened_page(), selected={"turn": 0, "ids": [5, 2]})
    assert app.text[0].value == "opened None, selected (2, 5)"
    before = sent(app)
    app.run()
    assert app.text[0].value == "opened None, selected (2, 5)"
    assert sent(app) == before, "nothing is sent again"
    app.button[0].click().run()
    assert app.text[0].value == "opened None, selected ()"
    assert sent(app)["turn"] == 1


def test_a_photo_is_opened_once(library: Library) -> None:
    app = told(opened_page(), opened=4)
    assert app.text[0].value.startswith("opened 4")
    app.run()
    assert app.text[0].value.startswith("opened None")


@pytest.mark.parametrize(
    "said",
    [
        {"turn": 0, "ids": [99, "2", None]},
        {"turn": 7, "ids": [2]},
        {"turn": 0, "ids": "2"},
        [2],
        "2",
        None,
    ],
)
def test_only_photos_of_the_grid_can_be_selected(library: Library, said: object) -> None:
    assert told(opened_page(), selected=said).text[0].value == "opened None, selected ()"


def test_only_photos_of_the_grid_can_be_opened(library: Library) -> None:
    for nonsense in (99, "4", {"id": 4}, -1):
        assert told(opened_page(), opened=nonsense).text[0].value.startswith("opened None")


def test_a_grid_may_not_be_for_selecting(library: Library) -> None:
    app = opened_page()
    app.toggle[0].set_value(False).run()
    assert not sent(app)["selectable"]
    app = told(app, selected={"turn": 0, "ids": [1]})
    assert app.text[0].value == "opened None, selected ()"


def test_deleted_photos_are_selected_no_more(library: Library) -> None:
    app = told(opened_page(), selected={"turn": 0, "ids": [1, 2]})
    library.delete([1])
    assert app.run().text[0].value == "opened None, selected (2,)"


# In a browser, without Streamlit


@pytest.fixture(scope="module")
def blank() -> Iterator[Page]:
    """A page with nothing on it."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("needs a browser: chromium or google-chrome on the PATH")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=QUIETLY)
        yield browser.new_page(viewport={"width": 820, "height": 900})
        browser.close()


class Mounted:
    """A grid in a browser, as Streamlit puts one there; `said` is what it told."""

    def __init__(self, page: Page, tiles: list[dict[str, Any]], selectable: bool = True) -> None:
        self.page = page
        self.alerts: list[str] = []
        page.on("dialog", lambda dialog: (self.alerts.append(dialog.message), dialog.dismiss()))
        page.set_content('<main style="display: block"></main><p id="below" tabindex="0">below</p>')
        html = (COMPONENTS / "photo_grid.html").read_text(encoding="utf-8")
        css = (COMPONENTS / "photo_grid.css").read_text(encoding="utf-8")
        code = (COMPONENTS / "photo_grid.js").read_text(encoding="utf-8")
        page.evaluate(_MOUNT, [html, css, code])
        self.turn = 0
        self.show(tiles, selectable)

    def show(self, tiles: list[dict[str, Any]], selectable: bool = True) -> None:
        data = {"key": "g", "turn": self.turn, "selectable": selectable, "photos": tiles}
        self.page.evaluate("data => window.show(data)", data)

    @property
    def said(self) -> list[list[Any]]:
        found: list[list[Any]] = self.page.evaluate("window.said")
        return found

    @property
    def selected(self) -> list[int]:
        """The ids last told."""
        told = [value["ids"] for name, value in self.said if name == "selected"]
        return told[-1] if told else []

    def photo(self, place: int) -> Any:
        return self.page.locator("li button").nth(place)

    def box(self, place: int) -> Any:
        return self.page.locator("li input").nth(place)


_MOUNT = """async ([html, css, code]) => {
  const root = document.querySelector("main").attachShadow({ mode: "open" });
  root.innerHTML = `<div>${html}<style>${css}</style></div>`;
  const url = URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
  const module = await import(url);
  window.said = [];
  const setStateValue = (name, value) => window.said.push([name, value]);
  window.show = (data) =>
    module.default({ parentElement: root, data, setStateValue, setTriggerValue: setStateValue });
}"""

_DOT = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"  # one pixel


def tile(photo: int, **changed: Any) -> dict[str, Any]:
    blank = {"tag": "dog", "tagged": True, "more": 0, "confirmed": False, "caption": ""}
    return {"id": photo, "name": f"{photo}.jpg", "image": _DOT, **blank, **changed}


@pytest.fixture
def mounted(blank: Page) -> Mounted:
    """Twelve photos, numbered from 1."""
    blank.set_viewport_size({"width": 820, "height": 900})
    return Mounted(blank, [tile(photo) for photo in range(1, 13)])


def test_a_click_opens_and_so_does_enter(mounted: Mounted) -> None:
    mounted.photo(3).click()
    mounted.photo(5).focus()
    mounted.page.keyboard.press("Enter")
    assert mounted.said == [["opened", 4], ["opened", 6]]


def test_boxes_select_and_shift_selects_a_range(mounted: Mounted) -> None:
    mounted.box(1).click()
    mounted.photo(4).click(modifiers=["Shift"])
    assert mounted.selected == [2, 3, 4, 5]
    mounted.box(7).click(modifiers=["Shift"])
    assert mounted.selected == [2, 3, 4, 5, 6, 7, 8]
    mounted.box(2).click()
    assert mounted.selected == [2, 4, 5, 6, 7, 8]
    mounted.photo(11).click(modifiers=["Control"])
    assert mounted.selected[-1] == 12
    assert not [name for name, _ in mounted.said if name == "opened"]


def test_keys_are_enough(mounted: Mounted) -> None:
    columns = mounted.page.evaluate(
        "getComputedStyle(document.querySelector('main').shadowRoot.querySelector('ul'))"
        ".gridTemplateColumns.split(' ').length"
    )
    keys = mounted.page.keyboard
    mounted.page.locator(".all input").focus()
    keys.press("Tab")  # one stop for all photos
    for key in ("ArrowRight", "ArrowDown", "ArrowLeft", "Space"):
        keys.press(key)
    assert mounted.selected == [columns + 1]
    keys.press("Shift+ArrowRight")
    assert mounted.selected == [columns + 1, columns + 2]
    keys.press("End")
    keys.press("Enter")
    assert mounted.said[-1] == ["opened", 12]
    keys.press("Tab")
    assert mounted.page.evaluate("document.activeElement.id") == "below"


def test_all_of_a_page_are_selected_at_once(mounted: Mounted) -> None:
    everything = mounted.page.get_by_label("Select all 12 on this page")
    everything.check()
    assert mounted.selected == list(range(1, 13))
    assert mounted.page.get_by_role("status").inner_text() == "12 selected"
    mounted.box(0).click()
    assert everything.evaluate("box => box.indeterminate")
    everything.check()
    everything.uncheck()
    assert mounted.selected == []


def test_the_selection_outlives_what_is_drawn_again(mounted: Mounted) -> None:
    mounted.box(1).click()
    mounted.box(2).click()
    tiles = [tile(photo, tag="cat") for photo in range(1, 13)]
    mounted.show(tiles)
    assert mounted.page.locator("li.on").count() == 2
    mounted.show([one for one in tiles if one["id"] != 2])  # it was deleted
    assert mounted.page.locator("li.on").count() == 1
    mounted.turn = 1
    mounted.show(tiles)
    assert mounted.page.locator("li.on").count() == 0


def test_the_focus_stays_where_it_was(mounted: Mounted) -> None:
    mounted.photo(6).focus()
    mounted.show([tile(photo, confirmed=True) for photo in range(3, 15)])
    assert mounted.page.evaluate(
        "document.querySelector('main').shadowRoot.activeElement.closest('li').dataset.id"
    ) == ("7")


def test_nothing_is_selected_in_a_grid_that_is_not_for_it(blank: Page) -> None:
    mounted = Mounted(blank, [tile(photo) for photo in range(1, 4)], selectable=False)
    assert not mounted.page.locator("input:visible").count()
    mounted.photo(1).focus()
    mounted.page.keyboard.press("Space")
    mounted.photo(1).click(modifiers=["Shift"])
    assert mounted.said == [["opened", 2]]


@pytest.mark.parametrize("text", HOSTILE)
def test_names_and_tags_stay_text(blank: Page, text: str) -> None:
    hostile = f'{text}"><img src=x onerror=alert(1)>'
    mounted = Mounted(blank, [tile(1, name=hostile, tag=hostile, caption=hostile)])
    mounted.page.wait_for_timeout(50)
    assert mounted.page.locator(".tag").inner_text() == hostile
    assert mounted.page.locator(".caption").inner_text() == hostile
    assert mounted.page.locator("li img").count() == 1
    assert mounted.page.get_by_role("img", name=hostile, exact=True).count() == 1
    assert mounted.page.get_by_role("checkbox", name=f"Select {hostile}").count() == 1
    assert mounted.alerts == []


def test_it_fits_a_phone_in_two_columns(blank: Page) -> None:
    blank.set_viewport_size({"width": 390, "height": 844})
    mounted = Mounted(blank, [tile(photo, tag="word " * 30) for photo in range(1, 13)])
    tops = [mounted.page.locator("li").nth(place).bounding_box() for place in range(4)]
    first, second, third, _ = (box for box in tops if box is not None)
    assert first["y"] == second["y"] < third["y"]
    assert mounted.page.evaluate("document.documentElement.scrollWidth") == 390
