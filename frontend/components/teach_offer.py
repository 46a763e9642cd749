"""The offer to look at more photos that look like those that were just given a tag."""

from __future__ import annotations

import streamlit as st

from frontend.ui.library import open_library
from frontend.ui.pages import TEACH
from frontend.ui.text import escape_markdown

MAX_OFFERS = 3  # tags of one operation
_CACHE_KEY = "teach-offers"  # session state: the offers of the last operation


def show(operation_id: int) -> None:
    """A link for each tag of a person's that an operation added, if more photos look like it."""
    cached = st.session_state.get(_CACHE_KEY)
    if cached is None or cached[0] != operation_id:
        offers = open_library().teaching.find_offers(operation_id)
        cached = st.session_state[_CACHE_KEY] = operation_id, offers
    for tag, total in cached[1][:MAX_OFFERS]:
        verb = "looks" if total == 1 else "look"
        st.page_link(
            TEACH,
            label=escape_markdown(f"{total:,} more {verb} like {tag}"),
            icon=":material/model_training:",
            query_params={"tag": tag},
        )
