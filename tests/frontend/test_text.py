"""Text for the pages: Markdown escaping, durations, sizes."""

from __future__ import annotations

import pytest

from frontend.ui.text import escape_markdown, format_size, rough_duration, time_left
from tests.frontend.pages import HOSTILE_NAMES


@pytest.mark.parametrize(
    "text", [*HOSTILE_NAMES, "", "    code", "1. one", "a -> b >= c", "\\", "&lt;"]
)
def test_escaped_markdown_reads_the_same_and_formats_nothing(text: str) -> None:
    escaped = escape_markdown(text)
    without_joiners = escaped.replace("\u2060", "")
    for character in "\\`*_{}[]()<>#+-.!|$~&:\"'^=@":
        assert without_joiners.count(character) >= without_joiners.count("\\" + character)
    assert "\n" not in escaped
    if text.isprintable() and "\\" not in text:
        assert without_joiners.replace("\\", "") == " ".join(text.split())


@pytest.mark.parametrize(
    "syntax", [":red[", ":material/", ":smile:", "www.", "a@b", "->", "--", ">=", "~=", "://"]
)
def test_escaped_markdown_holds_no_streamlit_syntax(syntax: str) -> None:
    assert syntax not in escape_markdown(f"x {syntax} x").replace("\\", "")


def test_the_remaining_time_is_rounded_to_plain_words() -> None:
    assert [time_left(seconds) for seconds in (3, 42, 125, 7200)] == [
        "a few seconds left",
        "about 40 seconds left",
        "about 2 minutes left",
        "about 2 hours left",
    ]


def test_durations_are_rounded_to_plain_words() -> None:
    assert [rough_duration(seconds) for seconds in (21, 48, 60, 700, 7_200)] == [
        "about 20 seconds",
        "about 50 seconds",
        "about a minute",
        "about 12 minutes",
        "about 2.0 hours",
    ]


def test_sizes_have_a_unit() -> None:
    assert [format_size(size) for size in (1_234, 5_600_000, 1_500_000_000)] == [
        "1 kB",
        "5.6 MB",
        "1.5 GB",
    ]
