"""Text for people: percentages, cells that no spreadsheet runs as a formula; folded text."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagger.text import (
    count_edits,
    escape_formula,
    fold,
    percent,
    unescape_formula,
    whole_percent,
)


@pytest.mark.parametrize("text", ["=cmd()", "+1", "-1", "@x", "\t=1", "\r=1", "\n=1", "＝1"])
def test_what_a_spreadsheet_would_run_is_text(text: str) -> None:
    assert escape_formula(text) == f"'{text}"
    assert unescape_formula(f"'{text}") == text


@pytest.mark.parametrize("cell", ["cat", "", "'til dawn", "a=b", "5", 5, 1.5, None])
def test_everything_else_stays_as_it_is(cell: object) -> None:
    assert escape_formula(cell) == cell
    if isinstance(cell, str):
        assert unescape_formula(cell) == cell


@given(st.text("'=+-@\t\r\n＝＋－＠a", max_size=6) | st.text())
def test_every_text_comes_back_as_it_was(text: str) -> None:
    cell = escape_formula(text)
    assert isinstance(cell, str) and unescape_formula(cell) == text
    assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"))


def test_a_quote_before_a_formula_is_part_of_the_text() -> None:
    assert escape_formula("'=x") == "''=x"
    assert unescape_formula("''=x") == "'=x"


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.0, "0.0%"),
        (0.0012, "0.12%"),
        (0.5, "50.0%"),
        (0.9876, "98.8%"),
        (0.9951, "99.51%"),
        (1.0, "100.0%"),
        (None, "–"),
        (math.nan, "–"),
    ],
)
def test_percentages_are_finer_near_the_ends(share: float | None, text: str) -> None:
    assert percent(share) == text


def test_whole_percentages_are_never_rounded_to_certainty() -> None:
    shares = (1.0, 0.994, 0.99, 0.8749, 0.01, 0.004, 0.0)
    texts = ["99%", "99%", "99%", "87%", "1%", "<1%", "0%"]
    assert [whole_percent(share) for share in shares] == texts


def test_folding_ignores_case_and_unicode_form() -> None:
    assert fold("STRASSE") == fold("Straße")
    assert fold("CAF\u00c9") == fold("cafe\u0301")
    assert fold("cafe") != fold("café")


@pytest.mark.parametrize(
    ("first", "second", "edits"),
    [
        ("", "", 0),
        ("dog", "dog", 0),
        ("dgo", "dog", 1),  # two letters swapped
        ("doge", "dog", 1),
        ("dg", "dog", 1),
        ("dig", "dog", 1),
        ("", "dog", 3),
        ("playing", "plant", 3),
        ("kitten", "sitting", 3),
        ("ca", "abc", 3),  # a swapped pair is not edited again
    ],
)
def test_edits_are_counted(first: str, second: str, edits: int) -> None:
    assert count_edits(first, second) == count_edits(second, first) == edits
