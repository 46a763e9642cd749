"""The queue of unsent photos: it survives reloads, and sends each photo once."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tagger.images import decode
from tests.conftest import draw
from tests.e2e.conftest import OpenWebPage
from tests.e2e.stub_service import StubService
from tests.e2e.web_page import WebPage

NO_LOCKS = "Object.defineProperty(Navigator.prototype, 'locks', { value: undefined });"
API_ROUTES = re.compile("/(health|models|predict)")


def photo(name: str = "photo", seed: int = 1) -> tuple[str, str, bytes]:
    return f"{name}.png", "image/png", decode.encode(draw("square", seed), "PNG")


@pytest.fixture
def stub(tmp_path: Path) -> Iterator[StubService]:
    stub = StubService(tmp_path / "page")
    yield stub
    stub.stop()


def block_service(page: Page) -> None:
    """Abort requests of this page to the service; the page's files still load."""
    page.route(API_ROUTES, lambda route: route.abort())


def queue_photos(web: WebPage, *names: str) -> None:
    """Choose photos while the service is unreachable."""
    block_service(web.page)
    for count, name in enumerate(names, 1):
        web.choose(photo(name, count))
        expect(web.cards()).to_have_count(count)
        web.expect_answer("Not sent yet")


def test_queued_photos_survive_a_reload(open_web_page: OpenWebPage, stub: StubService) -> None:
    web = open_web_page(stub)
    queue_photos(web, "first", "second")
    web.page.reload()
    expect(web.cards()).to_have_count(2)
    expect(web.expect_answer("Not sent yet", 0)).to_contain_text("second.png")
    card = web.expect_answer("Not sent yet", 1)
    expect(card).to_contain_text("first.png")
    expect(card.get_by_role("img")).to_have_js_property("complete", True)
    expect(web.history()).to_have_count(0)
    web.page.unroute_all()
    web.expect_answer("cat", 0)
    web.expect_answer("cat", 1)
    assert sorted(stub.uploads) == ["first.png", "second.png"]
    expect(web.history()).to_have_count(2)
    web.page.reload()
    expect(web.history()).to_have_count(2)
    expect(web.cards()).to_have_count(0)


def test_a_photo_being_sent_survives_a_closed_tab(
    open_web_page: OpenWebPage, stub: StubService
) -> None:
    web = open_web_page(stub)
    web.page.route("**/predict?*", lambda route: None)  # never answered
    web.choose(photo())
    web.expect_answer("Looking…")
    context = web.page.context
    web.page.close()
    reopened = WebPage(context.new_page(), stub.port)
    reopened.open()
    reopened.expect_answer("cat")
    assert not reopened.problems


def test_a_queued_photo_is_sent_when_the_page_is_reopened_online(
    open_web_page: OpenWebPage, stub: StubService
) -> None:
    web = open_web_page(stub, service_workers="allow")
    web.page.evaluate("async () => { await navigator.serviceWorker.ready; }")
    web.page.context.set_offline(True)
    web.choose(photo())
    expect(web.expect_answer("Not sent yet")).to_contain_text("You’re offline.")
    web.page.reload()
    expect(web.expect_answer("Not sent yet")).to_contain_text("photo.png")
    web.page.context.set_offline(False)
    web.page.reload()
    web.expect_answer("cat")


def test_removed_photos_are_not_sent(open_web_page: OpenWebPage, stub: StubService) -> None:
    web = open_web_page(stub)
    queue_photos(web, "kept", "removed")
    web.cards().first.get_by_role("button", name="Remove").click()
    expect(web.cards()).to_have_count(1)
    expect(web.cards()).to_be_focused()
    web.page.reload()
    expect(web.expect_answer("Not sent yet")).to_contain_text("kept.png")
    expect(web.cards()).to_have_count(1)
    web.click("Clear")
    web.click("Clear history")
    expect(web.cards()).to_have_count(0)
    expect(web.button("Clear")).to_be_hidden()
    web.page.unroute_all()
    web.page.reload()
    expect(web.page.get_by_label("Model")).to_be_visible()
    web.choose(photo("new"))
    web.expect_answer("cat")
    assert stub.uploads == ["new.png"]


