"""The HTML page in which Streamlit starts, with the address of its server.

Streamlit's own page looks for its server below the page's path first: two answers "not found" each
time that a page is loaded.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import streamlit
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route
from streamlit import config

VIEWS = Path(__file__).resolve().parent / "views"
_HEAD = "<head>"
_SCRIPT = """<script>
  window.__streamlit = {{
    BACKEND_BASE_URL: location.origin + location.pathname.replace(new RegExp({pattern}), "/"),
  }};
</script>"""


def page_routes() -> list[Route]:
    """A route for each page of the app, which go before Streamlit's."""
    base = str(config.get_option("server.baseUrlPath")).strip("/")
    start = f"/{base}/" if base else "/"
    return [Route(f"{start}{name}", send_page) for name in ("", *_page_names())]


def send_page(request: Request) -> Response:
    """Streamlit's page, which draws the app."""
    return HTMLResponse(_read_page(), headers={"Cache-Control": "no-cache"})


@cache
def _read_page() -> str:
    page = Path(streamlit.__file__).with_name("static") / "index.html"
    html = page.read_text(encoding="utf-8")
    pattern = json.dumps(f"/({'|'.join(_page_names())})?/?$")
    return html.replace(_HEAD, _HEAD + _SCRIPT.format(pattern=pattern), 1)


@cache
def _page_names() -> tuple[str, ...]:
    """The paths of the pages: the names of their modules."""
    return tuple(sorted(path.stem for path in VIEWS.glob("[!_]*.py")))
