"""The bar of pages at the foot of a phone's window, where the sidebar has no room."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st

PHONE_PAGES = {  # titles in the bar, by the page's path
    "gallery": "Photos",
    "search": "Search",
    "import_photos": "Add",
    "review": "Review",
}
KEY = "phone-bar"  # style.css shows it on narrow windows alone


def show_phone_bar(pages: Mapping[str, Sequence[st.Page]]) -> None:
    """Links to the pages that a phone is used for, and a menu with the others."""
    every = [page for section in pages.values() for page in section]
    by_path = {page.url_path: page for page in every}
    with st.container(key=KEY, horizontal=True, gap=None):
        for path, title in PHONE_PAGES.items():
            st.page_link(by_path[path], label=title, icon=by_path[path].icon)
        with st.popover("More", icon=":material/more_horiz:", key=f"{KEY}-more"):
            for page in every:
                if page.url_path not in PHONE_PAGES:
                    st.page_link(page, label=page.title, icon=page.icon)
