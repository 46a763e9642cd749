"""A real browser and a real server. Nothing leaves this machine: the browser has no way out."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright

from tagger.datasets.sample_photos import write_samples
from tests.e2e.guest import Guest
from tests.e2e.server import Server
from tests.e2e.visitor import Visitor
from tests.service.serving import Serving, serving

Serve = Callable[..., Server]
Visit = Callable[..., Visitor]
Arrive = Callable[..., Guest]

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
        opened = playwright.chromium.launch(
            executable_path=chromium, args=QUIETLY, proxy=NO_WAY_OUT
        )
        yield opened
        opened.close()


@contextmanager
def looked_after() -> Iterator[Serve]:
    """Servers that are killed in the end, whatever happened; none of them may have stumbled."""
    started: list[Server] = []

    def start(home: Path, *arguments: Any, **options: Any) -> Server:
        started.append(Server(home, *arguments, **options))
        return started[-1]

    try:
        yield start
    finally:
        for one in started:
            one.kill()
    for one in started:
        one.check()


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start the app on a library: `serve(home)`."""
    with looked_after() as start:
        yield start


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The app with a library for the tests of one file."""
    with looked_after() as start:
        yield start(tmp_path_factory.mktemp("app") / "library")


@pytest.fixture
def visit(browser: Browser) -> Iterator[Visit]:
    """Visitors of a server, on the first page or another, in a window as wide as asked for."""
    visitors: list[Visitor] = []

    def arrive(server: Server, address: str = "", width: int = 1280) -> Visitor:
        context = browser.new_context(
            viewport={"width": width, "height": 900}, permissions=["camera"]
        )
        visitors.append(Visitor(context.new_page(), server.url))
        visitors[-1].open(address)
        return visitors[-1]

    yield arrive
    for visitor in visitors:
        visitor.page.context.close()
        assert not visitor.troubles, visitor.troubles


@pytest.fixture
def visitor(visit: Visit, server: Server) -> Visitor:
    """Somebody on the first page."""
    return visit(server)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """A service for the tests of one file, which keeps what it is sent."""
    home = tmp_path_factory.mktemp("service") / "library"
    with serving(home, TAGGER_MODEL="everyday", TAGGER_KEEP_PHOTOS="1") as started:
        yield started
        started.check()


@pytest.fixture
def arrive(browser: Browser) -> Iterator[Arrive]:
    """Guests of a service, each with a browser profile of their own."""
    guests: list[Guest] = []

    def come(service: Serving, **options: Any) -> Guest:
        settings = {"service_workers": "block", "permissions": ["camera"]} | options
        context = browser.new_context(**settings)
        context.set_default_timeout(30_000)
        guests.append(Guest(context.new_page(), service.port))
        guests[-1].open()
        return guests[-1]

    yield come
    for guest in guests:
        guest.page.context.close()
        assert not guest.troubles, guest.troubles


@pytest.fixture
def guest(arrive: Arrive, service: Serving) -> Guest:
    """Somebody on the service's page."""
    return arrive(service)


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The sample photos by name, without their ending."""
    return {path.stem: path for path in write_samples(tmp_path_factory.mktemp("samples"))}
