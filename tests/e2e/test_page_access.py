"""The service's page for everybody: axe, the keyboard alone, small screens, light and dark."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from axe_core_python.base import AXE_SCRIPT
from playwright.sync_api import Page, expect

from tagger.images import decode
from tests.conftest import draw
from tests.e2e.conftest import Arrive
from tests.e2e.guest import Guest, said
from tests.service.serving import Serving

PHONE = {"viewport": {"width": 360, "height": 640}, "has_touch": True, "is_mobile": True}
TOUCHED = 44  # pixels, the least that a finger meets
LONG = "W" * 90  # has nowhere to break
DARK = 300  # a sum of red, green and blue below which a ground is dark

_TOO_SMALL = """least => [...document.querySelectorAll(
    "button, select, label.switch, .way label, summary, input[type=password]"
  )].filter(part => part.checkVisibility() && part.getBoundingClientRect().height < least)
  .map(part => part.outerHTML)"""
# Whether what has the focus shows it: file inputs do so on their label.
_RING = """() => {
  const part = document.activeElement;
  const shown = part.type === "file" ? part.nextElementSibling : part;
  const style = getComputedStyle(shown);
  return style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
}"""


def photo(seed: int) -> tuple[str, str, bytes]:
    return f"{seed}.png", "image/png", decode.encode(draw("square", seed), "PNG")


def empty(guest: Guest) -> None:
    expect(guest.page.get_by_label("Model")).to_be_visible()


def with_answers(guest: Guest) -> None:
    guest.answer(
        said([(LONG, 0.9), ("dog", 0.05)]),
        said([("sea", 0.4), ("dog", 0.3)], "unfamiliar"),
        said([("cat", 0.5), ("dog", 0.5)], "uncertain", "pets"),
    )
    for seed in range(3):
        guest.choose(photo(seed))
        expect(guest.earlier()).to_have_count(seed + 1)
    guest.page.get_by_text("About everyday").click()


def with_errors(guest: Guest) -> None:
    guest.choose(("none.jpg", "image/jpeg", b"none"))
    guest.sees("No answer")
    guest.page.route("**/predict?*", lambda route: route.abort())
    guest.page.route("**/health", lambda route: route.abort())
    guest.page.evaluate("() => window.dispatchEvent(new Event('offline'))")
    expect(guest.page.get_by_role("alert")).to_be_visible()
    guest.choose(photo(3))
    expect(guest.cards().get_by_role("button", name="Try again")).to_be_visible()


def with_the_token_asked_for(guest: Guest) -> None:
    guest.page.route("**/models", lambda route: route.fulfill(status=401, body="{}"))
    guest.open()
    expect(guest.page.get_by_label("Token")).to_be_visible()


def with_a_token_refused(guest: Guest) -> None:
    with_the_token_asked_for(guest)
    guest.page.route("**/predict?*", lambda route: route.fulfill(status=401, body="{}"))
    guest.choose(photo(6))
    guest.sees("No answer")
    guest.page.get_by_label("Token").fill("wrong")
    guest.click("Use it")
    expect(guest.page.get_by_text("The service refused this token.")).to_be_visible()


def with_the_camera(guest: Guest) -> None:
    guest.click("Live camera")
    expect(guest.button("Take the photo")).to_be_enabled()


def being_cleared(guest: Guest) -> None:
    guest.answer(said([("dog", 0.9)]))
    guest.choose(photo(4))
    guest.click("Clear")
    expect(guest.page.get_by_role("dialog")).to_be_visible()


STATES = (
    *(empty, with_answers, with_errors),
    *(with_the_token_asked_for, with_a_token_refused, with_the_camera, being_cleared),
)


def violations(page: Page) -> list[str]:
    """What axe finds wrong."""
    page.evaluate(f"() => {{ {AXE_SCRIPT} }}")
    found = page.evaluate("async () => await axe.run()")
    return [
        f"{one['id']}: {node['html'][:150]} {node['failureSummary']}"
        for one in found["violations"]
        for node in one["nodes"]
    ]


def ground(page: Page) -> int:
    """The colour behind the page: the sum of red, green and blue."""
    return int(
        page.evaluate(
            """() => getComputedStyle(document.body).backgroundColor
              .match(/\\d+/g).slice(0, 3).reduce((sum, one) => sum + Number(one), 0)"""
        )
    )


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)
def test_axe_finds_nothing(
    arrive: Arrive, service: Serving, state: Callable[[Guest], None]
) -> None:
    guest = arrive(service, bypass_csp=True, reduced_motion="reduce")
    state(guest)
    for scheme in ("light", "dark"):
        guest.page.emulate_media(color_scheme=scheme)
        assert (ground(guest.page) < DARK) == (scheme == "dark")
        assert violations(guest.page) == []


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)
def test_it_fits_a_small_phone_and_a_finger(
    arrive: Arrive, service: Serving, state: Callable[[Guest], None]
) -> None:
    guest = arrive(service, **PHONE)
    expect(guest.page.get_by_text("Take a photo")).to_be_visible()
    state(guest)
    assert guest.page.evaluate("() => document.documentElement.scrollWidth") == 360
    assert guest.page.evaluate(_TOO_SMALL, TOUCHED) == []


def test_on_a_phone_the_answer_is_on_the_screen(
    arrive: Arrive, service: Serving, samples: dict[str, Path]
) -> None:
    guest = arrive(service, reduced_motion="reduce", **PHONE)
    guest.choose(samples["coffee"])
    card = guest.sees("Unknown")
    expect(card.get_by_role("img")).to_be_in_viewport(ratio=0.9)
    expect(card.get_by_role("heading")).to_be_in_viewport(ratio=1)
    expect(card.get_by_text("Unlike every photo")).to_be_in_viewport(ratio=1)


def test_the_keyboard_is_enough(guest: Guest, samples: dict[str, Path]) -> None:
    page = guest.page
    page.on("filechooser", lambda chooser: chooser.set_files(samples["cat"]))
    expect(page.get_by_label("Model")).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_label("Choose photos")).to_be_focused()
    assert page.evaluate(_RING)
    page.keyboard.press("Enter")
    guest.sees_answer()
    for part in (
        guest.button("Live camera"),
        page.get_by_label("Model"),
        page.get_by_role("switch"),
    ):
        page.keyboard.press("Tab")
        expect(part).to_be_focused()
        assert page.evaluate(_RING)
    page.keyboard.press("Space")
    expect(page.get_by_role("switch")).to_be_checked()
    expect(page.get_by_text("The brighter, the more it counted.")).to_be_visible()
    for part in (page.locator("summary"), guest.button("Clear")):
        page.keyboard.press("Tab")
        expect(part).to_be_focused()
        assert page.evaluate(_RING)
    page.keyboard.press("Enter")
    expect(guest.button("Keep it")).to_be_focused()
    page.keyboard.press("Escape")
    expect(guest.button("Clear")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(guest.button("Clear it")).to_be_focused()
    page.keyboard.press("Enter")
    expect(guest.earlier()).to_have_count(0)


def test_answers_and_pictures_have_names(guest: Guest) -> None:
    guest.answer(said([("dog", 0.9)]), said([("sea", 0.9)]))
    guest.choose(photo(7))
    guest.sees("dog")
    guest.choose(photo(8))
    guest.sees("sea")
    for name, word in (("7.png", "dog"), ("8.png", "sea")):
        card = guest.page.get_by_role("article", name=f"{name} {word}", exact=True)
        expect(card.get_by_role("img", name=name, exact=True)).to_be_visible()
    nameless = """([name, kind, bytes]) => {
      const files = new DataTransfer();
      files.items.add(new File([Uint8Array.from(bytes)], name, { type: kind }));
      const init = { bubbles: true, clipboardData: files };
      document.body.dispatchEvent(new ClipboardEvent("paste", init));
    }"""
    _, kind, content = photo(9)
    guest.page.evaluate(nameless, ["", kind, list(content)])
    expect(guest.cards()).to_have_count(3)
    expect(guest.cards().first.get_by_role("img", name="The photo", exact=True)).to_be_visible()


@pytest.mark.parametrize(("motion", "moves"), [("reduce", False), ("no-preference", True)])
def test_nothing_moves_where_that_is_not_wanted(
    arrive: Arrive, service: Serving, motion: str, moves: bool
) -> None:
    guest = arrive(service, reduced_motion=motion)
    guest.page.route("**/predict?*", lambda route: None)  # it never answers
    guest.choose(photo(5))
    heading = guest.sees("Looking…").get_by_role("heading")
    name = heading.evaluate("heading => getComputedStyle(heading).animationName")
    assert (name != "none") == moves
