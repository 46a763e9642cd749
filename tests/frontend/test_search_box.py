"""The search box: what Python sends to the browser and reads back, and its JavaScript."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, Route, expect, sync_playwright

from tagger.library.library import Library
from tagger.paths import ROOT
from tests.e2e.conftest import BROWSER_OPTIONS
from tests.frontend.pages import (
    act,
    grid_data,
    message,
    open_page,
    press,
    report_trigger,
    search_box_data,
    search_for,
)

COMPONENTS = ROOT / "frontend" / "components"
HOSTILE = '<img src=x onerror=alert(1)>"; DROP TABLE'
DATA: dict[str, Any] = {
    "label": "Search your photos",
    "placeholder": "Search",
    "query": "",
    "tags": [
        ["dog", "dog", "", 1200],
        ['"golden retriever"', "golden retriever", "", 30],
        ['"dog bed"', "dog bed", "", 4],
        ["beach", "beach", "", 2],
        [f'"{HOSTILE}"', HOSTILE, "", 1],
    ],
    "words": [["animal", "animal", "dog, golden retriever", None]],
    "parts": [
        ["untagged", "untagged", "without tags", None],
        ["score>=", "score", "confidence of a tag", None],
    ],
    "saved": [["Our dogs", "dog by:person"]],
    "storage": "searches-of-the-test",
}


def test_the_box_offers_the_librarys_tags(six_photos: Library) -> None:
    six_photos.edit_tags([1], add=["golden retriever"])
    data = search_box_data(open_page("search", q="dog"))
    assert data["query"] == "dog"
    assert data["tags"][-1] == ['"golden retriever"', "golden retriever", "", 1]
    assert {"animal", "puppy"} <= {words for _, words, _, _ in data["words"]}
    assert ["untagged", "untagged"] in [row[:2] for row in data["parts"]]


@pytest.mark.parametrize("reported", [7, None, {"q": "dog"}, ["dog"]])
def test_only_text_is_taken_from_the_browser(six_photos: Library, reported: object) -> None:
    app = search_for(open_page("search", q="cat"), reported)
    assert app.query_params == {"q": "cat"}


def test_a_new_search_begins_on_the_first_page(six_photos: Library) -> None:
    app = search_for(open_page("search", q="cat", page="2"), "dog")
    assert app.query_params == {"q": "dog"}
    assert search_for(app, "").query_params == {}


def test_saved_searches_are_in_the_sidebar_and_open(six_photos: Library) -> None:
    for number in range(22):
        entry = {"query": f"id:{number}"}
        six_photos.save_entry("search", f"<b>{number:02}</b>", entry, "Saved a search")
    app = open_page("activity")
    data = grid_data(app, "search-links")
    assert data["saved"][0] == ["<b>00</b>", "id:0"] and data["left_out"] == 2
    assert data["query"] is None
    assert data["storage"] == search_box_data(open_page("search"))["storage"]
    for invalid in (7, "", "x" * 1001):
        report_trigger(app, "search-links", "opened", invalid)
        assert app.title[0].value == "History"
    report_trigger(app, "search-links", "opened", "cat")
    assert app.title[0].value == "Search" and app.query_params == {"q": "cat"}
    assert grid_data(app, "search-links")["query"] == "cat"


def test_a_search_is_saved_and_deleted(six_photos: Library) -> None:
    app = open_page("search", q="cat")
    app.text_input(key="search-save-name").set_value(" Our   cats ")
    app.session_state["search-save"] = True  # the menu is open
    press(app, "search-save-go")
    assert message(app, "search") == "Saved the search “Our cats”"
    assert app.session_state["search-save"] is False
    assert grid_data(app, "search-links")["saved"] == [["Our cats", "cat"]]
    assert search_box_data(app)["saved"] == [["Our cats", "cat"]]
    press(app, "search-unsave-Our cats")
    assert message(app, "search") == "Deleted the search “Our cats”"
    assert grid_data(app, "search-links")["saved"] == []
    act(app, "undo", page="search")
    assert grid_data(app, "search-links")["saved"] == [["Our cats", "cat"]]


# In a browser, without Streamlit


@pytest.fixture(scope="module")
def blank() -> Iterator[Page]:
    """A page of an origin of its own, which has storage."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("needs a browser: chromium or google-chrome on the PATH")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=BROWSER_OPTIONS)
        page = browser.new_page(viewport={"width": 820, "height": 700})
        page.route("http://localhost:9/**", _serve_page)
        yield page
        browser.close()


