"""Page object for the service's web page: one browser tab, what a user does in it and sees."""

from __future__ import annotations

import json
import mimetypes
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import ConsoleMessage, Dialog, Locator, Page, Request, Route, expect

# Console messages of the browser itself: failed requests, which the page reports in a sentence,
# and the service worker that most tests block.
_EXPECTED = ("Failed to load resource", "Service Worker registration blocked by Playwright")
PREDICT = re.compile(r"/predict\?")

File = Path | tuple[str, str, bytes]  # a path, or name, media type and content


class WebPage:
    """One tab. `problems` collects console errors, page errors, dialogs and foreign requests."""

    def __init__(self, page: Page, port: int) -> None:
        self.page = page
        self.origin = f"localhost:{port}"
        self.url = f"http://{self.origin}"
        self.problems: list[str] = []
        self.requests: list[Request] = []
        page.on("request", self._on_request)
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self.problems.append(f"page error: {error}"))
        page.on("dialog", self._on_dialog)

    # Actions

    def open(self) -> None:
        """Load the page."""
        self.page.goto(self.url)
        expect(self.page.get_by_role("heading", level=1)).to_be_visible()

    def choose(self, *files: File) -> None:
        """Choose photos from this device."""
        self.page.locator("#choose").set_input_files(
            [
                {"name": name, "mimeType": media_type, "buffer": content}
                for name, media_type, content in map(_read, files)
            ]
        )

    def click(self, name: str) -> None:
        self.button(name).click()

    # What it shows

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)

    def cards(self) -> Locator:
        """Photos with their answers, newest first."""
        return self.page.get_by_role("article")

    def answers(self) -> list[str]:
        """The heading of every card: a label, "Unknown", "Not sent yet", ..."""
        return self.cards().get_by_role("heading").all_inner_texts()

    def expect_answer(self, heading: str, card: int = 0) -> Locator:
        """Wait until a card has this heading; the card."""
        locator = self.cards().nth(card)
        expect(locator.get_by_role("heading")).to_have_text(heading)
        return locator

    def expect_any_answer(self) -> Locator:
        """Wait until the newest photo has an answer of a model; its card."""
        newest = self.cards().first
        expect(newest).to_contain_text("Model: ")
        return newest

    def expect_announcement(self, text: str) -> None:
        """Wait until the live region for screen readers holds a text."""
        expect(self.page.get_by_role("status")).to_contain_text(text)

    def history(self) -> Locator:
        """The list of earlier answers."""
        return self.page.locator("#history").get_by_role("listitem")

    def predict_requests(self) -> list[Request]:
        return [request for request in self.requests if PREDICT.search(request.url)]

    # Stubs

    def stub_answers(self, *answers: Any) -> None:
        """Answer /predict with these in turn, the last one for all that follow.

        Each is a JSON answer, a tuple (status, headers, body), or None for the real service.
        """
        remaining = list(answers)

        def fulfill(route: Route) -> None:
            answer = remaining.pop(0) if len(remaining) > 1 else remaining[0]
            if answer is None:
                route.continue_()
            elif isinstance(answer, tuple):
                status, headers, body = answer
                route.fulfill(status=status, headers=headers, body=body)
            else:
                body = json.dumps(answer)
                route.fulfill(status=200, content_type="application/json", body=body)

        self.page.route(PREDICT, fulfill)

    # Checks

    def _on_request(self, request: Request) -> None:
        self.requests.append(request)
        parts = urlsplit(request.url)
        if parts.scheme not in ("data", "blob") and parts.netloc != self.origin:
            self.problems.append(f"foreign request: {request.url}")

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not message.text.startswith(_EXPECTED):
            self.problems.append(f"console: {message.text}")

    def _on_dialog(self, dialog: Dialog) -> None:
        self.problems.append(f"dialog: {dialog.message}")
        dialog.dismiss()


def _read(file: File) -> tuple[str, str, bytes]:
    if not isinstance(file, Path):
        return file
    return file.name, mimetypes.guess_type(file.name)[0] or "", file.read_bytes()


def make_answer(
    scores: Sequence[tuple[str, float]], reason: str | None = None, model: str = "everyday"
) -> dict[str, Any]:
    """A response of POST /predict. `scores` are best first; a `reason` makes it unknown."""
    predictions = [{"label": label, "score": score} for label, score in scores]
    return {
        "predictions": predictions,
        "label": None if reason else scores[0][0],
        "confidence": scores[0][1],
        "unknown": reason is not None,
        "reason": reason,
        "ood_score": 0.5,
        "tags": [] if reason else predictions[:1],
        "model": model,
        "id": "0" * 32,
    }
