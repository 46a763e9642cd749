"""The search grammar: precedence, tags, fields, and errors with their position."""

from __future__ import annotations

from datetime import datetime
from typing import get_args

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tagger.errors import QueryError, TaggerError
from tagger.library.search import grammar
from tagger.library.search.grammar import (
    And,
    Condition,
    Everything,
    Flag,
    Label,
    Like,
    Not,
    Or,
    Query,
    format_query,
    parse,
)
from tagger.library.search.lexer import MAX_LENGTH

A, B, C, D = map(Label, "abcd")


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("", Everything()),
        (" \t\n ", Everything()),
        ("a", A),
        ("a b", And((A, B))),
        ("a AND b", And((A, B))),
        ("a and b", And((A, B))),
        ("a OR b", Or((A, B))),
        ("a b OR c d", Or((And((A, B)), And((C, D))))),
        ("a OR b AND c OR d", Or((A, And((B, C)), D))),
        ("a (b OR c) d", And((A, Or((B, C)), D))),
        ("(a)", A),
        ("((a b))", And((A, B))),
        ("NOT a b", And((Not(A), B))),
        ("NOT a OR b", Or((Not(A), B))),
        ("NOT (a OR b)", Not(Or((A, B)))),
        ("a -b", And((A, Not(B)))),
        ("a - b", And((A, Not(B)))),
        ("-(a b)", Not(And((A, B)))),
        ('-"a"', Not(A)),
        ("a AND NOT b", And((A, Not(B)))),
        ("not not a", Not(Not(A))),
        ("--a", Not(Not(A))),
        ("a(b)c", And((A, B, C))),
        ("NOT(a)OR(b)", Or((Not(A), B))),
    ],
)
def test_precedence(text: str, tree: Query) -> None:
    assert parse(text) == tree


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ('"golden retriever"', Label("golden retriever")),
        ("“golden retriever”", Label("golden retriever")),
        ("„golden retriever“", Label("golden retriever")),
        ('"AND"', Label("AND")),
        ('"unknown"', Label("unknown")),
        ("tag:unknown", Label("unknown")),
        ('tag:"unknown"', Label("unknown")),
        ("TAG : or", Label("or")),
        ("tag=dog", Label("dog")),
        ("tag==dog", Label("dog", exact=True)),
        ('tag == "hot dog"', Label("hot dog", exact=True)),
        ("tag==gold*", Label("gold*", exact=True)),
        ("tag:-x", Label("-x")),
        ("gold*", Label("gold*", wildcard=True)),
        ("tag:*hund*", Label("*hund*", wildcard=True)),
        ('"gold*"', Label("gold*")),
        ('tag:"gold*"', Label("gold*")),
        ('"16:9"', Label("16:9")),
        ('"5"" nail"', Label('5" nail')),
        ('"C:\\new"', Label("C:\\new")),
        ("t-shirt", Label("t-shirt")),
        ("dog's", Label("dog's")),
        ("android", Label("android")),
        ("Straße", Label("Straße")),
        ("猫", Label("猫")),
        ("🐕‍🦺", Label("🐕‍🦺")),
        ("%", Label("%")),
        ("';DROP", Label("';DROP")),
    ],
)
def test_words_and_quoted_texts_are_tags(text: str, label: Label) -> None:
    assert parse(text) == label


@pytest.mark.parametrize("name", get_args(grammar.State))
def test_states_are_recognised_in_any_case(name: grammar.State) -> None:
    assert parse(name) == parse(name.upper()) == parse(f"is:{name}") == Flag(name)
    assert parse("Is:Favorite") == parse("favourite")