def _serve_page(route: Route) -> None:
    route.fulfill(body="<!doctype html><main></main>", content_type="text/html")


def mount(page: Page, component: str) -> None:
    """Mount a component as Streamlit does; the browser remembers nothing."""
    page.goto("http://localhost:9/")
    page.evaluate("localStorage.clear()")
    parts = [
        (COMPONENTS / f"{component}.{name}").read_text(encoding="utf-8")
        for name in ("html", "css", "js")
    ]
    page.evaluate(_MOUNT, parts)


class Box:
    """A search box in a browser."""

    def __init__(self, page: Page, **data: Any) -> None:
        self.page = page
        mount(page, "search_box")
        self.show(**data)
        self.field = page.get_by_role("combobox", name="Search your photos")

    def show(self, **data: Any) -> None:
        self.page.evaluate("data => window.show(data)", {**DATA, **data})

    @property
    def submitted(self) -> list[str]:
        queries: list[str] = self.page.evaluate("window.submitted")
        return queries

    def type(self, text: str) -> None:
        self.field.click()
        self.field.fill("")
        self.field.press_sequentially(text)

    def press(self, *keys: str) -> None:
        for key in keys:
            self.field.press(key)

    def options(self) -> Locator:
        return self.page.get_by_role("option")

    def labels(self) -> list[str]:
        return self.page.locator("li .text").all_inner_texts()


_MOUNT = """async ([html, css, code]) => {
  const root = document.querySelector("main").attachShadow({ mode: "open" });
  root.innerHTML = `<div>${html}<style>${css}</style></div>`;
  const url = URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
  const module = await import(url);
  window.submitted = [];
  const setTriggerValue = (name, value) => window.submitted.push(value);
  let unmount = () => {};
  window.show = (data) => {
    unmount();
    unmount = module.default({ parentElement: root, data, setTriggerValue }) ?? (() => {});
  };
}"""


@pytest.fixture
def box(blank: Page) -> Box:
    return Box(blank)


def test_typing_offers_tags_with_counts_and_words(box: Box) -> None:
    box.type("do")
    assert box.labels() == ["dog", "dog bed", "Our dogs"]
    expect(box.options().first).to_have_text("#dog1,200")
    expect(box.page.get_by_role("status")).to_have_text("3 suggestions")
    box.type("retr")
    assert box.labels()[0] == "golden retriever"
    box.type("anim")
    expect(box.options().first).to_contain_text("dog, golden retriever")
    box.type("no such words")
    assert box.labels() == []
    box.press("Enter")  # read as tags, or else as a description
    assert box.submitted == ["no such words"]


def test_a_tag_is_completed_where_the_caret_is(box: Box) -> None:
    box.type("beach -golden re")
    box.press("ArrowDown", "Enter")
    assert box.submitted == ['beach -"golden retriever"']
    box.type("beach")
    box.press("Home", *"do ", "ArrowLeft")
    box.options().first.click()
    assert box.submitted[-1] == "dog beach"
    box.type('"golden ')
    box.options().first.click()
    assert box.submitted[-1] == '"golden retriever"'
    box.type("tag:be")
    assert box.labels() == ["beach", "dog bed"]
    box.type("name:be")
    assert box.labels() == []


def test_a_field_waits_for_its_value(box: Box) -> None:
    box.type("dog sco")
    assert box.labels()[0] == "score>="
    box.press("ArrowDown", "Enter")
    assert box.submitted == [] and box.field.input_value() == "dog score>="
    box.press("9", "Enter")
    assert box.submitted == ["dog score>=9"]
    box.type("unt")
    box.press("ArrowDown", "Enter")
    assert box.submitted[-1] == "untagged"


