"""Page object for the app: one browser tab, what a user does in it and what it shows."""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import ConsoleMessage, Dialog, Locator, Page, Request, TimeoutError, expect

HEADINGS = {
    "Tag a photo": "What is in this photo?",
    "Import": "Import photos",
    "Gallery": "Gallery",
    "Search": "Search",
    "Tags": "Tags",
    "Review": "Review",
    "Teach a tag": "Teach a tag",
    "Train a model": "Train a model",
    "Models": "Models",
    "Duplicates": "Duplicates",
    "History": "History",
}
PHONE_TITLES = {"Gallery": "Gallery", "Search": "Search", "Import": "Add", "Review": "Review"}
MAX_PHONE = 640  # pixels; wider windows have a sidebar
TIMEOUT = 60_000  # milliseconds
ATTEMPTS = 10
expect.set_options(timeout=TIMEOUT)
# Whether the script has been idle for so many milliseconds: a click reaches the server a moment
# later.
_IS_IDLE = """milliseconds => {
  const app = document.querySelector('[data-testid="stApp"]')?.dataset ?? {};
  const idle = app.testScriptState === "notRunning" && app.testConnectionState === "CONNECTED";
  window.idleSince = idle ? window.idleSince ?? performance.now() : null;
  return idle && performance.now() - window.idleSince > milliseconds;
}"""
_IDLE_FOR, _POLL_EVERY = 100, 20  # milliseconds

Upload = Path | tuple[str, bytes]


def displayed(text: str) -> re.Pattern[str]:
    """A pattern for text on the page, which may hold invisible word joiners."""
    return re.compile("\u2060?".join(map(re.escape, text)))


