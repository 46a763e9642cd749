"""Search links component: saved and recent searches, for the sidebar.

Recent searches are kept by the browser, where the search box puts them (see search_box.js).
"""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from frontend.components.registration import register
from frontend.components.search_box import storage_name
from frontend.ui.navigation import open_search
from tagger.text import escape_controls

MAX_SAVED = 20
MAX_QUERY = 1_000  # characters, as of a query
KEY = "search-links"

_component = register("search_links")


def show_search_links(saved: Mapping[str, str], current: str | None) -> None:
    """Show the links; a click opens the Search page.

    `saved` are queries by name, `current` is the query of the page.
    """
    rows = [[escape_controls(name), query] for name, query in saved.items()]
    _component(
        key=KEY,
        data={
            "saved": tuple(rows[:MAX_SAVED]),  # for a list, Streamlit loads pandas
            "left_out": len(rows[MAX_SAVED:]),
            "query": current,
            "storage": storage_name(),
        },
        on_opened_change=_follow,
    )


def _follow() -> None:
    opened = st.session_state[KEY].get("opened")
    if isinstance(opened, str) and 0 < len(opened) <= MAX_QUERY:
        open_search(opened)
