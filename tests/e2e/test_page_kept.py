"""What the service's page keeps on the device: the history, and itself for when it is offline."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from urllib.parse import urlsplit

from PIL import Image, ImageChops, ImageStat
from playwright.sync_api import Browser, expect

from tagger.service.web_page import FOLDER
from tests.e2e.conftest import NO_WAY_OUT, QUIETLY, Arrive
from tests.e2e.guest import Guest
from tests.service.serving import Serving

_KEPT = """async () => {
  const found = [];
  for (const name of await caches.keys()) {
    for (const request of await (await caches.open(name)).keys()) found.push(request.url);
  }
  return found;
}"""
AT_ROOT = ("index.html", "manifest.webmanifest")
NEVER_KEPT = ("sw.js",)


def test_the_history_outlives_a_reload_until_it_is_cleared(
    guest: Guest, samples: dict[str, Path]
) -> None:
    expect(guest.page.get_by_text("Nothing yet.")).to_be_visible()
    guest.choose(samples["coffee"])
    guest.sees("Unknown")
    guest.choose(samples["cat"])
    guest.sees_answer()
    expect(guest.earlier()).to_have_count(2)
    guest.page.reload()
    expect(guest.cards()).to_have_count(0)
    expect(guest.earlier()).to_have_count(2)
    newest, oldest = guest.earlier().all()
    expect(newest).to_contain_text("everyday")
    expect(oldest).to_contain_text("Unlike every photo")
    expect(newest.get_by_role("img")).to_have_js_property("naturalWidth", 192)
    guest.click("Clear")
    guest.click("Keep it")
    expect(guest.earlier()).to_have_count(2)
    guest.click("Clear")
    guest.click("Clear it")
    expect(guest.earlier()).to_have_count(0)
    expect(guest.page.get_by_role("heading", name="Earlier, on this device")).to_be_focused()
    guest.page.reload()
    expect(guest.page.get_by_text("Nothing yet.")).to_be_visible()


def test_one_answer_can_be_deleted_by_itself(guest: Guest, samples: dict[str, Path]) -> None:
    for count, name in enumerate(("coffee", "cat", "astronaut"), 1):
        guest.choose(samples[name])
        expect(guest.earlier()).to_have_count(count)
    delete = guest.earlier().get_by_role("button", name=re.compile("^Delete "))
    expect(delete).to_have_count(3)
    delete.nth(1).click()
    expect(guest.earlier()).to_have_count(2)
    expect(delete.nth(1)).to_be_focused()  # that of the next one
    expect(guest.cards()).to_have_count(2)  # nor does it stay above
    expect(guest.cards().filter(has_text="cat.png")).to_have_count(0)
    guest.page.reload()
    expect(guest.earlier()).to_have_count(2)
    expect(guest.earlier().get_by_role("img", name="cat.png")).to_have_count(0)
    delete.last.press("Enter")
    expect(guest.earlier()).to_have_count(1)
    delete.last.press("Enter")
    expect(guest.page.get_by_role("heading", name="Earlier, on this device")).to_be_focused()
    guest.page.reload()
    expect(guest.page.get_by_text("Nothing yet.")).to_be_visible()


def test_it_says_what_is_kept_where(guest: Guest, samples: dict[str, Path]) -> None:
    told = guest.page.locator("#history > .hint")
    expect(told).to_contain_text("Answers stay here, on this device, until you delete them.")
    expect(told).to_contain_text("The service itself writes down each answer")
    guest.choose(samples["cat"])
    expect(guest.earlier()).to_have_count(1)
    expect(told).to_contain_text("its label, the time and the photo’s digest; the photo as well")


def test_the_oldest_answers_go_first(guest: Guest) -> None:
    guest.page.evaluate(
        """async () => {
          const { keep } = await import("./page/history.js");
          const answer = { label: "cat", confidence: 1, unknown: false, model: "pets" };
          for (let at = 1; at <= 203; at++) await keep({ at, name: "", thumbnail: null, answer });
        }"""
    )
    guest.page.reload()
    expect(guest.earlier()).to_have_count(200)
    expect(guest.earlier().last.locator("time")).to_have_attribute(
        "datetime", "1970-01-01T00:00:00.004Z"
    )


def test_a_browser_that_keeps_nothing_still_answers(
    arrive: Arrive, service: Serving, samples: dict[str, Path]
) -> None:
    guest = arrive(service)
    guest.page.add_init_script(
        """for (const name of ["indexedDB", "sessionStorage"]) {
          Object.defineProperty(window, name, { get() { throw new DOMException("no"); } });
        }"""
    )
    guest.page.reload()
    expect(guest.page.get_by_text("This browser keeps nothing")).to_be_visible()
    guest.choose(samples["cat"])
    guest.sees_answer()


def test_the_page_opens_offline_and_goes_on_when_it_is_back(
    arrive: Arrive, service: Serving, samples: dict[str, Path]
) -> None:
    guest = arrive(service, service_workers="allow")
    guest.page.evaluate("async () => { await navigator.serviceWorker.ready; }")
    guest.choose(samples["cat"])
    guest.sees_answer()
    expect(guest.earlier()).to_have_count(1)
    guest.page.context.set_offline(True)
    guest.page.reload()
    expect(guest.page.get_by_role("alert")).to_have_text(
        "You are offline: the service cannot be reached."
    )
    expect(guest.earlier()).to_have_count(1)
    font = guest.page.get_by_role("heading", level=1).evaluate(
        "heading => getComputedStyle(heading).fontFamily"
    )
    assert "Georgia" in font  # its style is there as well
    guest.choose(samples["astronaut"])
    card = guest.sees("Not sent yet")
    expect(card).to_contain_text("You are offline, so it was not sent.")
    card.get_by_role("button", name="Try again").click()
    expect(card).to_contain_text("You are offline, so it was not sent.")
    guest.page.context.set_offline(False)
    guest.sees_answer()
    expect(guest.page.get_by_role("alert")).to_be_hidden()
    expect(guest.page.get_by_label("Model")).to_be_visible()


def test_a_service_that_stopped_is_a_sentence(guest: Guest, samples: dict[str, Path]) -> None:
    for address in ("**/predict?*", "**/health"):
        guest.page.route(address, lambda route: route.abort())
    guest.choose(samples["cat"])
    card = guest.sees("Not sent yet")
    expect(card).to_contain_text("The service does not answer: it may have been stopped.")
    guest.page.unroute_all()
    card.get_by_role("button", name="Try again").click()
    guest.sees_answer()


def test_only_the_page_itself_is_kept(
    arrive: Arrive, service: Serving, samples: dict[str, Path]
) -> None:
    guest = arrive(service, service_workers="allow")
    guest.page.evaluate("async () => { await navigator.serviceWorker.ready; }")
    guest.page.reload()
    guest.choose(samples["cat"])
    guest.sees_answer()
    kept = {urlsplit(url).path for url in guest.page.evaluate(_KEPT)}
    parts = {path.name for path in FOLDER.iterdir()} - {*AT_ROOT, *NEVER_KEPT}
    assert kept == {"/", "/manifest.webmanifest"} | {f"/page/{name}" for name in parts}


def test_it_can_be_installed(
    browser: Browser, chromium: str, service: Serving, tmp_path: Path
) -> None:
    # In a profile of its own: what is private cannot be installed from.
    context = browser.browser_type.launch_persistent_context(
        str(tmp_path), executable_path=chromium, args=QUIETLY, proxy=NO_WAY_OUT
    )
    try:
        page = context.pages[0]
        address = f"http://localhost:{service.port}"
        page.goto(address)
        devtools = context.new_cdp_session(page)
        told = devtools.send("Page.getAppManifest")
        assert told["url"] == f"{address}/manifest.webmanifest"
        assert told["errors"] == []
        assert devtools.send("Page.getInstallabilityErrors")["installabilityErrors"] == []
    finally:
        context.close()


def test_its_icons_are_pictures_of_the_drawing(browser: Browser) -> None:
    manifest = json.loads((FOLDER / "manifest.webmanifest").read_text(encoding="utf-8"))
    pictures = {
        icon["src"].removeprefix("page/"): (icon["sizes"], icon["purpose"])
        for icon in manifest["icons"]
        if icon["type"] == "image/png"
    }
    needed = {("192x192", "any"), ("512x512", "any"), ("512x512", "maskable")}
    assert set(pictures.values()) >= needed
    assert set(pictures) == {path.name for path in FOLDER.glob("*.png")}
    for name, (sizes, purpose) in pictures.items():
        with Image.open(FOLDER / name) as icon:
            assert "{}x{}".format(*icon.size) == sizes
            drawn = drawing(browser, icon.width)
            if purpose == "maskable":  # to its edges, in the colour of the drawing's ground
                ground = Image.new("RGBA", icon.size, drawn.getpixel((icon.width // 2, 2)))
                drawn = Image.alpha_composite(ground, drawn)
            off = ImageChops.difference(icon.convert("RGBA"), drawn)
        assert max(ImageStat.Stat(off).mean) < 1  # of 255


def drawing(browser: Browser, side: int) -> Image.Image:
    """The icon's drawing, `side` pixels wide and high."""
    page = browser.new_page(viewport={"width": side, "height": side})
    page.goto((FOLDER / "icon.svg").as_uri())
    shown = page.screenshot(omit_background=True)
    page.close()
    return Image.open(io.BytesIO(shown)).convert("RGBA")
