"""The pages in the sidebar, by section. Streamlit's own list is no valid list of links."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st

KEY = "navigation"


def show_navigation(pages: Mapping[str, Sequence[st.Page]]) -> None:
    """Links to all pages in the sidebar."""
    with st.sidebar, st.container(key=KEY):
        for section, listed in pages.items():
            with st.container(gap=None):
                st.caption(section)
                for page in listed:
                    st.page_link(page, label=page.title, icon=page.icon)
