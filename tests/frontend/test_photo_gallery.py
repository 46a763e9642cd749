"""The photo gallery: what Python sends to the browser and reads back, and its JavaScript."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect, sync_playwright
from streamlit.testing.v1 import AppTest

from tagger.library.library import Library
from tagger.paths import ROOT
from tests.frontend.gallery_page import GalleryPage, make_details, make_tile
from tests.frontend.pages import HOSTILE, grid_data, report_trigger

BROWSER_OPTIONS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")
PHONE = {"width": 390, "height": 844}

PAGE = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
import streamlit as st
from frontend.components import photo_gallery
from frontend.ui.library import open_library
photos = open_library().search(sort="name").photos
photo_gallery.show_grid(photos, key="g", captions={{1: "a caption"}})
covers = [photo_gallery.Cover(name, photo, "2 photos")
          for name, photo in zip(("a", "b", "**sea**"), photos)]
opened = st.session_state.setdefault("opened", [])
photo_gallery.show_covers(covers, key="covers", open=opened.append)
st.text(opened)
"""


# A grid of a few photos, in Python


def open_grid() -> AppTest:
    app = AppTest.from_string(PAGE, default_timeout=60).run()
    assert not app.exception
    return app


def test_a_tile_holds_name_tag_and_digest(six_photos: Library) -> None:
    six_photos.edit_tags([1], add=["<b>sun</b>", "sea"])
    six_photos.edit_tags([2], remove=["cat", "dog"])
    six_photos.rate([1], 5)
    six_photos.rate([2], 4)
    first, second, third = grid_data(open_grid(), "g")["photos"][:3]
    assert (first["tag"], first["more"], first["confirmed"]) == ("<b>sun</b>", 2, True)
    assert first["caption"] == "a caption"
    assert (second["tag"], second["tagged"], second["confirmed"]) == ("No tags", False, False)
    assert (third["name"], third["digest"]) == ("003.png", six_photos.photo(3).sha256)
    assert [tile["favourite"] for tile in (first, second, third)] == [True, False, False]


def test_a_cover_shows_its_name_and_is_opened_once(six_photos: Library) -> None:
    app = open_grid()
    cover = grid_data(app, "covers")["photos"][2]
    assert (cover["id"], cover["name"], cover["tag"]) == (2, "**sea**", "**sea**")
    assert (cover["digest"], cover["caption"]) == (six_photos.photo(3).sha256, "2 photos")
    report_trigger(app, "covers", "opened", 2)
    assert app.text[0].value == "['**sea**']"
    assert app.run().text[0].value == "['**sea**']"


def test_only_covers_that_are_shown_can_be_opened(six_photos: Library) -> None:
    for invalid in (3, -1, "1", {"id": 1}, True, None):
        app = report_trigger(open_grid(), "covers", "opened", invalid)
        assert app.text[0].value == "[]"


# The gallery, in a browser without Streamlit


