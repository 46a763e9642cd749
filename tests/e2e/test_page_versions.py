"""The page's files: one version at a time, an update without doing anything, nobody else's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest
from fastapi.responses import Response
from playwright.sync_api import Page, expect

from tagger.images import decode
from tagger.service.web_page import FOLDER
from tests.conftest import draw
from tests.e2e.conftest import Arrive
from tests.e2e.guest import Guest
from tests.e2e.site import Site, login_page
from tests.service.serving import Serving

# The texts of all that is kept: a version is whole or it is not there.
_KEPT = """async () => {
  const found = {};
  for (const name of await caches.keys()) {
    const cache = await caches.open(name);
    for (const request of await cache.keys()) {
      found[new URL(request.url).pathname] = await (await cache.match(request)).text();
    }
  }
  return found;
}"""
_SETTLE = """async () => {
  const registration = await navigator.serviceWorker.getRegistration();
  await registration.update().catch(() => {});
  const worker = registration.installing;
  if (worker) await new Promise((done) => {
    worker.addEventListener("statechange", done, { once: true });
  });
}"""
HEADING = "What is in this photo?"
NEWER = "What is there to see?"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    started = Site(tmp_path / "page")
    yield started
    started.stop()


@pytest.fixture
def guest(arrive: Arrive, site: Site) -> Guest:
    """Somebody whose browser keeps the page."""
    found = arrive(site, service_workers="allow")
    found.page.evaluate("async () => { await navigator.serviceWorker.ready; }")
    found.page.wait_for_function("() => navigator.serviceWorker.controller")
    return found


def heading(page: Page, text: str) -> None:
    expect(page.get_by_role("heading", level=1)).to_have_text(text)


def settle(page: Page) -> None:
    """Wait until the browser has looked for another version, and taken or refused it."""
    page.evaluate(_SETTLE)


def photo() -> tuple[str, str, bytes]:
    return "photo.png", "image/png", decode.encode(draw("disc", 1), "PNG")


def test_an_update_comes_by_itself_where_nothing_is_begun(guest: Guest, site: Site) -> None:
    site.renew("index.html", HEADING, NEWER)
    guest.page.reload()
    heading(guest.page, NEWER)
    site.stop()
    guest.page.reload()
    heading(guest.page, NEWER)


def test_an_update_takes_no_photo_away(guest: Guest, site: Site) -> None:
    site.stop()
    guest.page.reload()
    guest.choose(photo())
    guest.sees("Not sent yet")
    site.renew("index.html", HEADING, NEWER)
    guest.sees("cat")
    guest.page.wait_for_function(
        "async () => (await navigator.serviceWorker.getRegistration()).waiting"
    )
    heading(guest.page, HEADING)
    guest.page.reload()
    heading(guest.page, NEWER)


def test_a_change_to_any_file_is_another_worker(tmp_path: Path) -> None:
    site = Site(tmp_path / "page")
    try:
        seen = set()
        for path in sorted(FOLDER.iterdir()):
            copy = site.folder / path.name
            copy.write_bytes(copy.read_bytes() + b"\n")
            site.stop()
            site.start()
            seen.add(asked(site, "/sw.js"))
        assert len(seen) == len(list(FOLDER.iterdir()))
    finally:
        site.stop()


def asked(site: Site, path: str) -> bytes:
    with urlopen(f"http://localhost:{site.port}{path}") as answer:
        return bytes(answer.read())


def test_a_version_is_kept_whole_or_not_at_all(guest: Guest, site: Site) -> None:
    before = guest.page.evaluate(_KEPT)
    assert len(before) == len(list(FOLDER.iterdir())) - 1  # all but the worker
    for elsewhere in (login_page(), Response("login"), Response("{}", status_code=502)):
        site.elsewhere = {"/page/card.js": elsewhere, "/login": Response("login")}
        site.renew("app.js", "// The page", "// A newer page")
        site.renew("index.html", "</h1>", "!</h1>")
        guest.page.reload()
        settle(guest.page)
        guest.page.reload()
        heading(guest.page, HEADING)
        assert guest.page.evaluate(_KEPT) == before
        guest.choose(photo())
        guest.sees("cat")  # the old version works on
        site.renew("app.js", "// A newer page", "// The page")
        settle(guest.page)
    site.elsewhere = {}
    guest.page.reload()
    heading(guest.page, f"{HEADING}!!!")


def test_a_login_page_is_never_taken_for_ours(guest: Guest, site: Site) -> None:
    before = guest.page.evaluate(_KEPT)
    paths = ("/", "/sw.js", "/page/app.js", "/page/style.css", "/manifest.webmanifest")
    site.elsewhere = dict.fromkeys(paths, login_page()) | {"/login": Response("Please log in")}
    guest.page.reload()
    heading(guest.page, HEADING)
    guest.page.reload()
    heading(guest.page, HEADING)
    assert guest.page.evaluate(_KEPT) == before


def test_two_services_that_take_turns_do_not_reload_for_ever(guest: Guest, site: Site) -> None:
    site.renew("index.html", HEADING, NEWER)
    guest.page.reload()
    heading(guest.page, NEWER)
    guest.page.wait_for_load_state()
    site.renew("index.html", NEWER, HEADING)
    loads = []
    guest.page.on("load", lambda page: loads.append(page))
    guest.page.reload()
    guest.page.wait_for_function(
        "async () => (await navigator.serviceWorker.getRegistration()).waiting"
    )
    guest.page.wait_for_timeout(2500)  # it asks a moment after it has loaded
    assert len(loads) == 1


@pytest.mark.parametrize("path", ["/", "/sw.js", "/manifest.webmanifest", "/page/style.css"])
def test_its_files_answer_head(service: Serving, path: str) -> None:
    whole = service.ask("GET", path)
    head = service.ask("HEAD", path)
    assert (head.status, head.body) == (200, b"")
    for name in ("content-type", "content-length", "etag", "content-security-policy"):
        assert head.headers[name] == whole.headers[name]
    mark = {"If-None-Match": whole.headers["etag"]}
    assert service.ask("HEAD", path, headers=mark).status == 304
    assert service.ask("POST", path).status == 405


def test_what_is_not_there_is_not_there_for_head_either(service: Serving) -> None:
    assert service.ask("HEAD", "/page/none.js").status == 404