@pytest.mark.parametrize(
    ("text", "field", "comparison", "value"),
    [
        ("score>=0.8", "score", ">=", "0.8"),
        ("score >= .80", "score", ">=", "0.8"),
        ("SCORE≥80%", "score", ">=", "0.8"),
        ("score<=95.91%", "score", "<=", "0.9591"),
        ("score<1", "score", "<", "1"),
        ("score:0", "score", "=", "0"),
        ("score>1%", "score", ">", "0.01"),
        ("confidence<50%", "confidence", "<", "0.5"),
        ("added>2026-01-01", "added", ">", "2026-01-01"),
        ("added:2026-01", "added", "=", "2026-01"),
        ("taken = 2020", "taken", "=", "2020"),
        ("name:Holiday", "name", "=", "Holiday"),
        ('name:"a holiday"', "name", "=", "a holiday"),
        ("name:a=b:c", "name", "=", "a=b:c"),
        ("name:-x", "name", "=", "-x"),
        ("folder:/photos/2024", "folder", "=", "/photos/2024"),
        ("folder:C:\\photos", "folder", "=", "C:\\photos"),
        ("model:everyday", "model", "=", "everyday"),
        ("by:Person", "by", "=", "person"),
        ("run:007", "run", "=", "7"),
        ("id=5", "id", "=", "5"),
        ("rating>=3", "rating", ">=", "3"),
        ("rating:>=3", "rating", ">=", "3"),
        ("rating:≤3", "rating", "<=", "3"),
        ("score:>0.5", "score", ">", "0.5"),
        ('caption:"in the rain"', "caption", "=", "in the rain"),
    ],
)
def test_a_condition_has_a_field_a_comparison_and_a_value(
    text: str, field: str, comparison: str, value: str
) -> None:
    assert parse(text) == Condition(field, comparison, value)  # type: ignore[arg-type]
    assert parse(f"-{text}") == Not(parse(text))


@pytest.mark.parametrize(
    ("text", "field", "value", "wildcard"),
    [
        ("name:img_*.jpg", "name", "img_*.jpg", True),
        ('name:"img_*.jpg"', "name", "img_*.jpg", False),
        ("folder:*/2024", "folder", "*/2024", True),
        ("name:a*b:c", "name", "a*b:c", True),
        ("model:every*", "model", "every*", False),
        ("caption:*rain", "caption", "*rain", True),
    ],
)
def test_names_and_folders_take_wildcards(
    text: str, field: str, value: str, wildcard: bool
) -> None:
    assert parse(text) == Condition(field, "=", value, wildcard)
    assert parse(format_query(parse(text))) == parse(text)


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("like:beach", Like("beach")),
        ('LIKE: "two dogs"', Like("two dogs")),
        ("like:two dogs", And((Like("two"), Label("dogs")))),
        ('a -like:"b*" OR like:“c”', Or((And((A, Not(Like("b*")))), Like("c")))),
    ],
)
def test_a_description_is_a_word_or_in_quotes(text: str, tree: Query) -> None:
    assert parse(text) == tree


def test_a_description_has_a_position() -> None:
    tree = parse('dog  like: "in the snow"')
    assert isinstance(tree, And) and isinstance(tree.terms[1], Like)
    assert tree.terms[1].position == 11


