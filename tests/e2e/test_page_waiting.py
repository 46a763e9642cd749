"""Photos that wait: kept through reloads until they are answered, sent once, removed for good."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tagger.images import decode
from tests.conftest import draw
from tests.e2e.conftest import Arrive
from tests.e2e.guest import Guest
from tests.e2e.site import Site

NO_LOCKS = "Object.defineProperty(Navigator.prototype, 'locks', { value: undefined });"
AWAY = re.compile("/(health|models|predict)")


def photo(name: str = "photo", seed: int = 1) -> tuple[str, str, bytes]:
    return f"{name}.png", "image/png", decode.encode(draw("square", seed), "PNG")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    started = Site(tmp_path / "page")
    yield started
    started.stop()


def go_away(page: Page) -> None:
    """The service stops answering this page, whose files still come."""
    page.route(AWAY, lambda route: route.abort())


def waiting(guest: Guest, *names: str) -> None:
    """Photos that were chosen while the service was away."""
    go_away(guest.page)
    for count, name in enumerate(names, 1):
        guest.choose(photo(name, count))
        expect(guest.cards()).to_have_count(count)
        guest.sees("Not sent yet")


def test_a_photo_that_waits_outlives_a_reload(arrive: Arrive, site: Site) -> None:
    guest = arrive(site)
    waiting(guest, "first", "second")
    guest.page.reload()
    expect(guest.cards()).to_have_count(2)
    expect(guest.sees("Not sent yet", 0)).to_contain_text("second.png")
    card = guest.sees("Not sent yet", 1)
    expect(card).to_contain_text("first.png")
    expect(card.get_by_role("img")).to_have_js_property("complete", True)
    expect(guest.earlier()).to_have_count(0)
    guest.page.unroute_all()
    guest.sees("cat", 0)
    guest.sees("cat", 1)
    assert sorted(site.sent) == ["first.png", "second.png"]
    expect(guest.earlier()).to_have_count(2)
    guest.page.reload()
    expect(guest.earlier()).to_have_count(2)
    expect(guest.cards()).to_have_count(0)


def test_a_photo_under_way_outlives_its_tab(arrive: Arrive, site: Site) -> None:
    guest = arrive(site)
    guest.page.route("**/predict?*", lambda route: None)  # it never answers
    guest.choose(photo())
    guest.sees("Looking…")
    context = guest.page.context
    guest.page.close()
    again = Guest(context.new_page(), site.port)
    again.open()
    again.sees("cat")
    assert not again.troubles


def test_it_is_sent_when_the_page_is_opened_again_and_the_service_is_there(
    arrive: Arrive, site: Site
) -> None:
    guest = arrive(site, service_workers="allow")
    guest.page.evaluate("async () => { await navigator.serviceWorker.ready; }")
    guest.page.context.set_offline(True)
    guest.choose(photo())
    expect(guest.sees("Not sent yet")).to_contain_text("You are offline, so it was not sent.")
    guest.page.reload()
    expect(guest.sees("Not sent yet")).to_contain_text("photo.png")
    guest.page.context.set_offline(False)
    guest.page.reload()
    guest.sees("cat")


def test_what_a_person_removes_stays_removed(arrive: Arrive, site: Site) -> None:
    guest = arrive(site)
    waiting(guest, "kept", "removed")
    guest.cards().first.get_by_role("button", name="Remove").click()
    expect(guest.cards()).to_have_count(1)
    expect(guest.cards()).to_be_focused()
    guest.page.reload()
    expect(guest.sees("Not sent yet")).to_contain_text("kept.png")
    expect(guest.cards()).to_have_count(1)
    guest.click("Clear")
    guest.click("Clear it")
    expect(guest.cards()).to_have_count(0)
    expect(guest.button("Clear")).to_be_hidden()
    guest.page.unroute_all()
    guest.page.reload()
    expect(guest.page.get_by_label("Model")).to_be_visible()
    guest.choose(photo("new"))
    guest.sees("cat")
    assert site.sent == ["new.png"]


def test_a_photo_removed_while_the_service_is_busy_is_not_sent_again(
    arrive: Arrive, site: Site
) -> None:
    guest = arrive(site)
    guest.answer((503, {"retry-after": "2"}, '{"detail": "too many wait"}'), None)
    guest.choose(photo())
    guest.sees("Waiting…").get_by_role("button", name="Remove").click()
    guest.page.wait_for_timeout(2_500)
    assert len(guest.asked()) == 1
    assert site.sent == []


def test_what_is_refused_for_good_does_not_come_back(arrive: Arrive, site: Site) -> None:
    guest = arrive(site)
    guest.answer((415, {}, '{"detail": "no photo"}'))
    guest.choose(photo())
    guest.sees("No answer")
    guest.page.reload()
    expect(guest.page.get_by_label("Model")).to_be_visible()
    expect(guest.cards()).to_have_count(0)


@pytest.mark.parametrize("script", ["", NO_LOCKS], ids=["locks", "no locks"])
def test_two_tabs_send_it_once(arrive: Arrive, site: Site, script: str) -> None:
    guest = arrive(site)
    context = guest.page.context
    context.add_init_script(script)
    guest.open()
    context.route(AWAY, lambda route: route.abort())
    guest.choose(photo())
    guest.sees("Not sent yet")
    other = Guest(context.new_page(), site.port)
    other.open()
    expect(other.page.get_by_role("alert")).to_be_visible()
    guest.page.reload()
    guest.page.wait_for_timeout(1_000)
    assert guest.cards().count() + other.cards().count() == 1
    site.seconds = 0.5
    context.unroute_all()
    wait_for_either(guest, other)
    other.page.wait_for_timeout(3_000)  # the other one has looked again as well
    assert site.sent == ["photo.png"]
    assert not other.troubles


def wait_for_either(guest: Guest, other: Guest) -> None:
    for _ in range(100):
        if "cat" in guest.words() + other.words():
            return
        guest.page.wait_for_timeout(100)
    raise AssertionError("neither was answered")


def two_tabs(arrive: Arrive, site: Site) -> tuple[Guest, Guest]:
    """A tab with a photo that waits, since the service is out of reach, and another beside it."""
    guest = arrive(site)
    guest.page.context.route(AWAY, lambda route: route.abort())
    guest.choose(photo())
    guest.sees("Not sent yet")
    other = Guest(guest.page.context.new_page(), site.port)
    other.open()
    return guest, other


def test_the_tab_that_is_left_sends_it(arrive: Arrive, site: Site) -> None:
    guest, other = two_tabs(arrive, site)
    expect(other.page.get_by_role("alert")).to_be_visible()
    expect(other.cards()).to_have_count(0)
    guest.page.close()
    other.sees("Not sent yet")
    other.page.context.unroute_all()
    other.sees("cat")
    assert site.sent == ["photo.png"]
    assert not other.troubles


def test_cleared_in_one_tab_it_is_not_sent_from_another(arrive: Arrive, site: Site) -> None:
    guest, other = two_tabs(arrive, site)
    other.click("Clear")
    other.click("Clear it")
    expect(other.button("Clear")).to_be_hidden()
    other.page.context.unroute_all()
    expect(guest.cards()).to_have_count(0)
    assert site.sent == []


def test_more_than_there_is_room_for_is_a_sentence(arrive: Arrive, site: Site) -> None:
    guest = arrive(site)
    go_away(guest.page)
    guest.choose(*(photo(str(count), count) for count in range(21)))
    no_room = "There is room for 20 photos or 50 MB that wait, and no more: until then, leave this"
    expect(guest.sees("Not sent yet", 20)).to_contain_text(no_room)
    expect(guest.cards().filter(has_text="room for 20 photos")).to_have_count(1)
    guest.page.reload()
    expect(guest.cards()).to_have_count(20)


def test_heavier_than_there_is_room_for_is_the_same_sentence(
    arrive: Arrive, site: Site, tmp_path: Path
) -> None:
    guest = arrive(site)
    site.stop()
    heavy = tmp_path / "heavy.png"
    heavy.write_bytes(decode.encode(draw("square", 1), "PNG") + bytes(26 * 2**20))
    for count in (1, 2):
        guest.page.locator("#choose").set_input_files(heavy)
        expect(guest.cards().filter(has_text="sent when it answers again")).to_have_count(count)
    expect(guest.cards().filter(has_text="room for 20 photos")).to_have_count(1)


def test_a_browser_that_keeps_none_says_so(arrive: Arrive, site: Site) -> None:
    guest = arrive(site)
    guest.page.add_init_script(
        """Object.defineProperty(window, "indexedDB", {
          get() { throw new DOMException("no"); } });"""
    )
    guest.open()
    waiting(guest, "photo")
    told = "This browser does not keep it: until then, leave this page open."
    expect(guest.cards()).to_contain_text(told)
    guest.page.unroute_all()
    guest.sees("cat")


def test_a_service_that_comes_back_is_noticed(arrive: Arrive, site: Site) -> None:
    guest = arrive(site, service_workers="allow")
    guest.page.evaluate("async () => { await navigator.serviceWorker.ready; }")
    site.stop()
    guest.page.reload()
    notice = guest.page.get_by_role("alert")
    expect(notice).to_have_text("The service does not answer: it may have been stopped.")
    expect(guest.page.get_by_label("Model")).to_be_hidden()
    guest.choose(photo())
    card = guest.sees("Not sent yet")
    expect(card).to_contain_text("The photo is sent when it answers again.")
    site.start()
    guest.sees("cat")
    expect(notice).to_be_hidden()
    expect(guest.page.get_by_label("Model")).to_be_visible()
    assert site.sent == ["photo.png"]


def test_it_looks_less_and_less_often_and_not_unseen(arrive: Arrive, site: Site) -> None:
    guest = arrive(site)
    page = guest.page
    page.clock.install()
    go_away(page)
    guest.open()
    expect(page.get_by_role("alert")).to_be_visible()
    page.clock.run_for(120_000)
    looks = [request for request in guest.requests if request.url.endswith("/health")]
    assert 5 <= len(looks) <= 9  # at 2, 6, 14, 30, 60, 90, 120 s, and once to say what is wrong
    page.evaluate(
        "() => Object.defineProperty(document, 'hidden', { configurable: true, value: true })"
    )
    page.clock.run_for(300_000)
    unseen = [request for request in guest.requests if request.url.endswith("/health")]
    assert len(unseen) <= len(looks) + 1
    page.unroute_all()
    page.evaluate(
        """() => { delete document.hidden;
          document.dispatchEvent(new Event("visibilitychange")); }"""
    )
    expect(page.get_by_label("Model")).to_be_visible()


def test_a_proxy_without_its_service_is_a_service_that_is_away(arrive: Arrive, site: Site) -> None:
    guest = arrive(site)
    guest.page.route(AWAY, lambda route: route.fulfill(status=502, body="<html>Bad Gateway"))
    guest.choose(photo())
    expect(guest.sees("Not sent yet")).to_contain_text("The service does not answer")
    guest.page.unroute_all()
    guest.sees("cat")