def test_a_photo_removed_during_a_retry_delay_is_not_sent_again(
    open_web_page: OpenWebPage, stub: StubService
) -> None:
    web = open_web_page(stub)
    web.stub_answers((503, {"retry-after": "2"}, '{"detail": "too many wait"}'), None)
    web.choose(photo())
    web.expect_answer("Waiting…").get_by_role("button", name="Remove").click()
    web.page.wait_for_timeout(2_500)
    assert len(web.predict_requests()) == 1
    assert stub.uploads == []


def test_a_refused_photo_leaves_the_queue(open_web_page: OpenWebPage, stub: StubService) -> None:
    web = open_web_page(stub)
    web.stub_answers((415, {}, '{"detail": "no photo"}'))
    web.choose(photo())
    web.expect_answer("No answer")
    web.page.reload()
    expect(web.page.get_by_label("Model")).to_be_visible()
    expect(web.cards()).to_have_count(0)


@pytest.mark.parametrize("script", ["", NO_LOCKS], ids=["locks", "no locks"])
def test_two_tabs_send_a_photo_once(
    open_web_page: OpenWebPage, stub: StubService, script: str
) -> None:
    web = open_web_page(stub)
    context = web.page.context
    context.add_init_script(script)
    web.open()
    context.route(API_ROUTES, lambda route: route.abort())
    web.choose(photo())
    web.expect_answer("Not sent yet")
    other = WebPage(context.new_page(), stub.port)
    other.open()
    expect(other.page.get_by_role("alert")).to_be_visible()
    web.page.reload()
    web.page.wait_for_timeout(1_000)
    assert web.cards().count() + other.cards().count() == 1
    stub.delay = 0.5
    context.unroute_all()
    wait_for_either(web, other)
    other.page.wait_for_timeout(3_000)  # both tabs have retried
    assert stub.uploads == ["photo.png"]
    assert not other.problems


def wait_for_either(web: WebPage, other: WebPage) -> None:
    """Wait until one of two tabs shows the answer."""
    for _ in range(100):
        if "cat" in web.answers() + other.answers():
            return
        web.page.wait_for_timeout(100)
    raise AssertionError("neither tab shows an answer")


def open_two_tabs(open_web_page: OpenWebPage, stub: StubService) -> tuple[WebPage, WebPage]:
    """A tab with a queued photo while the service is unreachable, and a second tab."""
    web = open_web_page(stub)
    web.page.context.route(API_ROUTES, lambda route: route.abort())
    web.choose(photo())
    web.expect_answer("Not sent yet")
    other = WebPage(web.page.context.new_page(), stub.port)
    other.open()
    return web, other


def test_the_remaining_tab_sends_a_closed_tabs_photo(
    open_web_page: OpenWebPage, stub: StubService
) -> None:
    web, other = open_two_tabs(open_web_page, stub)
    expect(other.page.get_by_role("alert")).to_be_visible()
    expect(other.cards()).to_have_count(0)
    web.page.close()
    other.expect_answer("Not sent yet")
    other.page.context.unroute_all()
    other.expect_answer("cat")
    assert stub.uploads == ["photo.png"]
    assert not other.problems


def test_a_photo_cleared_in_one_tab_is_not_sent_from_another(
    open_web_page: OpenWebPage, stub: StubService
) -> None:
    web, other = open_two_tabs(open_web_page, stub)
    other.click("Clear")
    other.click("Clear history")
    expect(other.button("Clear")).to_be_hidden()
    other.page.context.unroute_all()
    expect(web.cards()).to_have_count(0)
    assert stub.uploads == []


