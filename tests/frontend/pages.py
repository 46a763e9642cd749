"""Helpers for the tests of the app's pages, which run in Streamlit's AppTest."""

from __future__ import annotations

import html
import json
import re
import time
from collections.abc import Sequence
from typing import Any

from streamlit.proto.WidgetStates_pb2 import WidgetState
from streamlit.testing.v1 import AppTest

from frontend.ui.library import open_library
from frontend.ui.photo_lists import photo_lists, read_sort
from tagger.library.library import Library
from tagger.paths import ROOT

APP = ROOT / "frontend" / "main.py"
JOB_TIMEOUT = 240  # seconds
HOSTILE = (
    "<script>alert(1)</script>",
    "../../x",
    "=cmd()",
    "'; DROP TABLE photos;--",
    ":red[x]",
    "**bold** [a](http://b.example) $x$ :material/face:",
)
HOSTILE_NAMES = (
    *HOSTILE[:4],
    ":red[x] :material/face: :smile: $x^2$ [a](http://b.example)",
    "www.b.example a@b.example\n# x",
)


def open_page(view: str | None = None, /, **params: str) -> AppTest:
    """A page in a new session, the first page by default, with query parameters."""
    app = AppTest.from_file(str(APP), default_timeout=60).run()
    if view is not None:
        app.switch_page(f"views/{view}.py")
        app.query_params.update(params)
        app.run()
    assert not app.exception
    return app


def raw_text(app: AppTest) -> str:
    """All texts of a page as Markdown and HTML, except labels of widgets."""
    kinds = ("title", "header", "subheader", "markdown", "caption", "text", "code")
    kinds += ("error", "warning", "info")
    texts = [element.value for kind in kinds for element in app.get(kind)]
    texts += [element.proto.text for element in app.get("progress")]
    return "\n".join([*texts, *html_blocks(app)])


def page_text(app: AppTest) -> str:
    """All texts of a page as a user reads them, if none of them is formatted."""
    return unescape(raw_text(app))


def unescape(text: str) -> str:
    """Escaped Markdown as plain text."""
    return text.replace("\\", "").replace("\u2060", "")


def html_blocks(app: AppTest) -> list[str]:
    return [element.proto.body for element in app.main.get("html")]


def notices(app: AppTest) -> list[str]:
    """What was done, as the page says it."""
    pattern = r'role="status">.*?<span dir="auto">(.*?)</span>'
    return [html.unescape(text) for text in re.findall(pattern, "".join(html_blocks(app)))]


def press(app: AppTest, key: str) -> AppTest:
    """Click the button with this key."""
    app.get_by_key(key).click().run()  # type: ignore[union-attr]
    assert not app.exception
    return app


def button_keys(app: AppTest) -> list[str]:
    return [button.key for button in app.button if button.key]


def button_labels(app: AppTest) -> list[str]:
    return [button.label for button in app.main.button]


def type_option(app: AppTest, key: str, text: str) -> None:
    """Type a new option into a select box."""
    box = app.selectbox(key=key)
    box.options.append(text)
    box.set_value(text)


def upload(app: AppTest, *files: tuple[str, bytes]) -> AppTest:
    """Drop files into the page's uploader."""
    return app.file_uploader[0].set_value([(name, data, "image/png") for name, data in files]).run()


def grid_data(app: AppTest, key: str) -> dict[str, Any]:
    """The data that a photo grid sends to the browser."""
    data: dict[str, Any] = json.loads(_component(app, key).proto.json)
    return data


def grid_photos(app: AppTest, key: str) -> list[dict[str, Any]]:
    photos: list[dict[str, Any]] = grid_data(app, key)["photos"]
    return photos


def gallery_ids(app: AppTest, key: str = "gallery-gallery") -> Sequence[int]:
    """The ids of all photos of a page's gallery, in its order."""
    data = grid_data(app, key)
    query, sort, version = (str(data[name]) for name in ("query", "sort", "version"))
    listed = photo_lists.load(open_library(), query, read_sort(sort), version)
    assert (listed.version, len(listed.photos.ids)) == (version, data["total"])
    return listed.photos.ids


def act(
    app: AppTest, kind: str, ids: Sequence[int] = (), page: str = "gallery", **values: Any
) -> AppTest:
    """Ask for an action in a page's gallery, as the browser does; the page after it."""
    key = f"{page}-gallery"
    done = grid_data(app, key)["done"] or {"token": "here", "number": 0}
    action = {"kind": kind, "ids": list(ids), "number": done["number"] + 1, **values}
    return report_trigger(app, key, "actions", {"token": done["token"], "actions": [action]})


def message(app: AppTest, page: str = "gallery") -> str:
    """What a page's gallery says was done last."""
    content = grid_data(app, f"{page}-gallery")["message"]
    return "" if content is None else str(content["text"])


def report_trigger(app: AppTest, key: str, event: str, value: object) -> AppTest:
    """The page after a component reported an event."""
    states = app._tree.get_widget_states()
    proto_id = _component(app, key).proto.id
    trigger = WidgetState(id=f"$$STREAMLIT_INTERNAL_KEY_{proto_id}__events")
    trigger.json_trigger_value = json.dumps([{"event": event, "value": value}])
    states.widgets.append(trigger)
    app._run(states)
    assert not app.exception
    return app


def use_picker(
    app: AppTest, opened: object, selected: object, key: str = "import-picker"
) -> AppTest:
    """The page after the browser reported a state of a tree of folders, which may be invalid."""
    states = app._tree.get_widget_states()
    state = WidgetState(id=_component(app, key).proto.id)
    state.json_value = json.dumps({"opened": opened, "selected": selected})
    states.widgets.append(state)
    app._run(states)
    assert not app.exception
    return app


def _component(app: AppTest, key: str) -> Any:
    (component,) = (c for c in app.get("bidi_component") if c.key == key)
    return component


def search_box_data(app: AppTest, key: str = "search-box") -> dict[str, Any]:
    """The data that a search box sends to the browser."""
    return grid_data(app, key)


def search_for(app: AppTest, query: object, key: str = "search-box") -> AppTest:
    """Submit a query in a search box, as the browser reports it."""
    return report_trigger(app, key, "submitted", query)


def wait_for_jobs(library: Library, seconds: float = JOB_TIMEOUT) -> None:
    """Wait until all jobs have ended."""
    deadline = time.monotonic() + seconds
    while library.operations(active=True):
        assert time.monotonic() < deadline, "the job does not end"
        time.sleep(0.1)


def tag_labels(library: Library, photo_id: int) -> list[str]:
    return [tag.label for tag in library.photo(photo_id).tags]
