"""The last edit on a page that shows one tag at a time: it goes when another tag is opened."""

from __future__ import annotations

import streamlit as st

from frontend.components import undo_line


def show(page: str, tag: str, with_offer: bool = True) -> None:
    """Show what was done last to the tag that the address names, or on the list of all ("")."""
    if st.session_state.get(_key(page), tag) != tag:
        undo_line.forget()
    follow(page, tag)
    undo_line.show(page, with_offer)


def follow(page: str, tag: str) -> None:
    """Keep the last edit although the address changes to another tag: the edit's new name."""
    st.session_state[_key(page)] = tag


def _key(page: str) -> str:
    return f"{page}-edited-tag"