@pytest.mark.parametrize(
    ("text", "position", "message"),
    [
        ("AND", 0, "missing before AND; put a tag of that name in quotes"),
        ("or dog", 0, "missing before OR"),
        ("dog AND", 4, "missing after AND"),
        ("(dog OR) cat", 5, "missing after OR"),
        ("dog AND OR cat", 8, "missing between AND and OR"),
        ("dog OR OR cat", 7, "missing between OR and OR"),
        ("dog NOT", 4, "missing after NOT"),
        ("dog -", 4, "missing after -"),
        ("NOT AND dog", 4, "missing between NOT and AND"),
        ("dog ()", 4, "these brackets are empty"),
        ("a (b", 2, "missing closing bracket"),
        ("a (", 2, "missing closing bracket"),
        ("((a)", 0, "missing closing bracket"),
        ("a) b", 1, "missing opening bracket for this )"),
        (")", 0, "missing opening bracket for this )"),
        ('a "b', 2, "missing closing quotation mark"),
        ('a ""', 2, "these quotation marks are empty"),
        ('name:" "', 5, "these quotation marks are empty"),
        (
            "a colour:red",
            2,
            'unknown field "colour"; fields are tag, score, confidence',
        ),
        ("16:9", 0, "put a tag with : in it in quotes"),
        ("nmae:x", 0, "did you mean name?"),
        ("dog>=0.8", 0, 'write "dog" score>=0.8'),
        ("and:x", 0, 'unknown field "and"'),
        ("<script>", 0, "< needs a field before it"),
        ("score=>0.8", 5, "write >="),
        ("score=<0.8", 5, "write <="),
        ("added>:2026", 5, "write >"),
        ("rating:6", 7, "rating is followed by a number from 0 (none) to 5, not"),
        ("rating>2.5", 7, "a number from 0 (none) to 5"),
        ("caption>x", 7, "followed by a colon"),
        ("is:dog", 3, "one of unknown, untagged, tagged, reviewed, missing, favourite"),
        ("is>tagged", 2, "followed by a colon, as in is:favourite"),
        ("added<>2026", 5, "one of : < <= > >="),
        ("name>x", 4, "followed by a colon, as in name:holiday"),
        ("score>=", 7, "score needs a value, as in score>=0.8"),
        ("name:", 5, "name needs a value"),
        ("name:(x)", 5, "name needs a value"),
        ("a score >= high", 11, 'a number from 0 to 1, or from 0% to 100%, not "high"'),
        ("score>=80", 7, "not"),
        ("score>=1.01", 7, "not"),
        ("score>=101%", 7, "not"),
        ("score>=-1", 7, "not"),
        ("score>=nan", 7, "not"),
        ("score>=1e-3", 7, "not"),
        ("score>=0,8", 7, "not"),
        ("score>=٠.٨", 7, "not"),
        ("score>=.", 7, "not"),
        ("added>yesterday", 6, "a year, a month or a day, as in 2026, 2026-05 or 2026-05-31"),
        ("added>2026-13", 6, "not"),
        ("added>2026-00", 6, "not"),
        ("added>2026-02-00", 6, "not"),
        ("added>2026-02-30", 6, "not"),
        ("added>0000", 6, "not"),
        ("added>9999", 6, "not"),
        ("taken>2026-5", 6, "not"),
        ("by:me", 3, 'person or model, not "me"'),
        ("run:last", 4, "a whole number"),
        ("id:-5", 3, "a whole number"),
        ("id:99999999999999999999", 3, "a whole number"),
        ("dog \x00", 4, "can’t be searched for"),
        ("dog\x1b[31m", 3, "can’t be searched for"),
        ("dog \udcff", 4, "can’t be searched for"),
        ("x" * 1001, 1000, "at most 1,000 characters; this has 1,001"),
        ("a " * 101, 200, "at most 100 terms"),
        ("(" * 500, 20, "at most 20 brackets or NOTs"),
        ("-" * 500, 20, "at most 20 brackets or NOTs"),
        ("(NOT " * 100, 50, "at most 20 brackets or NOTs"),
        ("like>beach", 4, 'followed by a colon, as in like:"two dogs in the snow"'),
        ("dog like:", 9, "like needs a value"),
        ("like:a " * 9, 61, "at most 8 descriptions"),
    ],
)
def test_an_error_has_a_message_and_a_position(text: str, position: int, message: str) -> None:
    with pytest.raises(QueryError) as caught:
        parse(text)
    assert caught.value.position == position
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, TaggerError)


def test_queries_up_to_the_limits_are_accepted() -> None:
    assert parse("x" * 1000) == Label("x" * 1000)
    assert parse("a " * 100) == And((A,) * 100)
    assert parse("(" * 20 + "a" + ")" * 20) == A
    assert parse("(a) " * 100) == And((A,) * 100)  # side by side, not nested
    assert parse("NOT a " * 100) == And((Not(A),) * 100)


def test_the_caret_is_below_the_position() -> None:
    def pointed(text: str) -> list[str]:
        with pytest.raises(QueryError) as caught:
            parse(text)
        return caught.value.with_caret().splitlines()

    assert pointed("dog colour:red") == ["dog colour:red", "    ^"]
    assert pointed("dog\n\tAND") == ["dog  AND", "     ^"]
    assert pointed("犬 AND") == ["犬 AND", "   ^"]  # a wide character takes two columns
    assert pointed("e\u0301 AND")[1] == "  ^"  # and a combining one none
    line, caret = pointed("x " * 40 + ") " + "y " * 40)
    assert line[caret.index("^")] == ")" and len(line) < 100
    assert line.startswith("…") and line.endswith("…")


