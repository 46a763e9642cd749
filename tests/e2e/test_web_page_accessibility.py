"""Accessibility of the service's page: axe, keyboard, small screens, light and dark."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tagger.images import decode
from tests.conftest import draw
from tests.e2e.axe import run_axe
from tests.e2e.conftest import OpenWebPage
from tests.e2e.web_page import WebPage, make_answer
from tests.service.service_process import ServiceProcess

PHONE = {"viewport": {"width": 360, "height": 640}, "has_touch": True, "is_mobile": True}
MIN_TARGET = 44  # pixels, of a touch target
LONG = "W" * 90  # cannot be wrapped
DARK = 300  # background colours with a lower sum of red, green and blue are dark

_TOO_SMALL = """minimum => [...document.querySelectorAll(
    "button, select, label.switch, .way label, summary, input[type=password]"
  )].filter(part => part.checkVisibility() && part.getBoundingClientRect().height < minimum)
  .map(part => part.outerHTML)"""
# Whether the focused element has a focus ring: file inputs have it on their label.
_HAS_FOCUS_RING = """() => {
  const focused = document.activeElement;
  const ringed = focused.type === "file" ? focused.nextElementSibling : focused;
  const style = getComputedStyle(ringed);
  return style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
}"""


def photo(seed: int) -> tuple[str, str, bytes]:
    return f"{seed}.png", "image/png", decode.encode(draw("square", seed), "PNG")


def at_start(web: WebPage) -> None:
    expect(web.page.get_by_label("Model")).to_be_visible()


def with_answers(web: WebPage) -> None:
    web.stub_answers(
        make_answer([(LONG, 0.9), ("dog", 0.05)]),
        make_answer([("sea", 0.4), ("dog", 0.3)], "unfamiliar"),
        make_answer([("cat", 0.5), ("dog", 0.5)], "uncertain", "pets"),
    )
    for seed in range(3):
        web.choose(photo(seed))
        expect(web.history()).to_have_count(seed + 1)
    web.page.get_by_text("About Everyday").click()


def with_errors(web: WebPage) -> None:
    web.choose(("none.jpg", "image/jpeg", b"none"))
    web.expect_answer("No answer")
    web.page.route("**/predict?*", lambda route: route.abort())
    web.page.route("**/health", lambda route: route.abort())
    web.page.evaluate("() => window.dispatchEvent(new Event('offline'))")
    expect(web.page.get_by_role("alert")).to_be_visible()
    web.choose(photo(3))
    expect(web.cards().get_by_role("button", name="Try again")).to_be_visible()


def with_token_prompt(web: WebPage) -> None:
    web.page.route("**/models", lambda route: route.fulfill(status=401, body="{}"))
    web.open()
    expect(web.page.get_by_label("Token")).to_be_visible()


def with_refused_token(web: WebPage) -> None:
    with_token_prompt(web)
    web.page.route("**/predict?*", lambda route: route.fulfill(status=401, body="{}"))
    web.choose(photo(6))
    web.expect_answer("No answer")
    web.page.get_by_label("Token").fill("wrong")
    web.click("Sign in")
    expect(web.page.get_by_text("refused this token. Check")).to_be_visible()


def with_camera(web: WebPage) -> None:
    web.click("Live camera")
    expect(web.button("Take photo")).to_be_enabled()


def with_clear_dialog(web: WebPage) -> None:
    web.stub_answers(make_answer([("dog", 0.9)]))
    web.choose(photo(4))
    web.click("Clear")
    expect(web.page.get_by_role("dialog")).to_be_visible()


STATES = (
    *(at_start, with_answers, with_errors),
    *(with_token_prompt, with_refused_token, with_camera, with_clear_dialog),
)


def background_brightness(page: Page) -> int:
    """The sum of red, green and blue of the page's background, 0 to 765."""
    return int(
        page.evaluate(
            """() => getComputedStyle(document.body).backgroundColor
              .match(/\\d+/g).slice(0, 3).reduce((sum, value) => sum + Number(value), 0)"""
        )
    )


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)
def test_axe_reports_no_violations(
    open_web_page: OpenWebPage, service: ServiceProcess, state: Callable[[WebPage], None]
) -> None:
    web = open_web_page(service, bypass_csp=True, reduced_motion="reduce")
    state(web)
    for scheme in ("light", "dark"):
        web.page.emulate_media(color_scheme=scheme)
        assert (background_brightness(web.page) < DARK) == (scheme == "dark")
        assert run_axe(web.page) == []


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)
def test_the_page_fits_a_small_phone_and_touch(
    open_web_page: OpenWebPage, service: ServiceProcess, state: Callable[[WebPage], None]
) -> None:
    web = open_web_page(service, **PHONE)
    expect(web.page.get_by_text("Take a photo")).to_be_visible()
    state(web)
    assert web.page.evaluate("() => document.documentElement.scrollWidth") == 360
    assert web.page.evaluate(_TOO_SMALL, MIN_TARGET) == []


