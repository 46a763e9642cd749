"""A person on the service's page: what they do, what they see, and what they must never see."""

from __future__ import annotations

import json
import mimetypes
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import ConsoleMessage, Dialog, Locator, Page, Request, Route, expect

# What a browser tells of by itself: each refusal, of which the page makes a sentence, and the
# service worker that most tests do without.
_ALWAYS_TOLD = ("Failed to load resource", "Service Worker registration blocked by Playwright")
PREDICT = re.compile(r"/predict\?")

File = Path | tuple[str, str, bytes]  # a name, a type and what is in it


class Guest:
    """One tab. `troubles` gathers whatever went wrong behind the page."""

    def __init__(self, page: Page, port: int) -> None:
        self.page = page
        self.origin = f"localhost:{port}"
        self.url = f"http://{self.origin}"
        self.troubles: list[str] = []
        self.requests: list[Request] = []
        page.on("request", self._requested)
        page.on("console", self._logged)
        page.on("pageerror", lambda error: self.troubles.append(f"page error: {error}"))
        page.on("dialog", self._interrupted)

    # What they do

    def open(self) -> None:
        """Come to the page, or load it again."""
        self.page.goto(self.url)
        expect(self.page.get_by_role("heading", level=1)).to_be_visible()

    def choose(self, *files: File) -> None:
        """Choose photos from this device."""
        self.page.locator("#choose").set_input_files(
            [
                {"name": name, "mimeType": kind, "buffer": content}
                for name, kind, content in map(_opened, files)
            ]
        )

    def click(self, name: str) -> None:
        self.button(name).click()

    # What they see

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)

    def cards(self) -> Locator:
        """Photos with what is said of them, newest first."""
        return self.page.get_by_role("article")

    def words(self) -> list[str]:
        """The large word of every card."""
        return self.cards().get_by_role("heading").all_inner_texts()

    def sees(self, word: str, card: int = 0) -> Locator:
        """Wait until a photo is answered with this word; its card."""
        found = self.cards().nth(card)
        expect(found.get_by_role("heading")).to_have_text(word)
        return found

    def sees_answer(self) -> Locator:
        """Wait until the newest photo is answered, whatever the answer; its card."""
        newest = self.cards().first
        expect(newest).to_contain_text("Said by")
        return newest

    def hears(self, text: str) -> None:
        """Wait until a screen reader is told so."""
        expect(self.page.get_by_role("status")).to_contain_text(text)

    def earlier(self) -> Locator:
        """The list of earlier answers."""
        return self.page.locator("#history").get_by_role("listitem")

    def asked(self) -> list[Request]:
        """What went to /predict."""
        return [request for request in self.requests if PREDICT.search(request.url)]

    # What the service says instead

    def answer(self, *answers: Any) -> None:
        """Let the service say this, one after the other: an answer, or a status with headers.

        The last one stands for all that follow; None lets the real one speak.
        """
        left = list(answers)

        def say(route: Route) -> None:
            said = left.pop(0) if len(left) > 1 else left[0]
            if said is None:
                route.continue_()
            elif isinstance(said, tuple):
                status, headers, body = said
                route.fulfill(status=status, headers=headers, body=body)
            else:
                route.fulfill(status=200, content_type="application/json", body=json.dumps(said))

        self.page.route(PREDICT, say)

    # What they must not see

    def _requested(self, request: Request) -> None:
        self.requests.append(request)
        parts = urlsplit(request.url)
        if parts.scheme not in ("data", "blob") and parts.netloc != self.origin:
            self.troubles.append(f"asked for {request.url}")

    def _logged(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not message.text.startswith(_ALWAYS_TOLD):
            self.troubles.append(f"console: {message.text}")

    def _interrupted(self, dialog: Dialog) -> None:
        self.troubles.append(f"dialog: {dialog.message}")
        dialog.dismiss()


def _opened(file: File) -> tuple[str, str, bytes]:
    if not isinstance(file, Path):
        return file
    return file.name, mimetypes.guess_type(file.name)[0] or "", file.read_bytes()


def said(
    scores: Sequence[tuple[str, float]], reason: str | None = None, model: str = "everyday"
) -> dict[str, Any]:
    """An answer of the service's: `scores` best first, the first of them decided, or unknown."""
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