@pytest.fixture(scope="module")
def blank() -> Iterator[Page]:
    """A page of a browser that can be touched."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("needs a browser: chromium or google-chrome on the PATH")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=BROWSER_OPTIONS)
        context = browser.new_context(viewport={"width": 820, "height": 900}, has_touch=True)
        context.set_default_timeout(10_000)
        yield context.new_page()
        browser.close()


@pytest.fixture
def page(blank: Page) -> Iterator[Page]:
    """The page, as wide as a small window; its routes and storage are cleared afterwards."""
    blank.set_viewport_size({"width": 820, "height": 900})
    yield blank
    blank.unroute_all(behavior="wait")
    blank.evaluate("localStorage.clear()")


def columns(gallery: GalleryPage) -> int:
    first = gallery.photo(gallery.ids[0]).bounding_box()
    assert first is not None
    return round(788 / first["width"])


def test_a_hundred_thousand_photos_scroll_with_few_elements_and_requests(page: Page) -> None:
    gallery = GalleryPage(page, 100_000)
    expect(gallery.photo(1)).to_be_visible()
    for share in (0.25, 0.5, 0.9, 1, 0.1):
        page.evaluate(
            "share => { const it = document.querySelector('#scroller');"
            " it.scrollTop = share * (it.scrollHeight - it.clientHeight); }",
            share,
        )
        page.wait_for_function(
            "() => { const tiles = [...document.querySelector('main').shadowRoot"
            ".querySelectorAll('.timeline li')].filter(tile => {"
            " const { top, bottom } = tile.getBoundingClientRect();"
            " return bottom > 0 && top < innerHeight; });"
            " return tiles.length > 12 && tiles.every(tile =>"
            " tile.querySelector('img').complete && tile.dataset.id); }"
        )
        assert page.locator(".timeline li").count() < 400
    windows = [request for request in gallery.requests if "/window?" in request]
    assert len(windows) < 40
    assert page.locator(".scrubber button").all_inner_texts() == ["2024", "2023"]
    page.get_by_role("button", name="2023").click()
    expect(page.get_by_role("heading", name="December 2023")).to_be_in_viewport()
    assert not gallery.problems


def test_months_have_headings_and_sizes_fill_the_line(page: Page) -> None:
    gallery = GalleryPage(page, 100)
    expect(page.get_by_role("heading", name="December 2024")).to_be_visible()
    before = columns(gallery)
    slider = page.get_by_label("Size of the tiles")
    slider.focus()
    slider.press("ArrowRight")
    assert columns(gallery) < before
    boxes = [gallery.photo(i).bounding_box() for i in range(1, columns(gallery) + 1)]
    right = max(box["x"] + box["width"] for box in boxes if box)
    years = page.locator(".scrubber").bounding_box()
    assert years is not None and 0 < years["x"] - right < 10, "the line is full"
    page.set_viewport_size(PHONE)
    page.wait_for_timeout(100)
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    assert not gallery.problems


def test_a_photo_opens_over_the_gallery_and_closes_to_its_place(page: Page) -> None:
    gallery = GalleryPage(page, 500)
    gallery.photo(3).click()
    assert gallery.open_photo() == 3
    assert page.url.endswith("?photo=3")
    expect(gallery.lightbox.get_by_text("3 of 500")).to_be_visible()
    for _ in range(40):
        page.keyboard.press("ArrowRight")
    gallery.wait_for_photo(43)
    assert page.url.endswith("?photo=43")
    page.keyboard.press("ArrowLeft")
    gallery.wait_for_photo(42)
    page.keyboard.press("Escape")
    expect(gallery.lightbox).to_be_hidden()
    page.wait_for_function("!location.search")
    assert gallery.focused() == 42, "the place is that of the photo looked at last"
    expect(gallery.photo(42)).to_be_in_viewport()
    page.keyboard.press("Enter")
    gallery.wait_for_photo(42)
    page.go_back()
    expect(gallery.lightbox).to_be_hidden()
    page.go_forward()
    gallery.wait_for_photo(42)
    assert not gallery.problems


def test_the_address_opens_a_photo_which_may_not_exist(page: Page) -> None:
    gallery = GalleryPage(page, 50, "?sort=name&photo=7")
    gallery.wait_for_photo(7)
    page.keyboard.press("Escape")
    expect(gallery.lightbox).to_be_hidden()
    assert page.url.endswith("/gallery?sort=name")
    gallery = GalleryPage(page, 50, "?photo=999999999")
    expect(page.get_by_role("status").get_by_text("no such photo")).to_be_visible()
    assert page.url.endswith("/gallery")
    assert not gallery.problems


def test_neighbours_are_loaded_beforehand(page: Page) -> None:
    gallery = GalleryPage(page, 50)
    gallery.photo(5).click()
    gallery.wait_for_photo(5)
    expected = [f"/library/photos/{i:064x}.jpg?side=1600" for i in (5, 6, 4)]
    page.wait_for_function("performance.now() > 0")
    for _ in range(50):
        if set(expected) <= set(gallery.requests):
            break
        page.wait_for_timeout(20)
    assert [request for request in gallery.requests if "/photos/" in request][:3] == expected
    assert "/library/details/6?" in gallery.requests


def test_checkboxes_select_and_shift_selects_a_range(page: Page) -> None:
    gallery = GalleryPage(page, 400)
    gallery.photo(2).hover()
    gallery.box(2).click()
    gallery.photo(5).click(modifiers=["Shift"])
    expect(page.get_by_text("4 selected")).to_be_visible()
    gallery.photo(7).click(modifiers=["Control"])
    gallery.box(3).click()
    expect(page.get_by_text("4 selected")).to_be_visible()
    page.get_by_role("button", name="Confirm tags").click()
    assert gallery.last_action() == {"kind": "confirm", "ids": [2, 4, 5, 7]}
    page.get_by_label("Select all 400").check()
    expect(page.get_by_text("400 selected")).to_be_visible()
    gallery.box(1).click()
    assert page.get_by_label("Select all 400").evaluate("box => box.indeterminate")
    page.get_by_role("button", name="Delete").click()
    assert gallery.last_action()["ids"] == list(range(2, 401))
    expect(page.get_by_role("toolbar")).to_be_hidden()
    assert not gallery.lightbox.is_visible()
    assert not gallery.problems


def test_a_range_may_reach_photos_that_were_never_drawn(page: Page) -> None:
    gallery = GalleryPage(page, 5_000)
    gallery.photo(1).focus()
    page.keyboard.press("Space")
    page.keyboard.press("End")
    gallery.photo(5_000).wait_for()
    page.keyboard.press("Shift+Space")
    expect(page.get_by_text("5,000 selected")).to_be_visible()


def test_everything_works_by_keyboard(page: Page) -> None:
    gallery = GalleryPage(page, 60)
    keys = page.keyboard
    page.get_by_label("Size of the tiles").focus()
    keys.press("Tab")  # the gallery is one tab stop
    assert gallery.focused() == 1
    across = columns(gallery)
    for key in ("ArrowRight", "ArrowDown", "ArrowLeft", "Space"):
        keys.press(key)
    month = len(gallery.ids[: -(-60 // 8)])
    assert gallery.focused() == (across + 1 if across < month else month + 1)
    keys.press("Shift+ArrowRight")
    expect(page.get_by_text("2 selected")).to_be_visible()
    keys.press("Escape")
    expect(page.get_by_role("toolbar")).to_be_hidden()
    keys.press("End")
    assert gallery.focused() == 60
    keys.press("Tab")
    while page.evaluate("document.activeElement.id") != "below":
        assert page.evaluate("document.activeElement.tagName") == "MAIN"
        keys.press("Tab")
    assert not gallery.problems


def test_tags_are_chips_that_stay_where_they_are(page: Page) -> None:
    gallery = GalleryPage(page, 9)
    gallery.photo(2).click()
    gallery.wait_for_photo(2)
    chips = gallery.lightbox.get_by_role("list", name="Tags", exact=True).get_by_role("listitem")
    expect(chips).to_have_count(2)
    left = (chips.nth(1).bounding_box() or {})["x"]
    page.get_by_role("button", name="Confirm dog").click()
    assert gallery.last_action() == {"kind": "tag", "ids": [2], "add": ["dog"]}
    expect(page.get_by_role("button", name="Confirm dog")).to_have_count(0)
    page.get_by_role("button", name="Remove dog").click()
    assert gallery.last_action() == {"kind": "tag", "ids": [2], "remove": ["dog"]}
    tag_again = page.get_by_role("button", name="Clear your no to dog")
    expect(tag_again).to_be_focused()
    assert [chip.get_attribute("data-label") for chip in chips.all()] == ["dog", "sea"]
    assert (chips.nth(1).bounding_box() or {})["x"] == pytest.approx(left, abs=0.6)
    sent = gallery.last_actions()["actions"]
    assert [action["number"] for action in sent] == [1, 2], "what is not done yet is sent again"
    gallery.details[2] = make_details(2, tags=make_details(2)["tags"][::-1])
    gallery.carry_out(text="Removed dog")
    expect(gallery.lightbox.get_by_text("Removed dog")).to_be_visible()
    expect(page.get_by_role("button", name="Confirm dog")).to_be_visible()
    assert [chip.get_attribute("data-label") for chip in chips.all()] == ["dog", "sea"]
    assert (chips.nth(1).bounding_box() or {})["x"] == pytest.approx(left, abs=0.6)
    page.keyboard.press("ArrowRight")
    gallery.wait_for_photo(3)
    expect(gallery.lightbox.get_by_text("Removed dog")).to_be_hidden()
    page.keyboard.press("u")
    page.keyboard.press("Shift+U")
    assert [action["kind"] for action in gallery.last_actions()["actions"]] == ["undo", "redo"]
    page.get_by_text("Not sure enough (1)").click()
    page.get_by_role("button", name="Not cat").click()
    assert gallery.last_action() == {"kind": "tag", "ids": [3], "remove": ["cat"]}
    assert not gallery.problems


def test_enter_comma_and_the_button_add_a_tag(page: Page) -> None:
    gallery = GalleryPage(page, 9)
    gallery.photo(1).click()
    gallery.wait_for_photo(1)
    page.keyboard.press("t")
    field = gallery.lightbox.get_by_role("combobox", name="Add a tag")
    expect(field).to_be_focused()
    page.keyboard.type("my  cat")
    page.keyboard.press("Enter")
    assert gallery.last_action()["add"] == ["my cat"]
    page.keyboard.type("sun, moon")
    assert gallery.last_action()["add"] == ["sun"]
    gallery.lightbox.get_by_role("button", name="Add a tag").click()
    assert gallery.last_action()["add"] == ["moon"]
    page.keyboard.type("dol")
    options = gallery.lightbox.get_by_role("option")
    expect(options).to_have_count(2)
    assert field.get_attribute("aria-expanded") == "true"
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    assert field.get_attribute("aria-activedescendant") == options.nth(1).get_attribute("id")
    page.keyboard.press("Enter")
    assert gallery.last_action()["add"] == ["Dolomites"]
    page.keyboard.type("5fi")  # text, not keys of the lightbox
    page.keyboard.press("Escape")
    expect(field).to_have_value("")
    page.keyboard.type("do")
    expect(options.first).to_be_visible()
    page.keyboard.press("Escape")
    expect(options.first).to_be_hidden()
    assert (field.input_value(), gallery.open_photo()) == ("do", 1)
    assert [action["kind"] for action in gallery.last_actions()["actions"]] == ["tag"] * 4
    assert not gallery.problems


def test_a_deleted_photo_makes_way_for_the_next_and_undo_is_in_reach(page: Page) -> None:
    gallery = GalleryPage(page, 3)
    gallery.photo(2).click()
    gallery.wait_for_photo(2)
    page.keyboard.press("Delete")
    gallery.wait_for_photo(3)
    assert gallery.last_action() == {"kind": "delete", "ids": [2]}
    page.keyboard.press("ArrowLeft")
    gallery.wait_for_photo(1)
    gallery.carry_out(ids=[1, 3], text="Deleted 1 photo from the library")
    expect(gallery.lightbox.get_by_text("1 of 2")).to_be_visible()
    gallery.lightbox.get_by_role("status").get_by_role("button", name="Undo").click()
    assert gallery.last_action() == {"kind": "undo", "ids": [], "operation": 7, "redo": False}
    gallery.carry_out(ids=[1, 2, 3], text="Restored 1 photo", undo="Redo")
    expect(gallery.lightbox.get_by_text("1 of 3")).to_be_visible()
    page.keyboard.press("ArrowRight")
    gallery.wait_for_photo(2)
    assert not gallery.problems


def test_a_photo_that_leaves_the_results_stays_until_the_next(page: Page) -> None:
    gallery = GalleryPage(page, 4, query="tag==dog", labels=True)
    gallery.photo(2).click()
    gallery.wait_for_photo(2)
    page.get_by_role("button", name="Remove dog").click()
    gallery.carry_out(ids=[1, 3, 4], text="Removed dog")
    expect(gallery.lightbox.get_by_text("2 of 4")).to_have_count(0)
    assert gallery.open_photo() == 2
    page.keyboard.press("ArrowRight")
    gallery.wait_for_photo(3)
    expect(gallery.lightbox.get_by_text("2 of 3")).to_be_visible()


def test_one_key_makes_favourites_and_stars_rate(page: Page) -> None:
    gallery = GalleryPage(page, 4)
    gallery.tiles[4] = make_tile(4, favourite=True)
    gallery.photo(1).focus()
    page.keyboard.press("f")
    assert gallery.last_action() == {"kind": "favourite", "ids": [1]}
    expect(gallery.photo(1).locator(".favourite")).to_be_hidden()
    gallery.tiles[1] = make_tile(1, favourite=True)
    gallery.carry_out(text="Added to favourites")
    expect(gallery.photo(1).locator(".favourite")).to_be_visible()
    assert gallery.focused() == 1 and "favourite" in str(
        gallery.photo(1).get_attribute("aria-label")
    )
    for key, kind in (
        *(("Control+z", "undo"), ("Shift+U", "redo"), ("u", "undo")),
        *(("Control+y", "redo"), ("Control+Shift+Z", "redo")),
    ):
        page.keyboard.press(key)
        assert gallery.last_action() == {"kind": kind, "ids": []}, key
    page.keyboard.press("Space")
    page.keyboard.press("Shift+ArrowRight")
    expect(page.get_by_text("2 selected")).to_be_visible()
    page.keyboard.press("f")
    assert gallery.last_action() == {"kind": "favourite", "ids": [1, 2]}
    page.get_by_role("button", name="Favourite", exact=True).click()
    assert gallery.last_action() == {"kind": "favourite", "ids": [1, 2]}
    page.keyboard.press("Escape")
    gallery.photo(1).click()
    gallery.wait_for_photo(1)
    for key, rating in (("f", 5), ("f", 0), ("3", 3), ("0", 0)):
        page.keyboard.press(key)
        assert gallery.last_action() == {"kind": "rate", "ids": [1], "rating": rating}
    fourth = page.get_by_role("button", name="4 of 5 stars")
    fourth.click()
    expect(fourth).to_have_attribute("aria-pressed", "true")
    favourite = gallery.lightbox.get_by_role("button", name="Favourite", exact=True)
    expect(favourite).to_have_attribute("aria-pressed", "false")
    favourite.click()
    expect(favourite).to_have_attribute("aria-pressed", "true")
    assert not gallery.problems


@pytest.mark.parametrize("is_open", [False, True])
@pytest.mark.parametrize("key", ["u", "Shift+U", "Control+z", "Control+y", "f"])
def test_a_key_that_is_held_down_acts_once(page: Page, key: str, is_open: bool) -> None:
    gallery = GalleryPage(page, 4)
    gallery.photo(1).focus()
    if is_open:
        page.keyboard.press("Enter")
        gallery.wait_for_photo(1)
        expect(gallery.lightbox.get_by_role("textbox", name="Caption")).to_be_visible()
    *modifiers, letter = key.split("+")
    for name in (*modifiers, *[letter] * 4):  # a second `down` repeats, as a held key does
        page.keyboard.down(name)
    for name in (letter, *modifiers):
        page.keyboard.up(name)
    assert len(gallery.last_actions()["actions"]) == 1
    page.keyboard.press(key)
    assert len(gallery.last_actions()["actions"]) == 2


def test_a_caption_is_saved_by_enter_or_on_leaving_it(page: Page) -> None:
    gallery = GalleryPage(page, 3)
    gallery.details[1] = make_details(1, caption="at home")
    gallery.photo(1).click()
    gallery.wait_for_photo(1)
    field = gallery.lightbox.get_by_role("textbox", name="Caption")
    expect(field).to_have_value("at home")
    field.fill("by the sea, 5 f")
    field.press("Escape")
    expect(field).to_have_value("at home")
    field.fill("  by the sea ")
    field.press("Enter")
    assert gallery.last_action() == {"kind": "caption", "ids": [1], "caption": "by the sea"}
    page.keyboard.press("ArrowRight")  # a key of the lightbox again
    gallery.wait_for_photo(2)
    expect(field).to_have_value("")
    field.fill("a dog")
    gallery.lightbox.get_by_role("button", name="Next photo").click()
    gallery.wait_for_photo(3)
    assert gallery.last_action() == {"kind": "caption", "ids": [2], "caption": "a dog"}
    assert not gallery.problems


def test_a_message_offers_more_photos_like_those_tagged(page: Page) -> None:
    gallery = GalleryPage(page, 3)
    gallery.photo(1).focus()
    page.keyboard.press("f")
    page.evaluate(  # as Python draws the link
        "() => { const links = document.createElement('div'); links.className = 'st-key-g-offers';"
        " links.innerHTML = '<a href=\"#guitar\"></a>'; document.body.append(links); }"
    )
    gallery.carry_out(text="Added guitar", offers=["23 more look like guitar"])
    page.get_by_role("button", name="23 more look like guitar").click()
    assert page.url.endswith("#guitar")


def test_a_gallery_that_cannot_be_edited_only_shows_photos(page: Page) -> None:
    tiles = [make_tile(i) for i in range(1, 5)]
    gallery = GalleryPage(page, photos=tiles, actions=False, selectable=False, total=0)
    gallery.photo(3).click()
    gallery.wait_for_photo(3)
    expect(gallery.lightbox.get_by_role("list", name="Tags", exact=True)).to_be_visible()
    for name in ("Delete", "Undo", "Favourite", "Confirm dog", "Remove dog", "Add a tag"):
        expect(gallery.lightbox.get_by_role("button", name=name, exact=True)).to_be_hidden()
    for key in ("f", "3", "Delete", "Control+z", "t"):
        page.keyboard.press(key)
    page.keyboard.press("ArrowRight")
    gallery.wait_for_photo(4)
    assert gallery.events("actions") == [] and not gallery.problems


def test_a_chip_shows_why(page: Page) -> None:
    gallery = GalleryPage(page, 3)
    gallery.photo(1).click()
    gallery.wait_for_photo(1)
    why = gallery.lightbox.locator("button.face", has_text="dog")
    why.click()
    expect(why).to_have_attribute("aria-pressed", "true")
    expect(gallery.lightbox.locator("img.large")).to_have_attribute(
        "src", "/library/heatmaps/1.jpg?tag=dog"
    )
    why.click()
    expect(gallery.lightbox.locator("img.large")).to_have_attribute(
        "src", f"/library/photos/{1:064x}.jpg?side=1600"
    )


def test_a_phone_swipes_and_details_come_from_below(page: Page) -> None:
    page.set_viewport_size(PHONE)
    gallery = GalleryPage(page, 30)
    gallery.photo(4).tap()
    gallery.wait_for_photo(4)
    expect(gallery.lightbox.get_by_role("complementary")).to_be_hidden()
    for moves, photo in (((300, 400, 100, 410), 5), ((100, 400, 300, 390), 4)):
        swipe(gallery, *moves)
        gallery.wait_for_photo(photo)
    swipe(gallery, 200, 500, 210, 300)
    expect(gallery.lightbox.get_by_role("complementary")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    gallery.message = {"number": 1, "text": f"Undo “{'Renamed cat to dog ' * 4}”?", "undo": "Undo"}
    gallery.show(undo="Renamed cat to dog", redo="Added sea")
    tool, label = (
        gallery.lightbox.get_by_title("Redo: Added sea"),
        page.get_by_text("Undo", exact=True),
    )
    assert (tool.bounding_box() or {})["y"] < 12, "the bar is one line"
    assert (label.bounding_box() or {})["height"] < 30, "and so is the button"
    tool.click()
    assert gallery.last_action() == {"kind": "redo", "ids": []}
    gallery.show(redo="")
    expect(gallery.lightbox.get_by_title("Redo", exact=True)).to_be_disabled()
    expect(gallery.lightbox.locator(".stage")).to_be_focused()
    swipe(gallery, 200, 100, 210, 300)
    swipe(gallery, 200, 300, 210, 600)
    expect(gallery.lightbox).to_be_hidden()
    assert not gallery.problems


def swipe(gallery: GalleryPage, x: int, y: int, to_x: int, to_y: int) -> None:
    """Move a finger over the photo in the lightbox."""
    gallery.lightbox.locator(".stage").evaluate(
        """(stage, [x, y, toX, toY]) => {
          const touch = (clientX, clientY) =>
            new Touch({ identifier: 1, target: stage, clientX, clientY });
          const options = (touches, changedTouches) => ({ touches, changedTouches, bubbles: true });
          const [from, to] = [touch(x, y), touch(toX, toY)];
          stage.dispatchEvent(new TouchEvent("touchstart", options([from], [from])));
          stage.dispatchEvent(new TouchEvent("touchend", options([], [to])));
        }""",
        [x, y, to_x, to_y],
    )


def test_a_long_press_selects_on_touch(page: Page) -> None:
    page.set_viewport_size(PHONE)
    gallery = GalleryPage(page, 30)
    gallery.photo(2).evaluate(
        """async (tile) => {
          const touches = [new Touch({ identifier: 1, target: tile, clientX: 9, clientY: 9 })];
          tile.dispatchEvent(new TouchEvent("touchstart", { touches, bubbles: true }));
          await new Promise((resolve) => setTimeout(resolve, 600));
          tile.dispatchEvent(new TouchEvent("touchend", { bubbles: true }));
          tile.click();
        }"""
    )
    expect(page.get_by_text("1 selected")).to_be_visible()
    gallery.photo(5).tap()
    expect(page.get_by_text("2 selected")).to_be_visible()
    bar = page.get_by_role("toolbar").bounding_box()
    assert bar is not None and bar["height"] < 60, "it does not wrap"
    page.set_viewport_size({"width": 320, "height": 600})
    bar = page.get_by_role("toolbar").bounding_box()
    assert bar is not None and bar["height"] < 60 and bar["x"] + bar["width"] <= 320
    assert page.evaluate("document.documentElement.scrollWidth") == 320


def test_selected_photos_get_and_lose_tags(page: Page) -> None:
    gallery = GalleryPage(page, 30)
    gallery.photo(1).click(modifiers=["Control"])
    gallery.photo(2).click(modifiers=["Control"])
    page.get_by_role("button", name="Add tags").click()
    page.keyboard.type("holiday")
    page.keyboard.press("Enter")
    assert gallery.last_action() == {"kind": "tag", "ids": [1, 2], "add": ["holiday"]}
    page.get_by_role("button", name="Remove tags").click()
    page.get_by_role("button", name="Remove sea from 1 photo").click()
    assert gallery.last_action() == {"kind": "tag", "ids": [1, 2], "remove": ["sea"]}
    page.get_by_role("button", name="Re-tag", exact=True).first.click()
    page.get_by_role("combobox", name="Model").select_option("other")
    page.get_by_role("button", name="Re-tag", exact=True).first.click()
    assert gallery.last_action() == {"kind": "retag", "ids": [1, 2], "model": "other"}
    expect(page.get_by_role("toolbar")).to_be_hidden()


def test_a_list_of_photos_reports_what_is_opened(page: Page) -> None:
    tiles = [make_tile(i, caption=f"{i}0% similar") for i in range(1, 5)]
    data = {"photos": tiles, "opens": True, "actions": False, "labels": True, "total": 0}
    gallery = GalleryPage(page, selectable=False, **data)
    expect(page.get_by_text("20% similar")).to_be_visible()
    gallery.photo(3).click()
    gallery.photo(4).click(modifiers=["Control"])
    assert gallery.events("opened") == [3, 4]


@pytest.mark.parametrize("text", HOSTILE)
def test_names_and_tags_are_shown_as_text(page: Page, text: str) -> None:
    hostile = f'{text}"><img src=x onerror=alert(1)>'
    gallery = GalleryPage(page, 1, labels=True)
    gallery.tiles[1] = make_tile(1, name=hostile, tag=hostile, caption=hostile)
    chip = {
        "label": hostile,
        "score": "5%",
        "origin": hostile,
        "confirmed": False,
        "explains": True,
    }
    gallery.details[1] = make_details(
        1, name=hostile, path=hostile, facts=[hostile], tags=[chip], weaker=[chip], unknown=hostile
    )
    gallery.version = 2
    gallery.show()
    expect(page.locator(".label .tag")).to_have_text(hostile)
    gallery.photo(1).click()
    gallery.wait_for_photo(1)
    expect(gallery.lightbox.locator(".panel code")).to_have_text(hostile)
    gallery.message = {"number": 9, "text": hostile, "undo": "", "isError": False}
    gallery.show()
    expect(gallery.lightbox.get_by_role("status").get_by_text(hostile)).to_be_visible()
    assert page.locator("[onerror], img[src=x]").count() == 0
    assert gallery.problems == []


def test_a_missing_original_shows_its_thumbnail_and_the_reason(page: Page) -> None:
    gallery = GalleryPage(page, 3)
    page.route(
        "**/photos/*", lambda route: route.fulfill(status=404, json={"error": "no such file"})
    )
    gallery.photo(1).click()
    gallery.wait_for_photo(1)
    expect(page.get_by_text("Original missing: no such file")).to_be_visible()
    expect(gallery.lightbox.locator("img.thumbnail")).to_be_visible()


def test_changes_of_others_are_shown_without_losing_the_place(page: Page) -> None:
    gallery = GalleryPage(page, 2_000)
    gallery.photo(1).wait_for()
    page.evaluate("document.querySelector('#scroller').scrollTop = 3000")
    page.wait_for_timeout(150)
    before: Any = page.evaluate("document.querySelector('#scroller').scrollTop")
    gallery.version, gallery.ids = 2, list(range(1, 2_101))
    gallery.show()
    expect(page.get_by_text("2,100 photos")).to_be_visible()
    assert page.evaluate("document.querySelector('#scroller').scrollTop") == before
    gallery.version, gallery.ids = 3, list(range(1, 2_051))  # Python does not know of it
    page.evaluate("document.querySelector('#scroller').scrollTop = 9000")
    expect(page.get_by_text("2,050 photos")).to_be_visible()
    assert not gallery.problems


@pytest.mark.parametrize("scrolled", [False, True])
def test_focus_and_range_stay_with_their_photos_when_others_are_added(
    page: Page, scrolled: bool
) -> None:
    gallery = GalleryPage(page, 2_000)
    first = 401 if scrolled else 2
    if scrolled:
        gallery.photo(1).focus()
        for _ in range(100):
            page.keyboard.press("PageDown")
            if (gallery.focused() or 0) > 400:
                break
        first = gallery.focused() or 0
    gallery.photo(first).click(modifiers=["Control"])
    assert gallery.focused() == first
    gallery.version, gallery.ids = 2, [*range(5_001, 5_004), *range(1, 2_001)]
    gallery.show()
    expect(page.get_by_text("2,003 photos")).to_be_visible()
    assert gallery.focused() == first
    gallery.photo(first + 3).click(modifiers=["Shift"])
    expect(page.get_by_text("4 selected")).to_be_visible()
    page.keyboard.press("f")
    assert gallery.last_action()["ids"] == [first, first + 1, first + 2, first + 3]
    page.keyboard.press("Escape")
    expect(page.get_by_role("toolbar")).to_be_hidden()
    focused = gallery.focused()
    assert focused == first + 3
    # As many photos as before, in another order: only their tiles are drawn anew.
    index = gallery.ids.index(focused)
    gallery.ids[index], gallery.ids[index - 1] = gallery.ids[index - 1], focused
    gallery.version = 3
    gallery.show()
    expect(gallery.photo(focused).locator("..")).to_have_attribute("data-index", str(index - 1))
    assert gallery.focused() == focused
    page.keyboard.press("f")
    assert gallery.last_action() == {"kind": "favourite", "ids": [focused]}
    assert not gallery.problems


def test_focus_stays_with_a_photo_that_leaves_the_window(page: Page) -> None:
    gallery = GalleryPage(page, 200)
    gallery.photo(2).focus()
    gallery.version, gallery.ids = 2, [*range(5_001, 7_001), *range(1, 201)]
    gallery.show()
    expect(page.get_by_text("2,200 photos")).to_be_visible()
    assert page.evaluate("document.querySelector('#scroller').scrollTop") == 0
    assert gallery.focused() == 2
    page.keyboard.press("ArrowRight")
    assert gallery.focused() == 3
    expect(gallery.photo(3)).to_be_in_viewport()
    assert not gallery.problems


def test_a_listing_of_an_earlier_query_is_not_taken_for_the_present_one(page: Page) -> None:
    gallery = GalleryPage(page, 50)
    expect(page.get_by_text("50 photos")).to_be_visible()
    held: list[Route] = []
    page.route("**/library/gallery?*", lambda route: held.append(route))
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    while not held:
        page.wait_for_timeout(20)
    gallery.ids = list(range(101, 131))
    gallery.show(query="dog")
    expect(page.get_by_text("30 photos")).to_be_visible()
    gallery.version = 2
    listed = {"version": "2", "total": 77, "months": [["2024-12", 77]], "position": None}
    held[0].fulfill(json=listed)
    page.wait_for_timeout(300)
    expect(page.get_by_text("30 photos")).to_be_visible()
    assert not gallery.problems
