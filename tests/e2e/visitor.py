"""A person with a browser: what they do, what they see, and what they must never see."""

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
    "Search & export": "Search & export",
    "Review": "Review",
    "Train": "Teach a tagger",
    "Models": "Models",
    "Activity": "Activity",
}
PATIENCE = 60_000  # milliseconds
TRIES = 10
expect.set_options(timeout=PATIENCE)
# Streamlit looks for its server at the page's own address first, and is told "not found" there.
_LOOKED_FOR = re.compile(r"/\w+/_stcore/(health|host-config)$")
# Whether the page has been quiet for so many milliseconds: what was just clicked is told to the
# server a moment later.
_QUIET = """milliseconds => {
  const app = document.querySelector('[data-testid="stApp"]')?.dataset ?? {};
  const quiet = app.testScriptState === "notRunning" && app.testConnectionState === "CONNECTED";
  window.quietSince = quiet ? window.quietSince ?? performance.now() : null;
  return quiet && performance.now() - window.quietSince > milliseconds;
}"""
# Streamlit forgets a picture once the page has another: one still on its way is then not found.
_PICTURES_ARE_THERE = """() => [...document.querySelectorAll('[data-testid="stMain"] img')]
  .every(picture => picture.complete || picture.loading === "lazy")"""
_QUIET_FOR, _LOOK_EVERY = 100, 20  # milliseconds

Upload = Path | tuple[str, bytes]


def seen(text: str) -> re.Pattern[str]:
    """Text on the page, where joiners that nobody sees may stand in it."""
    return re.compile("\u2060?".join(map(re.escape, text)))


