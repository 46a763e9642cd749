"""A real browser and a real server. Nothing leaves this machine: the browser has no way out."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from e2e.server import Server
from e2e.visitor import Visitor
from playwright.sync_api import Browser, Playwright, sync_playwright

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
QUIETLY = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
)
NO_WAY_OUT = {"server": "http://127.0.0.1:9", "bypass": "localhost"}  # nobody listens there


@pytest.fixture(scope="session")
def chromium() -> str:
    """The browser of this machine; none is downloaded."""
    found = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if found is None:
        pytest.skip(f"needs a browser: one of {', '.join(CHROMIUM)} on the PATH")
    return found


@pytest.fixture(scope="package")
def browser(chromium: str) -> Iterator[Browser]:
    """One browser for all tests; each visitor has a profile of their own."""
    with sync_playwright() as playwright:
        opened = launch(playwright, chromium)
        yield opened
        opened.close()


def launch(playwright: Playwright, chromium: str) -> Browser:
    """The browser, without a way out of this machine."""
    return playwright.chromium.launch(executable_path=chromium, args=QUIETLY, proxy=NO_WAY_OUT)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The app with a library for the tests of one file."""
    started = Server(tmp_path_factory.mktemp("app") / "library")
    yield started
    started.kill()


Visit = Callable[..., Visitor]


@pytest.fixture
def visit(browser: Browser) -> Iterator[Visit]:
    """Visitors of a server, in a window of the size and colours asked for."""
    visitors: list[Visitor] = []

    def arrive(server: Server, width: int = 1280, dark: bool = False) -> Visitor:
        context = browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme="dark" if dark else "light",
            permissions=["camera"],
        )
        visitors.append(Visitor(context.new_page(), server.url))
        visitors[-1].open()
        return visitors[-1]

    yield arrive
    for visitor in visitors:
        visitor.page.context.close()
        assert not visitor.troubles, visitor.troubles


@pytest.fixture
def visitor(visit: Visit, server: Server) -> Visitor:
    """Somebody on the first page."""
    return visit(server)
