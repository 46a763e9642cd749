"""Text for the pages: Markdown escaping, times, durations and sizes."""

from __future__ import annotations

import re
from datetime import datetime

from tagger.text import escape_controls

# Backslashes are gone by the time Streamlit looks for :emoji:, :material/icon:, a@b.c, www.x.y
# and ->. An invisible word joiner (U+2060) breaks these patterns.
_JOINER = "\u2060"
_PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")
_STREAMLIT_SYNTAX = re.compile(r"([:@]|www(?=\.)|[-<>~](?=[->=]))", re.IGNORECASE)


def escape_markdown(text: str) -> str:
    """Text that Streamlit's Markdown shows as it is: no formatting, link, icon, formula or HTML.

    For everything that takes Markdown: markdown, captions, alerts, labels of widgets. Not for what
    takes plain text: `st.text`, options of a select box, cells of a table.
    """
    line = " ".join(escape_controls(text).split())
    return _PUNCTUATION.sub(r"\\\1", _STREAMLIT_SYNTAX.sub(rf"\1{_JOINER}", line))


def format_time(time: datetime) -> str:
    """A time as "3 May 2024, 16:05"."""
    return f"{time:%-d %B %Y, %H:%M}"


def format_size(size: int) -> str:
    """A size in bytes as kB, MB or GB."""
    if size >= 1e9:
        return f"{size / 1e9:.1f} GB"
    return f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{size / 1e3:,.0f} kB"


def time_left(seconds: float) -> str:
    """A rough remaining time: "about 2 minutes left"."""
    if seconds < 10:
        return "a few seconds left"
    if seconds < 90:
        return f"about {round(seconds, -1):.0f} seconds left"
    if seconds < 90 * 60:
        return f"about {seconds / 60:.0f} minutes left"
    return f"about {seconds / 3600:.0f} hours left"


def rough_duration(seconds: float) -> str:
    """A rough duration: "about 2 minutes"."""
    if seconds < 57.5:
        return f"about {max(5, 5 * round(seconds / 5))} seconds"
    if seconds < 75:
        return "about a minute"
    if seconds < 90 * 60:
        return f"about {max(2, round(seconds / 60))} minutes"
    return f"about {seconds / 3600:.1f} hours"