def test_on_a_phone_the_answer_is_in_view(
    open_web_page: OpenWebPage, service: ServiceProcess, samples: dict[str, Path]
) -> None:
    web = open_web_page(service, reduced_motion="reduce", **PHONE)
    web.choose(samples["coffee"])
    card = web.expect_answer("Unknown")
    expect(card.get_by_role("img")).to_be_in_viewport(ratio=0.9)
    expect(card.get_by_role("heading")).to_be_in_viewport(ratio=1)
    expect(card.get_by_text("Not sure enough to tag.")).to_be_in_viewport(ratio=1)


def test_everything_works_by_keyboard(web: WebPage, samples: dict[str, Path]) -> None:
    page = web.page
    page.on("filechooser", lambda chooser: chooser.set_files(samples["cat"]))
    expect(page.get_by_label("Model")).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_label("Choose photos")).to_be_focused()
    assert page.evaluate(_HAS_FOCUS_RING)
    page.keyboard.press("Enter")
    card = web.expect_any_answer()
    for part in (
        web.button("Live camera"),
        page.get_by_label("Model"),
        page.get_by_role("switch"),
    ):
        page.keyboard.press("Tab")
        expect(part).to_be_focused()
        assert page.evaluate(_HAS_FOCUS_RING)
    page.keyboard.press("Space")
    expect(page.get_by_role("switch")).to_be_checked()
    expect(page.get_by_text("Bright areas counted most.")).to_be_visible()
    for part in (page.locator("#about summary"), card.get_by_role("button").first):
        page.keyboard.press("Tab")
        expect(part).to_be_focused()
        assert page.evaluate(_HAS_FOCUS_RING)
    card.locator("summary").focus()
    for part in (web.button("Clear"),):
        page.keyboard.press("Tab")
        expect(part).to_be_focused()
        assert page.evaluate(_HAS_FOCUS_RING)
    page.keyboard.press("Enter")
    expect(web.button("Cancel")).to_be_focused()
    page.keyboard.press("Escape")
    expect(web.button("Clear")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(web.button("Clear history")).to_be_focused()
    page.keyboard.press("Enter")
    expect(web.history()).to_have_count(0)


def test_cards_and_images_have_accessible_names(web: WebPage) -> None:
    web.stub_answers(make_answer([("dog", 0.9)]), make_answer([("sea", 0.9)]))
    web.choose(photo(7))
    web.expect_answer("dog")
    web.choose(photo(8))
    web.expect_answer("sea")
    for name, word in (("7.png", "dog"), ("8.png", "sea")):
        card = web.page.get_by_role("article", name=f"{name} {word}", exact=True)
        expect(card.get_by_role("img", name=name, exact=True)).to_be_visible()
    paste_unnamed = """([name, kind, bytes]) => {
      const files = new DataTransfer();
      files.items.add(new File([Uint8Array.from(bytes)], name, { type: kind }));
      const init = { bubbles: true, clipboardData: files };
      document.body.dispatchEvent(new ClipboardEvent("paste", init));
    }"""
    _, kind, content = photo(9)
    web.page.evaluate(paste_unnamed, ["", kind, list(content)])
    expect(web.cards()).to_have_count(3)
    expect(web.cards().first.get_by_role("img", name="The photo", exact=True)).to_be_visible()


@pytest.mark.parametrize(("motion", "moves"), [("reduce", False), ("no-preference", True)])
def test_animations_respect_reduced_motion(
    open_web_page: OpenWebPage, service: ServiceProcess, motion: str, moves: bool
) -> None:
    web = open_web_page(service, reduced_motion=motion)
    web.page.route("**/predict?*", lambda route: None)  # never answered
    web.choose(photo(5))
    heading = web.expect_answer("Looking…").get_by_role("heading")
    name = heading.evaluate("heading => getComputedStyle(heading).animationName")
    assert (name != "none") == moves
