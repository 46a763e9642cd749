"""The pages in the sidebar, by section, and the way to the Search page from a callback.

Streamlit's own list is no valid list of links.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st

from frontend.ui.pages import SEARCH
from frontend.ui.uninterrupted import finish_first

KEY = "navigation"
QUERY_KEY = "opened-query"  # session state: of a link to a search that was clicked


def show_navigation(pages: Mapping[str, Sequence[st.Page]]) -> None:
    """Links to all pages in the sidebar."""
    with st.sidebar, st.container(key=KEY):
        for section, listed in pages.items():
            with st.container(gap=None):
                st.caption(section)
                for page in listed:
                    st.page_link(page, label=page.title, icon=page.icon)


def open_search(query: str) -> None:
    """Open the Search page with a query: for callbacks, before the pages are made."""
    st.session_state[QUERY_KEY] = query


def follow_search() -> None:
    """Go where `open_search` leads."""
    query = st.session_state.get(QUERY_KEY)
    if query is not None:
        with finish_first():
            del st.session_state[QUERY_KEY]
            st.switch_page(SEARCH, query_params={"q": query} if query else {})
