"""What the service's page stores on the device: the history, and its own files for offline use."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from urllib.parse import urlsplit

from PIL import Image, ImageChops, ImageStat
from playwright.sync_api import Browser, expect

from tagger.service.web_page import FOLDER
from tests.e2e.conftest import BROWSER_OPTIONS, DEAD_PROXY, OpenWebPage
from tests.e2e.web_page import WebPage
from tests.service.service_process import ServiceProcess

_CACHED_URLS = """async () => {
  const urls = [];
  for (const name of await caches.keys()) {
    for (const request of await (await caches.open(name)).keys()) urls.push(request.url);
  }
  return urls;
}"""
AT_ROOT = ("index.html", "manifest.webmanifest")
NOT_CACHED = ("sw.js",)


def test_the_history_survives_a_reload_until_it_is_cleared(
    web: WebPage, samples: dict[str, Path]
) -> None:
    expect(web.page.get_by_text("Nothing yet.")).to_be_visible()
    web.choose(samples["coffee"])
    web.expect_answer("Unknown")
    web.choose(samples["cat"])
    web.expect_any_answer()
    expect(web.history()).to_have_count(2)
    web.page.reload()
    expect(web.cards()).to_have_count(0)
    expect(web.history()).to_have_count(2)
    newest, oldest = web.history().all()
    expect(newest).to_contain_text("Everyday")
    expect(oldest).to_contain_text("Not sure enough to tag.")
    expect(newest.get_by_role("img")).to_have_js_property("naturalWidth", 192)
    web.click("Clear")
    web.click("Cancel")
    expect(web.history()).to_have_count(2)
    web.click("Clear")
    web.click("Clear history")
    expect(web.history()).to_have_count(0)
    expect(web.page.get_by_role("heading", name="History")).to_be_focused()
    web.page.reload()
    expect(web.page.get_by_text("Nothing yet.")).to_be_visible()


def test_a_single_answer_can_be_deleted(web: WebPage, samples: dict[str, Path]) -> None:
    for count, name in enumerate(("coffee", "cat", "astronaut"), 1):
        web.choose(samples[name])
        expect(web.history()).to_have_count(count)
    delete = web.history().get_by_role("button", name=re.compile("^Delete "))
    expect(delete).to_have_count(3)
    delete.nth(1).click()
    expect(web.history()).to_have_count(2)
    expect(delete.nth(1)).to_be_focused()  # the next answer's button
    expect(web.cards()).to_have_count(2)  # its card is removed too
    expect(web.cards().filter(has_text="cat.png")).to_have_count(0)
    web.page.reload()
    expect(web.history()).to_have_count(2)
    expect(web.history().get_by_role("img", name="cat.png")).to_have_count(0)
    delete.last.press("Enter")
    expect(web.history()).to_have_count(1)
    delete.last.press("Enter")
    expect(web.page.get_by_role("heading", name="History")).to_be_focused()
    web.page.reload()
    expect(web.page.get_by_text("Nothing yet.")).to_be_visible()


def test_the_page_explains_what_is_stored_where(web: WebPage, samples: dict[str, Path]) -> None:
    hint = web.page.locator("#history > .hint")
    expect(hint).to_contain_text("Answers are kept on this device until you delete them.")
    expect(hint).to_contain_text("The server logs answers, not photos")
    web.choose(samples["cat"])
    expect(web.history()).to_have_count(1)
    expect(hint).to_contain_text("unless its owner turned that on")


def test_the_history_drops_its_oldest_answers(web: WebPage) -> None:
    web.page.evaluate(
        """async () => {
          const { saveEntry } = await import("./page/history.js");
          const answer = { label: "cat", confidence: 1, unknown: false, model: "pets" };
          for (let at = 1; at <= 203; at++) {
            await saveEntry({ at, name: "", thumbnail: null, answer });
          }
        }"""
    )
    web.page.reload()
    expect(web.history()).to_have_count(200)
    expect(web.history().last.locator("time")).to_have_attribute(
        "datetime", "1970-01-01T00:00:00.004Z"
    )


def test_answers_are_shown_without_browser_storage(
    open_web_page: OpenWebPage, service: ServiceProcess, samples: dict[str, Path]
) -> None:
    web = open_web_page(service)
    web.page.add_init_script(
        """for (const name of ["indexedDB", "sessionStorage"]) {
          Object.defineProperty(window, name, { get() { throw new DOMException("no"); } });
        }"""
    )
    web.page.reload()
    expect(web.page.get_by_text("This browser can’t keep answers")).to_be_visible()
    web.choose(samples["cat"])
    web.expect_any_answer()


def test_the_page_opens_offline_and_sends_when_it_is_online_again(
    open_web_page: OpenWebPage, service: ServiceProcess, samples: dict[str, Path]
) -> None:
    web = open_web_page(service, service_workers="allow")
    web.page.evaluate("async () => { await navigator.serviceWorker.ready; }")
    web.choose(samples["cat"])
    web.expect_any_answer()
    expect(web.history()).to_have_count(1)
    web.page.context.set_offline(True)
    web.page.reload()
    expect(web.page.get_by_role("alert")).to_have_text("You’re offline.")
    expect(web.history()).to_have_count(1)
    font = web.page.get_by_role("heading", level=1).evaluate(
        "heading => getComputedStyle(heading).fontFamily"
    )
    assert "Georgia" in font  # the stylesheet is cached too
    web.choose(samples["astronaut"])
    card = web.expect_answer("Not sent yet")
    expect(card).to_contain_text("You’re offline.")
    card.get_by_role("button", name="Try again").click()
    expect(card).to_contain_text("You’re offline.")
    web.page.context.set_offline(False)
    web.expect_any_answer()
    expect(web.page.get_by_role("alert")).to_be_hidden()
    expect(web.page.get_by_label("Model")).to_be_visible()


def test_a_stopped_service_shows_an_error_message(web: WebPage, samples: dict[str, Path]) -> None:
    for address in ("**/predict?*", "**/health"):
        web.page.route(address, lambda route: route.abort())
    web.choose(samples["cat"])
    card = web.expect_answer("Not sent yet")
    expect(card).to_contain_text("The service doesn’t answer.")
    web.page.unroute_all()
    card.get_by_role("button", name="Try again").click()
    web.expect_any_answer()


def test_only_the_pages_own_files_are_cached(
    open_web_page: OpenWebPage, service: ServiceProcess, samples: dict[str, Path]
) -> None:
    web = open_web_page(service, service_workers="allow")
    web.page.evaluate("async () => { await navigator.serviceWorker.ready; }")
    web.page.reload()
    web.choose(samples["cat"])
    web.expect_any_answer()
    cached = {urlsplit(url).path for url in web.page.evaluate(_CACHED_URLS)}
    parts = {path.name for path in FOLDER.iterdir()} - {*AT_ROOT, *NOT_CACHED}
    assert cached == {"/", "/manifest.webmanifest"} | {f"/page/{name}" for name in parts}


def test_the_page_is_installable(
    browser: Browser, chromium: str, service: ServiceProcess, tmp_path: Path
) -> None:
    # A persistent profile: nothing can be installed from a private one.
    context = browser.browser_type.launch_persistent_context(
        str(tmp_path), executable_path=chromium, args=BROWSER_OPTIONS, proxy=DEAD_PROXY
    )
    try:
        page = context.pages[0]
        address = f"http://localhost:{service.port}"
        page.goto(address)
        devtools = context.new_cdp_session(page)
        manifest = devtools.send("Page.getAppManifest")
        assert manifest["url"] == f"{address}/manifest.webmanifest"
        assert manifest["errors"] == []
        assert devtools.send("Page.getInstallabilityErrors")["installabilityErrors"] == []
    finally:
        context.close()


def test_png_icons_match_the_svg(browser: Browser) -> None:
    manifest = json.loads((FOLDER / "manifest.webmanifest").read_text(encoding="utf-8"))
    icons = {
        icon["src"].removeprefix("page/"): (icon["sizes"], icon["purpose"])
        for icon in manifest["icons"]
        if icon["type"] == "image/png"
    }
    needed = {("192x192", "any"), ("512x512", "any"), ("512x512", "maskable")}
    assert set(icons.values()) >= needed
    assert set(icons) == {path.name for path in FOLDER.glob("*.png")}
    for name, (sizes, purpose) in icons.items():
        with Image.open(FOLDER / name) as icon:
            assert "{}x{}".format(*icon.size) == sizes
            expected = render_svg(browser, icon.width)
            if purpose == "maskable":  # filled to its edges with the background colour
                background = Image.new("RGBA", icon.size, expected.getpixel((icon.width // 2, 2)))
                expected = Image.alpha_composite(background, expected)
            difference = ImageChops.difference(icon.convert("RGBA"), expected)
        assert max(ImageStat.Stat(difference).mean) < 1  # of 255


def render_svg(browser: Browser, side: int) -> Image.Image:
    """The SVG icon, `side` pixels wide and high."""
    page = browser.new_page(viewport={"width": side, "height": side})
    page.goto((FOLDER / "icon.svg").as_uri())
    screenshot = page.screenshot(omit_background=True)
    page.close()
    return Image.open(io.BytesIO(screenshot)).convert("RGBA")
