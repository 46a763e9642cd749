"""Cells that no spreadsheet runs, and that are read back as they were meant."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagger.text import escape_formula, unescape_formula


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
