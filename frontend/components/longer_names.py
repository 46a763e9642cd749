"""Did you mean: buttons for tags of which somebody typed the beginning, or one word's.

Enter in a select box takes the text as it was typed, also where a tag's name goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import streamlit as st

from frontend.ui.suggestions import has_word
from frontend.ui.text import escape_markdown
from tagger.text import fold

MAX_NAMES = 4


def find(typed: str, names: Iterable[str]) -> list[str]:
    """The `names` that go on from what was typed, those that begin with it first.

    None if it is a name itself.
    """
    start = fold(" ".join(typed.split()))
    longer = [name for name in names if start and has_word(fold(name), start)]
    if start in map(fold, longer):
        return []
    return sorted(longer, key=lambda name: not fold(name).startswith(start))[:MAX_NAMES]


def offer(page: str, typed: str, names: Iterable[str], choose: Callable[[str], None]) -> None:
    """Buttons for the `names` that may have been meant; `choose` is a callback with a name."""
    longer = find(typed, names)
    if not longer:
        return
    with st.container(
        horizontal=True, vertical_alignment="center", gap="small", key=f"{page}-meant"
    ):
        text = escape_markdown(f"“{typed}” is a new tag. Did you mean")
        st.markdown(text, width="content")
        for name in longer:
            label, key = escape_markdown(name), f"{page}-meant-{name}"
            st.button(label, key=key, on_click=choose, args=(name,))
