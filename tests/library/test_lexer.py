"""A search's text read piece by piece: spaces passed over, quotations taken out of their marks."""

from __future__ import annotations

import pytest

from tagger.errors import QueryError
from tagger.library.search.lexer import MARK, MAX_LENGTH, VALUE, WORD, Lexer


def test_pieces_come_one_after_the_other_and_no_space_is_ever_next() -> None:
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
def test_a_keyword_is_a_word_of_its_own(text: str, keyword: str) -> None:
    assert Lexer(text).keyword == keyword


@pytest.mark.parametrize(
    ("text", "inside", "after"),
    [
        ('"a b" c', "a b", "c"),
        ("“a b”c", "a b", "c"),
        ('"5"" nail"', '5" nail', ""),
        ("plain", "", "p"),
    ],
)
def test_a_quotation_is_what_stands_between_the_marks(text: str, inside: str, after: str) -> None:
    read = Lexer(text)
    assert (read.take_quoted(), read.next) == (inside, after)


@pytest.mark.parametrize(
    ("text", "place"), [("a" * (MAX_LENGTH + 1), MAX_LENGTH), ("dog \x07", 4), ('"\udc80', 1)]
)
def test_what_cannot_be_searched_for_is_pointed_at(text: str, place: int) -> None:
    with pytest.raises(QueryError) as caught:
        Lexer(text)
    assert caught.value.position == place


def test_what_nobody_can_see_is_as_if_it_were_not_there() -> None:
    assert Lexer("d\u200bo\u2060g").take(WORD) == "dog"
