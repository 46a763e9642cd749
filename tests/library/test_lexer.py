"""Lexer of queries: words, spaces, keywords and quoted text."""

from __future__ import annotations

import pytest

from tagger.errors import QueryError
from tagger.library.search.lexer import MARK, MAX_LENGTH, VALUE, WORD, Lexer


def test_spaces_between_tokens_are_skipped() -> None:
    text = Lexer("  sea   score >= 0.8 )")
    assert (text.take(WORD), text.next) == ("sea", "s")
    assert (text.take(WORD), text.take(MARK), text.take(VALUE)) == ("score", ">=", "0.8")
    assert (text.next, text.take(WORD)) == (")", "")
    text.move_to(text.position + 1)
    assert text.next == ""


@pytest.mark.parametrize(
    ("text", "keyword"),
    [
        ("and b", "AND"),
        ("OR(b)", "OR"),
        ("not", "NOT"),
        ("-b", "-"),
        ("android", ""),
        ('or"', "OR"),
    ],
)
def test_a_keyword_is_a_whole_word(text: str, keyword: str) -> None:
    assert Lexer(text).keyword == keyword


@pytest.mark.parametrize(
    ("text", "quoted", "rest"),
    [
        ('"a b" c', "a b", "c"),
        ("“a b”c", "a b", "c"),
        ('"5"" nail"', '5" nail', ""),
        ("plain", "", "p"),
    ],
)
def test_quoted_text_is_without_its_quotation_marks(text: str, quoted: str, rest: str) -> None:
    lexer = Lexer(text)
    assert (lexer.take_quoted(), lexer.next) == (quoted, rest)


@pytest.mark.parametrize(
    ("text", "position"), [("a" * (MAX_LENGTH + 1), MAX_LENGTH), ("dog \x07", 4), ('"\udc80', 1)]
)
def test_an_error_points_at_an_invalid_character(text: str, position: int) -> None:
    with pytest.raises(QueryError) as caught:
        Lexer(text)
    assert caught.value.position == position


def test_invisible_characters_are_ignored() -> None:
    assert Lexer("d\u200bo\u2060g").take(WORD) == "dog"
