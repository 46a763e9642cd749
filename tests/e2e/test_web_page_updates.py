"""Updates of the page's files: complete versions only, installed without user action."""

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
from tests.e2e.conftest import OpenWebPage
from tests.e2e.stub_service import StubService, captive_portal
from tests.e2e.web_page import WebPage
from tests.service.service_process import ServiceProcess

# The cached files by path.
_CACHED_FILES = """async () => {
  const files = {};
  for (const name of await caches.keys()) {
    const cache = await caches.open(name);
    for (const request of await cache.keys()) {
      files[new URL(request.url).pathname] = await (await cache.match(request)).text();
    }
  }
  return files;
}"""
_UPDATE = """async () => {
  const registration = await navigator.serviceWorker.getRegistration();
  await registration.update().catch(() => {});
  const worker = registration.installing;
  if (worker) await new Promise((done) => {
    worker.addEventListener("statechange", done, { once: true });
  });
}"""
HEADING = "What is in this photo?"
NEW_HEADING = "What is there to see?"


@pytest.fixture
def stub(tmp_path: Path) -> Iterator[StubService]:
    stub = StubService(tmp_path / "page")
    yield stub
    stub.stop()


@pytest.fixture
def web(open_web_page: OpenWebPage, stub: StubService) -> WebPage:
    """The page in a browser that has cached it."""
    web = open_web_page(stub, service_workers="allow")
    web.page.evaluate("async () => { await navigator.serviceWorker.ready; }")
    web.page.wait_for_function("() => navigator.serviceWorker.controller")
    return web


def expect_heading(page: Page, text: str) -> None:
    expect(page.get_by_role("heading", level=1)).to_have_text(text)


def check_for_update(page: Page) -> None:
    """Wait until the browser has checked for a new version and installed or refused it."""
    page.evaluate(_UPDATE)


def photo() -> tuple[str, str, bytes]:
    return "photo.png", "image/png", decode.encode(draw("disc", 1), "PNG")


def test_an_idle_page_updates_itself(web: WebPage, stub: StubService) -> None:
    stub.deploy("index.html", HEADING, NEW_HEADING)
    web.page.reload()
    expect_heading(web.page, NEW_HEADING)
    stub.stop()
    web.page.reload()
    expect_heading(web.page, NEW_HEADING)


def test_an_update_waits_while_photos_are_on_the_page(web: WebPage, stub: StubService) -> None:
    stub.stop()
    web.page.reload()
    web.choose(photo())
    web.expect_answer("Not sent yet")
    stub.deploy("index.html", HEADING, NEW_HEADING)
    web.expect_answer("cat")
    web.page.wait_for_function(
        "async () => (await navigator.serviceWorker.getRegistration()).waiting"
    )
    expect_heading(web.page, HEADING)
    web.page.reload()
    expect_heading(web.page, NEW_HEADING)


def test_a_change_to_any_file_changes_the_service_worker(tmp_path: Path) -> None:
    stub = StubService(tmp_path / "page")
    try:
        workers = set()
        for path in sorted(FOLDER.iterdir()):
            copy = stub.folder / path.name
            copy.write_bytes(copy.read_bytes() + b"\n")
            stub.stop()
            stub.start()
            workers.add(download(stub, "/sw.js"))
        assert len(workers) == len(list(FOLDER.iterdir()))
    finally:
        stub.stop()


def download(stub: StubService, path: str) -> bytes:
    with urlopen(f"http://localhost:{stub.port}{path}") as response:
        return bytes(response.read())


def test_an_incomplete_version_is_not_installed(web: WebPage, stub: StubService) -> None:
    before = web.page.evaluate(_CACHED_FILES)
    assert len(before) == len(list(FOLDER.iterdir())) - 1  # all but the service worker
    for response in (captive_portal(), Response("login"), Response("{}", status_code=502)):
        stub.overrides = {"/page/card.js": response, "/login": Response("login")}
        stub.deploy("app.js", "// The page", "// A newer page")
        stub.deploy("index.html", "</h1>", "!</h1>")
        web.page.reload()
        check_for_update(web.page)
        web.page.reload()
        expect_heading(web.page, HEADING)
        assert web.page.evaluate(_CACHED_FILES) == before
        web.choose(photo())
        web.expect_answer("cat")  # the old version still works
        stub.deploy("app.js", "// A newer page", "// The page")
        check_for_update(web.page)
    stub.overrides = {}
    web.page.reload()
    expect_heading(web.page, f"{HEADING}!!!")


def test_a_login_page_is_never_cached(web: WebPage, stub: StubService) -> None:
    before = web.page.evaluate(_CACHED_FILES)
    paths = ("/", "/sw.js", "/page/app.js", "/page/style.css", "/manifest.webmanifest")
    stub.overrides = dict.fromkeys(paths, captive_portal()) | {"/login": Response("Please log in")}
    web.page.reload()
    expect_heading(web.page, HEADING)
    web.page.reload()
    expect_heading(web.page, HEADING)
    assert web.page.evaluate(_CACHED_FILES) == before


def test_alternating_versions_do_not_reload_endlessly(web: WebPage, stub: StubService) -> None:
    stub.deploy("index.html", HEADING, NEW_HEADING)
    web.page.reload()
    expect_heading(web.page, NEW_HEADING)
    web.page.wait_for_load_state()
    stub.deploy("index.html", NEW_HEADING, HEADING)
    loads = []
    web.page.on("load", lambda page: loads.append(page))
    web.page.reload()
    web.page.wait_for_function(
        "async () => (await navigator.serviceWorker.getRegistration()).waiting"
    )
    web.page.wait_for_timeout(2500)  # it checks for updates a moment after loading
    assert len(loads) == 1


@pytest.mark.parametrize("path", ["/", "/sw.js", "/manifest.webmanifest", "/page/style.css"])
def test_head_requests_return_the_headers_of_get(service: ServiceProcess, path: str) -> None:
    full = service.request("GET", path)
    head = service.request("HEAD", path)
    assert (head.status, head.body) == (200, b"")
    for name in ("content-type", "content-length", "etag", "content-security-policy"):
        assert head.headers[name] == full.headers[name]
    condition = {"If-None-Match": full.headers["etag"]}
    assert service.request("HEAD", path, headers=condition).status == 304
    assert service.request("POST", path).status == 405


def test_head_of_a_missing_file_is_404(service: ServiceProcess) -> None:
    assert service.request("HEAD", "/page/none.js").status == 404