class Visitor:
    """One tab. `troubles` gathers whatever went wrong behind the page."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self.troubles: list[str] = []
        page.set_default_timeout(PATIENCE)
        page.on("request", self._requested)
        page.on("websocket", lambda socket: self._reached(socket.url))
        page.on("console", self._logged)
        page.on("pageerror", lambda error: self.troubles.append(f"page error: {error}"))
        page.on("dialog", self._interrupted)

    # What they do

    def open(self, address: str = "") -> None:
        """Type an address of the app."""
        self.page.goto(f"{self.url}/{address}")
        self.page.locator("[data-testid=stMain] [data-testid=stHeading]").first.wait_for()
        self.settle()

    def go(self, title: str) -> None:
        """Go to a page by its link at the side."""
        self.link(title).click()
        self.heading(HEADINGS[title]).wait_for()
        self.settle()

    def click(self, name: str) -> None:
        """Press a button."""
        self.button(name).click()
        self.settle()

    def choose(self, label: str, option: str) -> None:
        """Choose from a list. One that opens while the page scrolls closes again, so try again."""
        field = self.page.get_by_role("combobox", name=label)
        found = self.page.get_by_role("option", name=option).first
        for _ in range(TRIES):
            field.click()
            with suppress(TimeoutError):
                found.click(timeout=PATIENCE / TRIES)
                break
        else:
            raise AssertionError(f"{label}: cannot choose {option}")
        self.settle()

    def choose_new(self, label: str, text: str) -> None:
        """Type something into a list that it does not have."""
        field = self.page.get_by_role("combobox", name=label)
        field.fill(text)
        self.page.get_by_role("option").filter(has_text=text).first.wait_for()
        field.press("Enter")
        self.settle()

    def pick(self, name: str) -> None:
        """Pick one of a few that are all in sight."""
        self.page.get_by_role("radiogroup").get_by_text(name, exact=True).click()
        self.settle()

    def unfold(self, title: str) -> None:
        """Open what is folded away below a title."""
        self.text(title).first.click()
        self.settle()

    def type(self, label: str, text: str) -> None:
        """Fill in a field and press Enter."""
        self.field(label).fill(text)
        self.field(label).press("Enter")
        self.settle()

    def upload(self, files: Iterable[Upload]) -> None:
        """Drop files into the page's uploader, once what it shows is there."""
        self.page.wait_for_function(_PICTURES_ARE_THERE)
        self.page.get_by_test_id("stFileUploaderDropzoneInput").set_input_files(
            [
                file
                if isinstance(file, Path)
                else {"name": file[0], "mimeType": "image/png", "buffer": file[1]}
                for file in files
            ]
        )
        self.settle()

    def press(self, key: str) -> None:
        """Press a key, wherever the page has its focus."""
        self.page.keyboard.press(key)
        self.settle()

    def download(self, name: str | re.Pattern[str]) -> Path:
        """Press a button that hands out a file; where the browser put it."""
        with self.page.expect_download() as waiting:
            self.button(name).click()
        return Path(waiting.value.path())

    # What they see

    def button(self, name: str | re.Pattern[str]) -> Locator:
        return self.page.get_by_role("button", name=name, exact=isinstance(name, str))

    def link(self, title: str) -> Locator:
        """The way to a page, at the side."""
        return self.page.get_by_test_id("stSidebarNav").get_by_role("link", name=title)

    def field(self, label: str) -> Locator:
        return self.page.get_by_label(label, exact=True)

    def heading(self, text: str) -> Locator:
        return self.page.get_by_role("heading", name=text, exact=True)

    def heading_of(self, text: str) -> Locator:
        """A heading that is somebody's own words."""
        return self.page.get_by_role("heading", name=seen(text))

    def text(self, text: str | re.Pattern[str]) -> Locator:
        """What says so."""
        pattern = seen(text) if isinstance(text, str) else text
        return self.page.get_by_test_id("stMain").get_by_text(pattern)

    def sees(self, text: str | re.Pattern[str]) -> None:
        """Wait until the page says so."""
        expect(self.text(text).first).to_be_visible()

    def sees_end(self, title: str, told: str = "finished") -> None:
        """Wait until a run is over, and says so."""
        shown = self.page.locator('[class*="st-key-"]').filter(has_text=title)
        expect(shown.filter(has_text=told).last).to_be_visible(timeout=2 * PATIENCE)

    def tiles(self) -> Locator:
        """The photos of the grid."""
        return self.page.locator("ul[role=list] > li[data-id]")

    def tile(self, name: str) -> Locator:
        """A photo of the grid, by its name; a click opens it."""
        return self.page.get_by_title(name, exact=True).and_(self.page.get_by_role("button"))

    def tick(self, *names: str) -> None:
        """Select photos of the grid."""
        for name in names:
            box = self.page.get_by_role("checkbox", name=f"Select {name}", exact=True)
            box.check(force=True)  # it shows itself under the mouse
        self.settle()

    def errors(self) -> list[str]:
        """The sentences in red on the page."""
        return self.page.get_by_test_id("stAlertContentError").all_inner_texts()

    def ground(self) -> tuple[int, ...]:
        """The colour behind the page: red, green and blue."""
        app = self.page.get_by_test_id("stApp")
        colour = app.evaluate("app => getComputedStyle(app).backgroundColor")
        return tuple(map(int, re.findall(r"\d+", colour)[:3]))

    # What they must not see

    def settle(self) -> None:
        """Wait until the page is drawn; AssertionError if it shows a traceback."""
        self.page.evaluate("window.quietSince = null")
        self.page.wait_for_function(_QUIET, arg=_QUIET_FOR, polling=_LOOK_EVERY)
        shown = self.page.get_by_test_id("stException").all_inner_texts()
        assert not shown, shown[0]

    def check(self, errors: int = 0) -> None:
        """Nothing but what was meant, on the page and behind it."""
        self.settle()
        assert len(self.errors()) == errors, self.errors()
        assert not self.troubles, self.troubles

    def _requested(self, request: Request) -> None:
        self._reached(request.url)

    def _reached(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("data", "blob") and parts.hostname != "localhost":
            self.troubles.append(f"asked for {url}")

    def _logged(self, message: ConsoleMessage) -> None:
        expected = _LOOKED_FOR.search(urlsplit(message.location["url"]).path)
        if message.type == "error" and not expected:
            self.troubles.append(f"console: {message.text} ({message.location['url']})")

    def _interrupted(self, dialog: Dialog) -> None:
        self.troubles.append(f"dialog: {dialog.message}")
        dialog.dismiss()