def test_a_full_queue_shows_a_message(open_web_page: OpenWebPage, stub: StubService) -> None:
    web = open_web_page(stub)
    block_service(web.page)
    web.choose(*(photo(str(count), count) for count in range(21)))
    no_room = "Only 20 photos or 50 MB can wait, so leave this page open until then."
    expect(web.expect_answer("Not sent yet", 20)).to_contain_text(no_room)
    expect(web.cards().filter(has_text="Only 20 photos")).to_have_count(1)
    web.page.reload()
    expect(web.cards()).to_have_count(20)


def test_a_queue_over_its_size_limit_shows_the_same_message(
    open_web_page: OpenWebPage, stub: StubService, tmp_path: Path
) -> None:
    web = open_web_page(stub)
    stub.stop()
    heavy = tmp_path / "heavy.png"
    heavy.write_bytes(decode.encode(draw("square", 1), "PNG") + bytes(26 * 2**20))
    for count in (1, 2):
        web.page.locator("#choose").set_input_files(heavy)
        expect(web.cards().filter(has_text="sent when it’s back")).to_have_count(count)
    expect(web.cards().filter(has_text="Only 20 photos")).to_have_count(1)


def test_a_browser_without_storage_shows_a_message(
    open_web_page: OpenWebPage, stub: StubService
) -> None:
    web = open_web_page(stub)
    web.page.add_init_script(
        """Object.defineProperty(window, "indexedDB", {
          get() { throw new DOMException("no"); } });"""
    )
    web.open()
    queue_photos(web, "photo")
    message = "This browser can’t keep it, so leave this page open until then."
    expect(web.cards()).to_contain_text(message)
    web.page.unroute_all()
    web.expect_answer("cat")


def test_the_queue_is_sent_when_the_service_is_back(
    open_web_page: OpenWebPage, stub: StubService
) -> None:
    web = open_web_page(stub, service_workers="allow")
    web.page.evaluate("async () => { await navigator.serviceWorker.ready; }")
    stub.stop()
    web.page.reload()
    notice = web.page.get_by_role("alert")
    expect(notice).to_have_text("The service doesn’t answer.")
    expect(web.page.get_by_label("Model")).to_be_hidden()
    web.choose(photo())
    card = web.expect_answer("Not sent yet")
    expect(card).to_contain_text("This photo is sent when it’s back.")
    stub.start()
    web.expect_answer("cat")
    expect(notice).to_be_hidden()
    expect(web.page.get_by_label("Model")).to_be_visible()
    assert stub.uploads == ["photo.png"]


def test_health_checks_back_off_and_pause_in_a_hidden_tab(
    open_web_page: OpenWebPage, stub: StubService
) -> None:
    web = open_web_page(stub)
    page = web.page
    page.clock.install()
    block_service(page)
    web.open()
    expect(page.get_by_role("alert")).to_be_visible()
    page.clock.run_for(120_000)
    checks = [request for request in web.requests if request.url.endswith("/health")]
    assert 5 <= len(checks) <= 9  # at 2, 6, 14, 30, 60, 90, 120 s, and one for the error message
    page.evaluate(
        "() => Object.defineProperty(document, 'hidden', { configurable: true, value: true })"
    )
    page.clock.run_for(300_000)
    checks_when_hidden = [request for request in web.requests if request.url.endswith("/health")]
    assert len(checks_when_hidden) <= len(checks) + 1
    page.unroute_all()
    page.evaluate(
        """() => { delete document.hidden;
          document.dispatchEvent(new Event("visibilitychange")); }"""
    )
    expect(page.get_by_label("Model")).to_be_visible()


def test_a_bad_gateway_counts_as_an_unreachable_service(
    open_web_page: OpenWebPage, stub: StubService
) -> None:
    web = open_web_page(stub)
    web.page.route(API_ROUTES, lambda route: route.fulfill(status=502, body="<html>Bad Gateway"))
    web.choose(photo())
    expect(web.expect_answer("Not sent yet")).to_contain_text("The service doesn’t answer")
    web.page.unroute_all()
    web.expect_answer("cat")
