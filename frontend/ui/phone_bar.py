"""The bar of pages at the foot of a phone's window, where the sidebar has no room."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st

from frontend.ui.pages import SEARCH
from frontend.ui.text import escape_markdown

PHONE_PAGES = {  # titles in the bar, by the page's path
    "gallery": "Gallery",
    "search": "Search",
    "import_photos": "Add",
    "review": "Review",
}
MAX_SEARCHES = 20
KEY = "phone-bar"  # style.css shows it on narrow windows alone


def show_phone_bar(
    pages: Mapping[str, Sequence[st.Page]], current: st.Page, searches: Mapping[str, str]
) -> None:
    """Links to the pages that a phone is used for, and a menu with the others.

    The item with the current page is marked. `searches` are the saved queries by name, which have
    no room elsewhere.
    """
    every = [page for section in pages.values() for page in section]
    by_path = {page.url_path: page for page in every}
    in_menu = current.url_path not in PHONE_PAGES
    with st.container(key=KEY, horizontal=True, gap=None):
        for path, title in PHONE_PAGES.items():
            st.page_link(by_path[path], label=title, icon=by_path[path].icon)
        menu_key = f"{KEY}-{'current' if in_menu else 'more'}"
        with st.popover("More", icon=":material/more_horiz:", key=menu_key):
            for page in every:
                if page.url_path not in PHONE_PAGES:
                    st.page_link(page, label=page.title, icon=page.icon)
            if searches:
                _show_searches(searches)


def _show_searches(searches: Mapping[str, str]) -> None:
    with st.container(gap="xsmall", key=f"{KEY}-searches"):
        st.caption("Saved searches")
        for name, query in list(searches.items())[:MAX_SEARCHES]:
            label, icon = escape_markdown(name), ":material/bookmark:"
            st.page_link(SEARCH, label=label, icon=icon, query_params={"q": query})
