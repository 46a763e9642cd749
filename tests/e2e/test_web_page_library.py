"""The service's page adds photos to the library and corrects their tags, also offline."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, expect

from tagger.images import decode
from tagger.library.library import Library
from tagger.tagger import Tagger
from tests.conftest import draw
from tests.e2e.conftest import OpenWebPage
from tests.e2e.stub_service import StubService
from tests.e2e.web_page import WebPage, make_answer
from tests.service.service_process import ServiceProcess, run_service


def photo(name: str = "photo", seed: int = 1, side: int = 64) -> tuple[str, str, bytes]:
    return f"{name}.png", "image/png", decode.encode(draw("square", seed, side), "PNG")


@pytest.fixture
def stub(tmp_path: Path) -> Iterator[StubService]:
    stub = StubService(tmp_path / "web")
    yield stub
    stub.stop()


def chip(card: Locator, tag: str) -> Locator:
    return card.get_by_role("list", name="Tags").get_by_role("button", name=tag)


def add_tags(card: Locator, text: str, key: str = "Enter") -> None:
    field = card.get_by_label("Add a tag")
    field.press_sequentially(text)
    field.press(key)


def test_a_photo_is_corrected_and_added(
    web: WebPage, service: ServiceProcess, samples: dict[str, Path]
) -> None:
    library = Library.open(service.home)
    tags = [tag.label for tag in Tagger.load("everyday").tag(samples["astronaut"]).tags]
    web.choose(samples["astronaut"])
    card = web.expect_any_answer()
    for tag in tags:
        expect(chip(card, tag)).to_have_attribute("aria-pressed", "true")
    chip(card, tags[0]).click()
    add_tags(card, "Space suit, flag")
    card.get_by_label("Add a tag").fill("not yet added")  # counts with the button
    assert library.count() == 0
    card.get_by_role("button", name="Add to library").click()
    expect(card).to_contain_text("In your library")
    (stored,) = library.photos()
    assert library.read_original(stored) == samples["astronaut"].read_bytes()
    labels = {tag.label for tag in stored.tags}
    assert labels == {*tags[1:], "Space suit", "flag", "not yet added"}
    with web.page.expect_response("**/library/photos/*/tags?*"):
        chip(card, "flag").click()
    expect(card).to_contain_text("In your library")
    annotations = {each.label: each.present for each in library.annotations(stored.id)}
    assert (annotations["flag"], annotations[tags[0]]) == (False, False)
    library.close()


def test_an_unknown_photo_asks_what_it_is(open_web_page: OpenWebPage, stub: StubService) -> None:
    web = open_web_page(stub)
    web.stub_answers(make_answer([("sea", 0.2), ("dog", 0.1)], "uncertain"))
    web.choose(photo())
    card = web.expect_answer("Unknown")
    expect(card.get_by_text("What is it?")).to_be_visible()
    expect(card.get_by_role("list", name="Scores")).to_be_hidden()  # weak guesses are folded
    add_tags(card, "guitar")
    card.get_by_role("button", name="Add to library").click()
    expect(card).to_contain_text("In your library")
    assert [(name, add) for name, _, add, _ in stub.additions] == [("photo.png", ["guitar"])]


def test_a_double_click_adds_a_photo_once(open_web_page: OpenWebPage, stub: StubService) -> None:
    web = open_web_page(stub)
    web.choose(photo())
    card = web.expect_answer("cat")
    card.get_by_role("button", name="Add to library").evaluate("b => { b.click(); b.click(); }")
    expect(card).to_contain_text("In your library")
    assert [name for name, *_ in stub.additions] == ["photo.png"]
    web.page.reload()  # nothing waits on this device that would be added again
    expect(web.page.get_by_label("Model")).to_be_visible()
    expect(web.history()).to_have_count(1)
    expect(web.cards()).to_have_count(0)


# Whether the answer about a tag is stored on this device.
HAS_STORED = """label => new Promise((resolve) => {
  const opening = indexedDB.open("image-tagger-additions");
  opening.onsuccess = () => {
    const reading = opening.result.transaction("photos").objectStore("photos").getAll();
    reading.onsuccess = () => {
      opening.result.close();
      resolve(reading.result.some(({ answers }) => answers.some(([name]) => name === label)));
    };
  };
})"""


def test_what_is_to_be_added_survives_a_reload_without_a_service(
    open_web_page: OpenWebPage, stub: StubService
) -> None:
    web = open_web_page(stub, service_workers="allow")
    web.page.evaluate("async () => { await navigator.serviceWorker.ready; }")
    large = photo("large", side=2100)  # is sent smaller to be tagged
    web.choose(large)
    card = web.expect_answer("cat")
    stub.stop()
    chip(card, "cat").click()
    add_tags(card, "tower", ",")
    card.get_by_role("button", name="Add to library").click()
    expect(card).to_contain_text("Not saved yet. The service doesn’t answer.")
    add_tags(card, "bridge")
    web.page.wait_for_function(HAS_STORED, arg="bridge")
    web.page.reload()
    card = web.expect_answer("cat")
    expect(card).to_contain_text("Not saved yet.")
    expect(chip(card, "bridge")).to_have_attribute("aria-pressed", "true")
    stub.start()
    card.get_by_role("button", name="Try again").click()
    expect(card).to_contain_text("In your library")
    assert stub.additions == [("large.png", len(large[2]), ["tower", "bridge"], ["cat"])]
    web.page.reload()
    expect(web.page.get_by_label("Model")).to_be_visible()
    expect(web.cards()).to_have_count(0)
    expect(web.history()).to_have_count(1)


def test_a_removed_photo_is_not_added(open_web_page: OpenWebPage, stub: StubService) -> None:
    web = open_web_page(stub)
    web.choose(photo())
    card = web.expect_answer("cat")
    web.page.route("**/library/**", lambda route: route.abort())
    web.page.route("**/health", lambda route: route.abort())
    card.get_by_role("button", name="Add to library").click()
    expect(card).to_contain_text("Not saved yet.")
    web.click("Clear")
    web.click("Clear history")
    expect(web.cards()).to_have_count(0)
    web.page.unroute_all()
    web.page.reload()
    expect(web.page.get_by_label("Model")).to_be_visible()
    expect(web.cards()).to_have_count(0)
    assert stub.additions == []


def test_only_the_administrator_is_offered_to_add(
    open_web_page: OpenWebPage, tmp_path: Path
) -> None:
    tokens = {"TAGGER_PREDICT_TOKEN": "look", "TAGGER_ADMIN_TOKEN": "change"}
    with run_service(tmp_path / "library", **tokens) as guarded:
        for token, is_offered in (("look", False), ("change", True)):
            web = open_web_page(guarded)
            web.page.get_by_label("Token").fill(token)
            web.click("Sign in")
            web.choose(photo())
            card = web.expect_any_answer()
            button = card.get_by_role("button", name="Add to library")
            expect(button).to_have_count(1 if is_offered else 0)