@pytest.mark.parametrize(
    ("period", "begin", "end"),
    [
        ("2026", (2026, 1, 1), (2027, 1, 1)),
        ("2026-01", (2026, 1, 1), (2026, 2, 1)),
        ("2025-12", (2025, 12, 1), (2026, 1, 1)),
        ("2024-02-29", (2024, 2, 29), (2024, 3, 1)),
        ("2025-12-31", (2025, 12, 31), (2026, 1, 1)),
    ],
)
def test_a_date_is_a_whole_year_month_or_day(
    period: str, begin: tuple[int, int, int], end: tuple[int, int, int]
) -> None:
    assert grammar.date_range(period) == (datetime(*begin), datetime(*end))


NAMES = st.text(min_size=1, max_size=8).filter(
    lambda text: text.strip() and all(c.isprintable() or c.isspace() for c in text)
)
WILD = st.from_regex(r"[-:=a-z猫]{0,3}\*[a-z*]{0,3}", fullmatch=True).filter(
    lambda text: text[0] not in ":="
)
CONDITIONS = st.one_of(
    st.builds(
        Condition,
        st.sampled_from(("score", "confidence")),
        st.sampled_from(("<", "<=", "=", ">=", ">")),
        st.integers(0, 10_000).map(lambda n: f"{n / 10_000:.4f}".rstrip("0").rstrip(".")),
    ),
    st.builds(
        Condition,
        st.sampled_from(("added", "taken")),
        st.sampled_from(("<", "<=", "=", ">=", ">")),
        st.sampled_from(("2026", "2026-05", "2024-02-29")),
    ),
    st.builds(Condition, st.sampled_from(("name", "folder", "model")), st.just("="), NAMES | WILD),
    st.builds(Condition, st.sampled_from(("name", "folder")), st.just("="), WILD, st.just(True)),
    st.builds(
        Condition, st.sampled_from(("run", "id")), st.just("="), st.integers(0, 10**8).map(str)
    ),
    st.builds(Condition, st.just("by"), st.just("="), st.sampled_from(("person", "model"))),
)
LEAVES = st.one_of(
    st.builds(Label, NAMES),
    st.builds(Label, st.sampled_from(("and", "NOT", "unknown", "-", "-a", "a*", '"', "(", "a b"))),
    st.builds(Label, WILD, st.just(True)),
    st.builds(Label, NAMES, st.just(False), st.just(True)),
    st.builds(Like, NAMES),
    st.builds(Flag, st.sampled_from(("unknown", "untagged", "tagged", "reviewed", "missing"))),
    CONDITIONS,
)


def _combine(terms: st.SearchStrategy[Query]) -> st.SearchStrategy[Query]:
    groups = st.lists(terms, min_size=2, max_size=3).map(tuple)
    return st.builds(And, groups) | st.builds(Or, groups) | st.builds(Not, terms)


TREES = st.recursive(LEAVES, _combine, max_leaves=8)


@given(TREES)
def test_a_formatted_tree_parses_to_itself(tree: Query) -> None:
    assume(len(format_query(tree)) <= MAX_LENGTH)
    assert parse(format_query(tree)) == tree


PIECES = st.sampled_from(
    [
        *grammar.FIELDS,
        *grammar.FIELDS.values(),
        *("AND", "or", "NOT", "-", "(", ")", '"', "“", "”", " ", "*", ":", "=", "<", ">=", "≥"),
        *("dog", "unknown", "0.8", "80%", "2026-02", "\\", "\n", "%"),
    ]
)


@settings(max_examples=400)
@given(st.lists(PIECES | st.text(max_size=5), max_size=25).map("".join))
def test_any_text_is_a_query_or_a_query_error(text: str) -> None:
    try:
        tree = parse(text)
    except QueryError as error:
        assert 0 <= error.position <= len(text)
        assert str(error).isprintable()
        line, caret = error.with_caret().split("\n")
        assert caret.strip() == "^" and line == "".join(c if c.isprintable() else " " for c in line)
    else:
        assume(len(format_query(tree)) <= MAX_LENGTH)
        assert parse(format_query(tree)) == tree


def test_invisible_characters_do_not_count() -> None:
    assert parse("dog\u200b score>\u2060=0.9") == parse("dog score>=0.9")