class AppPage:
    """One tab. `problems` collects console errors, page errors, dialogs and foreign requests."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self.problems: list[str] = []
        page.set_default_timeout(TIMEOUT)
        page.on("request", self._on_request)
        page.on("websocket", lambda socket: self._check_host(socket.url))
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self.problems.append(f"page error: {error}"))
        page.on("dialog", self._on_dialog)

    # Actions

    def open(self, path: str = "") -> None:
        """Load a path of the app."""
        self.page.goto(f"{self.url}/{path}")
        self.page.locator("[data-testid=stMain] [data-testid=stHeading]").first.wait_for()
        if re.search(r"[?&]photo=", path):
            self.page.locator("dialog[open]").wait_for()
        self.wait_until_idle()

    def go_to(self, title: str) -> None:
        """Follow a page's link in the sidebar, or on a phone in the bar at the foot."""
        size = self.page.viewport_size
        if size is None or size["width"] > MAX_PHONE:
            self.link(title).click()
        elif title in PHONE_TITLES:
            self.phone_bar().get_by_role("link", name=PHONE_TITLES[title]).click()
        else:
            self.phone_bar().get_by_role("button", name="More").click()
            self.page.get_by_test_id("stPopoverBody").get_by_role("link", name=title).click()
        self.heading(HEADINGS[title]).wait_for()
        self.wait_until_idle()

    def click(self, name: str) -> None:
        """Click a button."""
        self.button(name).click()
        self.wait_until_idle()

    def choose(self, label: str, option: str) -> None:
        """Choose from a select box. It closes again if the page scrolls while it opens: retry."""
        field = self.page.get_by_role("combobox", name=label)
        item = self.page.get_by_role("option", name=option).first
        for _ in range(ATTEMPTS):
            field.click()
            with suppress(TimeoutError):
                item.click(timeout=TIMEOUT / ATTEMPTS)
                break
        else:
            raise AssertionError(f"{label}: cannot choose {option}")
        self.wait_until_idle()

    def add_option(self, label: str, text: str) -> None:
        """Type a new option into a select box."""
        field = self.page.get_by_role("combobox", name=label)
        field.fill(text)
        self.page.get_by_role("option").filter(has_text=text).first.wait_for()
        field.press("Enter")
        self.wait_until_idle()

    def select_radio(self, name: str) -> None:
        """Select a radio button or segment."""
        self.page.get_by_role("radiogroup").get_by_text(name, exact=True).click()
        self.wait_until_idle()

    def expand(self, title: str) -> None:
        """Open an expander."""
        self.text(title).first.click()
        self.wait_until_idle()

    def type(self, label: str, text: str) -> None:
        """Fill in a field and press Enter."""
        self.field(label).fill(text)
        self.field(label).press("Enter")
        self.wait_until_idle()

    def upload(self, files: Iterable[Upload]) -> None:
        """Drop files into the page's uploader."""
        self.page.get_by_test_id("stFileUploaderDropzoneInput").set_input_files(
            [
                file
                if isinstance(file, Path)
                else {"name": file[0], "mimeType": "image/png", "buffer": file[1]}
                for file in files
            ]
        )
        self.wait_until_idle()

    def press(self, key: str) -> None:
        """Press a key, wherever the focus is."""
        self.page.keyboard.press(key)
        self.wait_until_idle()

    def download(self, name: str | re.Pattern[str]) -> Path:
        """Click a download button; the path of the downloaded file."""
        with self.page.expect_download() as download:
            self.button(name).click()
        return Path(download.value.path())

    def select_photos(self, *names: str) -> None:
        """Tick photos of the grid."""
        for name in names:
            box = self.page.get_by_role("checkbox", name=f"Select {name}", exact=True)
            box.check(force=True)  # it appears on hover
        self.wait_until_idle()

    def undo(self) -> None:
        """Undo what the gallery's message says."""
        self.page.get_by_role("status").get_by_role("button", name="Undo").click()
        self.wait_until_idle()

    def open_photo(self, name: str) -> None:
        """Open a photo of the gallery, and wait until it is drawn large."""
        self.tile(name).click()
        self.expect_photo(name)

    # What it shows

    def button(self, name: str | re.Pattern[str]) -> Locator:
        return self.page.get_by_role("button", name=name, exact=isinstance(name, str))

    def link(self, title: str) -> Locator:
        """A page's link in the sidebar."""
        return self.page.locator(".st-key-navigation").get_by_role("link", name=title)

    def phone_bar(self) -> Locator:
        """The bar of pages at the foot of a narrow window."""
        return self.page.locator(".st-key-phone-bar")

    def field(self, label: str) -> Locator:
        return self.page.get_by_label(label, exact=True)

    def heading(self, text: str) -> Locator:
        return self.page.get_by_role("heading", name=text, exact=True)

    def escaped_heading(self, text: str) -> Locator:
        """A heading with a user's text, such as a file name."""
        return self.page.get_by_role("heading", name=displayed(text))

    def text(self, text: str | re.Pattern[str]) -> Locator:
        pattern = displayed(text) if isinstance(text, str) else text
        return self.page.locator("[data-testid=stMain], [role=dialog]").get_by_text(pattern)

    def expect_text(self, text: str | re.Pattern[str]) -> None:
        """Wait until the page shows a text."""
        expect(self.text(text).first).to_be_visible()

    def expect_job_end(self, title: str, status: str = "finished") -> None:
        """Wait until a job's panel shows that it ended."""
        panel = self.page.locator('[class*="st-key-"]').filter(has_text=title)
        expect(panel.filter(has_text=status).last).to_be_visible(timeout=2 * TIMEOUT)

    def tiles(self) -> Locator:
        """The photos of the grid."""
        return self.page.locator("ul[role=list] > li[data-id]")

    def tile(self, name: str) -> Locator:
        """A photo of the grid by its name; a click opens it."""
        return self.page.get_by_title(name, exact=True).and_(self.page.get_by_role("button"))

    def expect_photo(self, name: str) -> None:
        """Wait until the lightbox shows a photo."""
        expect(self.page.locator("dialog img.large")).to_have_attribute("alt", name)
        self.page.locator("dialog[data-ready]:not([data-ready=''])").wait_for()

    def expect_message(self, text: str) -> None:
        """Wait until the gallery says what was done."""
        expect(self.page.get_by_role("status").get_by_text(text, exact=True)).to_be_visible()

    def error_messages(self) -> list[str]:
        return self.page.get_by_test_id("stAlertContentError").all_inner_texts()

    def background_color(self) -> tuple[int, ...]:
        """Red, green and blue of the page's background, 0 to 255."""
        app = self.page.get_by_test_id("stApp")
        color = app.evaluate("app => getComputedStyle(app).backgroundColor")
        return tuple(map(int, re.findall(r"\d+", color)[:3]))

    # Checks

    def wait_until_idle(self) -> None:
        """Wait until the page is drawn. Raises AssertionError if it shows a traceback."""
        self.page.evaluate("window.idleSince = null")
        self.page.wait_for_function(_IS_IDLE, arg=_IDLE_FOR, polling=_POLL_EVERY)
        exceptions = self.page.get_by_test_id("stException").all_inner_texts()
        assert not exceptions, exceptions[0]

    def check(self, errors: int = 0) -> None:
        """Fail unless the page shows exactly `errors` error messages and had no problems."""
        self.wait_until_idle()
        assert len(self.error_messages()) == errors, self.error_messages()
        assert not self.problems, self.problems

    def _on_request(self, request: Request) -> None:
        self._check_host(request.url)

    def _check_host(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("data", "blob") and parts.hostname != "localhost":
            self.problems.append(f"foreign request: {url}")

    def _on_console(self, message: ConsoleMessage) -> None:
        url = message.location["url"]
        if message.type == "error":
            self.problems.append(f"console: {message.text} ({url})")

    def _on_dialog(self, dialog: Dialog) -> None:
        self.problems.append(f"dialog: {dialog.message}")
        dialog.dismiss()