def test_the_list_is_used_by_keyboard(box: Box) -> None:
    box.type("dog")
    expect(box.field).to_have_attribute("aria-expanded", "true")
    box.press("ArrowDown", "ArrowDown")
    active = box.field.get_attribute("aria-activedescendant")
    expect(box.page.locator(f"#{active}")).to_have_attribute("aria-selected", "true")
    expect(box.page.locator(f"#{active}")).to_contain_text("dog bed")
    box.press("ArrowUp", "ArrowUp")  # back to the text
    assert box.field.get_attribute("aria-activedescendant") is None
    box.press("ArrowUp")  # the last one
    expect(box.options().last).to_have_attribute("aria-selected", "true")
    box.press("Escape")
    expect(box.options()).to_have_count(0)
    assert box.field.input_value() == "dog"
    box.press("Enter")
    assert box.submitted == ["dog"]


def test_recent_searches_are_offered_until_they_are_cleared(box: Box) -> None:
    for query in ("dog", "beach score>=0.8", "dog", "  "):
        box.type(query)
        box.press("Enter")
    assert box.submitted == ["dog", "beach score>=0.8", "dog", ""]
    box.page.evaluate("document.activeElement.blur()")
    box.field.click()
    assert box.labels() == ["dog", "beach score>=0.8", "Our dogs", "Clear recent searches"]
    box.options().nth(2).click()
    assert box.submitted[-1] == "dog by:person"
    box.page.get_by_role("button", name="Clear search").click()
    box.page.get_by_text("Clear recent searches").click()
    assert box.labels() == ["Our dogs"]


def test_an_answer_does_not_overwrite_what_is_typed_meanwhile(box: Box) -> None:
    box.type("dog")
    box.press("Enter")
    box.type("dog be")
    box.show(query="dog")
    assert box.field.input_value() == "dog be"
    box.show(query="cat")  # another way to search, such as the browser's Back
    assert box.field.input_value() == "cat"


def test_a_slash_goes_to_the_box(box: Box) -> None:
    box.page.keyboard.press("/")
    expect(box.field).to_be_focused()
    box.page.keyboard.type("a/b")
    assert box.field.input_value() == "a/b"


def test_hostile_tags_are_shown_as_text(box: Box) -> None:
    box.type("onerr")
    assert box.labels()[0] == HOSTILE
    expect(box.page.locator("img")).to_have_count(0)
    box.options().first.click()
    assert box.submitted == [f'"{HOSTILE}"']


def test_without_storage_nothing_is_remembered(blank: Page) -> None:
    box = Box(blank)
    box.page.evaluate(
        "Object.defineProperty(window, 'localStorage', { get() { throw new Error('no'); } })"
    )
    box.type("dog")
    box.press("Enter")
    box.type("")
    assert box.submitted == ["dog"] and box.labels() == ["Our dogs"]


def test_recent_searches_are_links_beside_saved_ones(blank: Page) -> None:
    mount(blank, "search_links")
    recent = ["sea", HOSTILE, "dog by:person", "a", "b", "c", "d"]
    blank.evaluate("queries => localStorage.setItem('here', JSON.stringify(queries))", [*recent, 7])
    data = {"saved": [["Our dogs", "dog by:person"]], "left_out": 0, "storage": "here"}
    blank.evaluate("data => window.show(data)", {**data, "query": "sea"})
    saved, latest = (blank.get_by_role("list", name=name) for name in ("Saved", "Recent"))
    assert saved.get_by_role("link").all_inner_texts() == ["Our dogs"]
    assert latest.get_by_role("link").all_inner_texts() == ["sea", HOSTILE, "a", "b", "c"]
    expect(latest.get_by_role("link", name="sea")).to_have_attribute("aria-current", "page")
    address = "search?q=dog+by%3Aperson"
    expect(saved.get_by_role("link")).to_have_attribute("href", address)
    latest.get_by_role("link").nth(1).click()
    assert blank.evaluate("window.submitted") == [HOSTILE]
    blank.evaluate("localStorage.setItem('here', '{')")
    blank.evaluate("data => window.show(data)", {**data, "saved": [], "query": None})
    expect(blank.get_by_role("link")).to_have_count(0)
