"""The photo gallery in a browser without Streamlit: a page, and a server of made-up photos."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

from playwright.sync_api import Locator, Page, Route

from frontend.components import photo_gallery
from tagger.images import decode
from tests.conftest import draw

URL = "http://gallery.test/gallery"
MONTHS = 8  # of the made-up photos
_MOUNT = """async ([html, css, code]) => {
  const root = document.querySelector("main").attachShadow({ mode: "open" });
  root.innerHTML = `<div>${html}<style>${css}</style></div>`;
  const url = URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
  const module = await import(url);
  window.events = [];
  const report = (name, value) => window.events.push([name, structuredClone(value)]);
  window.show = (data) =>
    module.default({ parentElement: root, data, setStateValue: report, setTriggerValue: report });
}"""
_BODY = """<!doctype html><html lang="en"><title>Gallery</title>
<body style="margin: 0; height: 100vh; overflow: hidden">
<div id="scroller" style="height: 100vh; overflow-y: auto; --st-primary-color: #a8401c;
  --st-background-color: #fbf9f5; --st-secondary-background-color: #f0ece4;
  --st-text-color: #1a1713; --st-font: sans-serif; --it-faded: #655e55; background: #fbf9f5">
<main style="display: block; padding: 0 16px"></main><p id="below" tabindex="0">below</p>
</div></body></html>"""


def make_tile(photo_id: int, **changes: Any) -> dict[str, Any]:
    defaults: dict[str, Any] = {
        "tag": "dog",
        "score": "",
        "tagged": True,
        "more": 0,
        "confirmed": False,
        "missing": False,
        "favourite": False,
        "caption": "",
        "width": 120,
        "height": 90,
    }
    name, digest = f"{photo_id}.jpg", f"{photo_id:064x}"
    return {"id": photo_id, "name": name, "digest": digest, **defaults, **changes}


def make_details(photo_id: int, **changes: Any) -> dict[str, Any]:
    chips = [
        {
            "label": label,
            "score": score,
            "origin": f"from {label}",
            "confirmed": confirmed,
            "explains": bool(score),
        }
        for label, score, confirmed in (("dog", "87%", False), ("sea", "", True))
    ]
    weaker = [
        {"label": "cat", "score": "9%", "origin": "Suggested", "confirmed": False, "explains": True}
    ]
    defaults = {
        "width": 120,
        "height": 90,
        "path": f"/photos/{photo_id}.jpg",
        "facts": ["Added now"],
        "missing": False,
        "tags": chips,
        "weaker": weaker,
        "removed": [],
        "unknown": "",
        "model": "Pets",
        "rating": 0,
        "caption": "",
    }
    return {**make_tile(photo_id), **defaults, **changes}


class GalleryPage:
    """A gallery with `total` photos, the ids 1 to `total` in order, as Streamlit mounts it."""

    def __init__(self, page: Page, total: int = 0, path: str = "", **data: Any) -> None:
        self.page = page
        self.problems: list[str] = []
        self.requests: list[str] = []
        self.ids = list(range(1, total + 1))
        self.tiles: dict[int, dict[str, Any]] = {}
        self.details: dict[int, dict[str, Any]] = {}
        self.version = 1
        self.done: dict[str, Any] | None = None
        self.message: dict[str, Any] | None = None
        self.options = data
        page.on("dialog", lambda dialog: (self.problems.append(dialog.message), dialog.dismiss()))
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.route("http://gallery.test/**", self._answer)
        page.goto(URL + path)
        page.evaluate("sessionStorage.clear()")  # the place in the gallery of another test
        read = photo_gallery.read_assets
        html = (photo_gallery.HERE / "gallery.html").read_text(encoding="utf-8")
        css = read(photo_gallery.STYLES, "css")
        page.evaluate(_MOUNT, [html, css, read(photo_gallery.SCRIPTS, "js")])
        self.show()

    # What Python does

    def show(self, **changes: Any) -> None:
        """Draw the gallery with new data."""
        self.options |= changes
        data = {
            "key": "g",
            "base": "/library",
            "sides": [800, 1600],
            "query": "",
            "sort": "timeline",
            "version": str(self.version),
            "total": len(self.ids),
            "months": self.months(),
            "labels": False,
            "empty": "No photos match.",
            "selectable": True,
            "actions": True,
            "models": [["pets", "Pets"], ["other", "Other"]],
            "model": "pets",
            "done": self.done,
            "message": self.message,
            **self.options,
        }
        self.page.evaluate("data => window.show(data)", data)

    def carry_out(self, ids: list[int] | None = None, **message: Any) -> None:
        """Say that all actions are done, with a message; `ids` are the photos that are left."""
        content = self.last_actions()
        self.done = {"token": content["token"], "number": content["actions"][-1]["number"]}
        self.version += 1
        self.ids = self.ids if ids is None else ids
        if message:
            buttons = {"operation": 7, "undo": "Undo", "isError": False}
            self.message = {"number": self.version, **buttons, **message}
        self.show()

    def months(self) -> list[list[Any]]:
        size = -(-len(self.ids) // MONTHS)
        counts = [len(self.ids[at : at + size]) for at in range(0, len(self.ids), size or 1)]
        return [[f"{2024 - n // 4}-{12 - n % 4:02}", count] for n, count in enumerate(counts)]

    # What the browser reports and shows

    def events(self, name: str) -> list[Any]:
        events: list[list[Any]] = self.page.evaluate("window.events")
        return [value for kind, value in events if kind == name]

    def last_actions(self) -> dict[str, Any]:
        self.page.wait_for_function("window.events.some(([name]) => name === 'actions')")
        content: dict[str, Any] = self.events("actions")[-1]
        return content

    def last_action(self) -> dict[str, Any]:
        """The last action that the browser asked for, without its number."""
        action: dict[str, Any] = self.last_actions()["actions"][-1]
        return {name: value for name, value in action.items() if name != "number"}

    def photo(self, photo_id: int) -> Locator:
        return self.page.locator(f"li[data-id='{photo_id}'] > button")

    def box(self, photo_id: int) -> Locator:
        return self.page.locator(f"li[data-id='{photo_id}'] > input")

    @property
    def lightbox(self) -> Locator:
        return self.page.locator("dialog.lightbox")

    def open_photo(self) -> int | None:
        """The id of the photo in the lightbox, once it is drawn; None if it is closed."""
        if not self.lightbox.is_visible():
            return None
        self.page.locator("dialog[data-ready]:not([data-ready=''])").wait_for()
        return int(self.lightbox.get_attribute("data-photo") or 0)

    def wait_for_photo(self, photo_id: int) -> None:
        self.page.locator(f"dialog[data-ready='{photo_id}']").wait_for()

    def focused(self) -> int | None:
        """The id of the photo whose tile has the focus."""
        script = (
            "document.querySelector('main').shadowRoot.activeElement?.closest('li')?.dataset.id"
        )
        photo_id = self.page.evaluate(script)
        return None if photo_id is None else int(photo_id)

    # The app's routes

    def _answer(self, route: Route) -> None:
        parts = urlsplit(route.request.url)
        self.requests.append(f"{parts.path}?{parts.query}")
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        name = parts.path.removeprefix("/library/")
        if parts.path == "/gallery":
            route.fulfill(body=_BODY, content_type="text/html")
        elif name.endswith(".jpg"):
            route.fulfill(body=JPEG, content_type="image/jpeg")
        else:
            answer = self._describe(name, query)
            status = 404 if "error" in answer else 200
            route.fulfill(body=json.dumps(answer), status=status, content_type="application/json")

    def _describe(self, name: str, query: dict[str, str]) -> dict[str, Any]:
        start = int(query.get("offset", 0))
        ids = self.ids[start : start + int(query.get("limit", 100))]
        version = {"version": str(self.version)}
        if name == "window":
            tiles = [self.tiles.get(i) or make_tile(i) for i in ids]
            return version | {"ids": ids, "photos": tiles}
        if name == "ids":
            return version | {"ids": ids}
        if name == "gallery":
            photo = int(query.get("photo", 0))
            position = self.ids.index(photo) if photo in self.ids else None
            counts = {"total": len(self.ids), "months": self.months()}
            return version | counts | {"position": position}
        if name == "tags":
            tags = ("dog", "dolphin", "donkey", "Dolomites")
            labels = [tag for tag in tags if tag.lower().startswith(query["prefix"].lower())]
            return {"tags": [{"label": label, "count": len(label)} for label in labels]}
        if name == "labels":
            return {"labels": [{"label": "dog", "count": 3}, {"label": "sea", "count": 1}]}
        kind, _, photo_id = name.partition("/")
        if kind == "similar":
            return {"photos": [make_tile(i, caption="90% similar") for i in self.ids[:3]]}
        if kind == "details" and int(photo_id) <= 1_000_000:
            return self.details.get(int(photo_id)) or make_details(int(photo_id))
        return {"error": "no such photo"}


JPEG = decode.encode(draw("square", 1, 120), "JPEG")
