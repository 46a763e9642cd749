"""A real browser and real servers. The browser cannot reach another machine."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, sync_playwright

from tagger.datasets.sample_photos import write_samples
from tests.e2e.app_page import AppPage
from tests.e2e.app_server import AppServer
from tests.e2e.web_page import WebPage
from tests.service.service_process import ServiceProcess, run_service

WIDE, PHONE = 1280, 390  # pixels
HEIGHTS = {WIDE: 900, PHONE: 844}
StartServer = Callable[..., AppServer]
OpenApp = Callable[..., AppPage]
OpenWebPage = Callable[..., WebPage]

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
BROWSER_OPTIONS = (
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
DEAD_PROXY = {"server": "http://127.0.0.1:9", "bypass": "localhost"}  # nothing listens there


@pytest.fixture(scope="session")
def chromium() -> str:
    """The installed browser; none is downloaded."""
    path = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if path is None:
        pytest.skip(f"needs a browser: one of {', '.join(CHROMIUM)} on the PATH")
    return path


@pytest.fixture(scope="package")
def browser(chromium: str) -> Iterator[Browser]:
    """One browser for all tests; each test has a profile of its own."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=BROWSER_OPTIONS, proxy=DEAD_PROXY
        )
        yield browser
        browser.close()


@contextmanager
def app_servers() -> Iterator[StartServer]:
    """Starts app servers; kills them at the end and checks their logs."""
    servers: list[AppServer] = []

    def start(home: Path, *arguments: Any, **options: Any) -> AppServer:
        servers.append(AppServer(home, *arguments, **options))
        return servers[-1]

    try:
        yield start
    finally:
        for server in servers:
            server.kill()
    for server in servers:
        server.check_logs()


@pytest.fixture
def start_server() -> Iterator[StartServer]:
    """Start the app on a library: `start_server(home)`."""
    with app_servers() as start:
        yield start


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppServer]:
    """The app with a library for the tests of one file."""
    with app_servers() as start:
        yield start(tmp_path_factory.mktemp("app") / "library")


@pytest.fixture
def open_app(browser: Browser) -> Iterator[OpenApp]:
    """Open the app in a tab with a profile of its own: `open_app(server, path, width, scheme)`."""
    pages: list[AppPage] = []

    def open_page(
        server: AppServer,
        path: str = "",
        width: int = WIDE,
        scheme: Literal["light", "dark"] = "light",
    ) -> AppPage:
        context = browser.new_context(
            viewport={"width": width, "height": HEIGHTS[width]},
            color_scheme=scheme,
            permissions=["camera"],
        )
        pages.append(AppPage(context.new_page(), server.url))
        pages[-1].open(path)
        return pages[-1]

    yield open_page
    for app in pages:
        app.page.context.close()
        assert not app.problems, app.problems


@pytest.fixture
def app(open_app: OpenApp, server: AppServer) -> AppPage:
    """The app's first page."""
    return open_app(server)


@pytest.fixture(scope="package")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    """A service for all tests, which keeps uploaded photos."""
    home = tmp_path_factory.mktemp("service") / "library"
    with run_service(home, TAGGER_MODEL="everyday", TAGGER_KEEP_PHOTOS="1") as started:
        yield started
        started.check()


@pytest.fixture
def open_web_page(browser: Browser) -> Iterator[OpenWebPage]:
    """Open a service's page in a tab with a profile of its own."""
    pages: list[WebPage] = []

    def open_page(service: ServiceProcess, **options: Any) -> WebPage:
        settings = {"service_workers": "block", "permissions": ["camera"]} | options
        context = browser.new_context(**settings)
        context.set_default_timeout(30_000)
        pages.append(WebPage(context.new_page(), service.port))
        pages[-1].open()
        return pages[-1]

    yield open_page
    for web in pages:
        web.page.context.close()
        assert not web.problems, web.problems


@pytest.fixture
def web(open_web_page: OpenWebPage, service: ServiceProcess) -> WebPage:
    """The service's page."""
    return open_web_page(service)


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The sample photos by name, without the file extension."""
    return {path.stem: path for path in write_samples(tmp_path_factory.mktemp("samples"))}
