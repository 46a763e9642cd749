"""HTML blocks of names and numbers: tiles, lists, a matrix. Every text is escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

import streamlit as st

from tagger.text import escape_controls

CSS = Path(__file__).with_name("html_blocks.css")


def escape_text(text: str | None) -> str:
    """Plain text as HTML; a dash for None."""
    return "–" if text is None else escape(escape_controls(text))


def show_tiles(numbers: Iterable[tuple[str, str]]) -> None:
    """Large numbers, each with a phrase below that explains it."""
    st.html(
        '<div class="it-tiles">'
        + "".join(
            f"<p><b>{escape_text(value)}</b> {escape_text(words)}</p>" for value, words in numbers
        )
        + "</div>"
    )


def show_list(lines: Iterable[str]) -> None:
    """A bulleted list."""
    items = "".join(f"<li>{escape_text(line)}</li>" for line in lines)
    st.html(f'<ul class="it-list">{items}</ul>')


def show_confusion_matrix(names: Sequence[str], counts: dict[str, dict[str, float]]) -> None:
    """Photos by true label (rows) and predicted label (columns)."""
    head = "".join(f'<th scope="col" dir="auto">{escape_text(name)}</th>' for name in names)
    body = ""
    for name in names:
        row = counts[name]
        total = max(1.0, sum(row.values()))
        body += f'<tr><th scope="row" dir="auto">{escape_text(name)}</th>'
        for other in names:
            count = row.get(other, 0)
            kind = "it-right" if other == name else "it-wrong"
            # The square root makes a few mistakes visible beside many hits.
            shade = round(100 * (count / total) ** 0.5)
            body += f'<td class="{kind}" style="--it-shade:{shade}%">{count:,.0f}</td>'
        body += "</tr>"
    st.html(
        '<div class="it-scroll"><table class="it-table it-numbers it-matrix"'
        ' aria-label="Photos by actual and predicted label">'
        f'<thead><tr><th scope="col">actual ↓ &nbsp;predicted →</th>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )
