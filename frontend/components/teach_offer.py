"""The offer to look at more photos that look like those that were just given a tag."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from frontend.ui.library import open_library
from frontend.ui.pages import TEACH
from frontend.ui.text import escape_markdown

MAX_OFFERS = 3  # tags of one operation
_CACHE_KEY = "teach-offers"  # session state: the offers of the last operation


@dataclass(frozen=True)
class Offer:
    """A tag of a person's, and how many more photos look like it."""

    tag: str
    total: int

    @property
    def text(self) -> str:
        verb = "looks" if self.total == 1 else "look"
        return f"{self.total:,} more {verb} like {self.tag}"


def find(operation_id: int) -> list[Offer]:
    """The offers for the tags that an operation added, kept until the next operation."""
    cached: tuple[int, list[Offer]] | None = st.session_state.get(_CACHE_KEY)
    if cached is None or cached[0] != operation_id:
        offers = open_library().teaching.find_offers(operation_id)
        cached = operation_id, [Offer(tag, total) for tag, total in offers[:MAX_OFFERS]]
        st.session_state[_CACHE_KEY] = cached
    return cached[1]


def show(offer: Offer) -> None:
    """A link to the photos that look like the tag."""
    st.page_link(
        TEACH,
        label=escape_markdown(offer.text),
        icon=":material/model_training:",
        query_params={"tag": offer.tag},
    )
