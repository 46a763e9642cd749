"""HTML blocks with names and numbers. Every text is escaped."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

import streamlit as st

from tagger.text import escape_controls


def escape_text(text: str) -> str:
    """Plain text as HTML."""
    return escape(escape_controls(text))


def bars(rows: Iterable[tuple[str, float, str]]) -> None:
    """Names, each with a bar for its share in [0, 1] and the share in words."""
    st.html(
        '<ul class="it-bars" role="list">'
        + "".join(
            f'<li><span class="it-name" dir="auto">{escape_text(name)}</span>'
            f'<span class="it-value">{escape(words)}</span>'
            f'<span class="it-bar"><span style="width:{100 * share:.1f}%"></span></span></li>'
            for name, share, words in rows
        )
        + "</ul>"
    )
