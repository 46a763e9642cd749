"""The query planner: pages, orders and counts, against a reference implementation in Python."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import get_args

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection

from tagger.errors import QueryError
from tagger.library.records import Sort
from tagger.library.search import planner
from tagger.library.search.grammar import (
    And,
    Condition,
    Everything,
    Flag,
    Label,
    Listed,
    Not,
    Or,
    Query,
    date_range,
    parse,
)
from tagger.text import fold
from tests.library.conftest import NOON, VOCABULARY, PhotoSpec, insert_photos


def test_labels_are_counted_and_ordered_by_frequency(connection: Connection) -> None:
    tags_by_photo: list[dict[str, float | None]] = [
        {"b": 0.9, "a": 0.9},
        {"c": None, "b": 0.2},
        {"d": 0.5},
        {},
    ]
    insert_photos(connection, [PhotoSpec(tags=dict(tags)) for tags in tags_by_photo])

    def count_labels(query: str) -> list[tuple[str, int]]:
        return planner.count_labels(connection, parse(query), VOCABULARY)

    assert count_labels("") == [("b", 2), ("a", 1), ("c", 1), ("d", 1)]
    assert count_labels("a OR d") == [("a", 1), ("b", 1), ("d", 1)]
    assert count_labels("NOT b") == [("d", 1)]
    assert count_labels("c OR name:nothing") == [("b", 1), ("c", 1)]
    assert count_labels("b score>0.5") == [("a", 1), ("b", 1)]
    assert count_labels("untagged") == count_labels("nothing") == []


def test_every_order_puts_nulls_last(connection: Connection) -> None:
    days = [NOON + timedelta(days=number) for number in range(4)]
    insert_photos(
        connection,
        [
            PhotoSpec("b", added=days[2], taken=None, confidence=None, doubt=0.1),
            PhotoSpec("C", added=days[1], taken=datetime(2020, 1, 1), confidence=0.9, doubt=None),
            PhotoSpec("a", added=days[3], taken=datetime(2021, 1, 1), confidence=0.2, doubt=1.5),
            PhotoSpec("a", added=days[3], taken=datetime(2021, 1, 1), confidence=0.2, doubt=1.5),
        ],
    )
    orders: dict[Sort, list[int]] = {
        "newest": [4, 3, 1, 2],
        "oldest": [2, 1, 3, 4],
        "timeline": [1, 4, 3, 2],
        "rating": [1, 4, 3, 2],
        "taken": [4, 3, 2, 1],
        "name": [3, 4, 1, 2],
        "surest": [2, 4, 3, 1],
        "doubtful": [4, 3, 1, 2],
    }
    for sort, ids in orders.items():
        assert planner.find_page(connection, Everything(), VOCABULARY, sort, 0, 48) == (ids, 4)


# A reference implementation of the grammar in Python, and a large library to compare on.

WORDS = ("Dog", "dogs", "cat", "sea", "100%", "Straße")
SCORES = (None, 0.0, 0.25, 0.5, 0.75, 0.8, 1.0)


def make_specs() -> list[PhotoSpec]:
    rng = np.random.default_rng(0)

    def make_spec() -> PhotoSpec:
        words = [word for word in WORDS if rng.random() < 0.3]
        tags = {word: SCORES[rng.integers(len(SCORES))] for word in words}
        when = datetime(2024, 1, 1) + timedelta(days=int(rng.integers(900)))
        return PhotoSpec(
            name=str(rng.choice(["IMG_1.jpg", "Holiday%.jpg", "holiday_2.PNG", "ÅRE.jpg"])),
            tags=tags,
            confirmed=tuple(word for word in words if rng.random() < 0.1),
            added=when.replace(tzinfo=UTC) + timedelta(days=int(rng.integers(30))),
            taken=when if rng.random() < 0.8 else None,
            folder=str(rng.choice(["/photos/2024", "/photos/Sea", "/100%"])),
            model=str(rng.choice(["pets", "everyday"])) if rng.random() < 0.9 else None,
            confidence=None if rng.random() < 0.1 else float(rng.choice(SCORES[1:])),
            doubt=None if rng.random() < 0.1 else float(rng.choice(SCORES[1:])),
            unknown=rng.random() < 0.1,
            reviewed=rng.random() < 0.2,
            rating=int(rng.integers(-4, 6).clip(0)),
            caption="by the sea" if rng.random() < 0.1 else None,
            deleted=rng.random() < 0.05,
            run=int(rng.integers(1, 4)),
        )

    return [make_spec() for _ in range(planner.MAX_SORTED + 1000)]


class LargeLibrary:
    """A few thousand photos in the database, and the specs of those not deleted, by id."""

    def __init__(self, connection: Connection, specs: Sequence[PhotoSpec]) -> None:
        self.connection = connection
        self.specs = {i: photo for i, photo in enumerate(specs, 1) if not photo.deleted}


@pytest.fixture
def large(connection: Connection) -> LargeLibrary:
    specs = make_specs()
    insert_photos(connection, specs)
    if connection.dialect.name == "postgresql":  # or it would do so later
        connection.exec_driver_sql("ANALYZE")
    return LargeLibrary(connection, specs)


def matches(tree: Query, number: int, photo: PhotoSpec, scope: tuple[Query, ...] = ()) -> bool:
    """Whether a photo matches a query."""
    match tree:
        case Everything():
            return True
        case Flag(name):
            states = {"unknown": photo.unknown, "reviewed": photo.reviewed}
            states["favourite"] = photo.rating == 5
            return {**states, "tagged": bool(photo.tags), "untagged": not photo.tags}[name]
        case Label():
            tags = [tag for tag in photo.tags if label_matches(tree, tag)]
            return any(all(tag_matches(s, photo, tag) for s in scope) for tag in tags)
        case Listed(ids):
            return number in ids
        case Not(term):
            return not matches(term, number, photo)
        case Or(terms):
            return any(matches(term, number, photo, scope) for term in terms)
        case And(terms):
            labelled = any(map(has_labels, terms))
            own = [t for t in terms if is_about_tags(t) and (labelled or not isinstance(t, Not))]
            rest = [t for t in terms if not any(t is o for o in own)]
            scope = (*scope, *own)
            any_tag = any(all(tag_matches(s, photo, tag) for s in scope) for tag in photo.tags)
            return (labelled or not own or any_tag) and all(
                matches(term, number, photo, scope) for term in rest
            )
        case Condition("score" | "by"):
            return any(
                all(tag_matches(s, photo, tag) for s in (tree, *scope)) for tag in photo.tags
            )
        case Condition("name", _, value, True):
            return fullmatch(fold(value), fold(photo.name))
        case Condition("folder", _, value, True):
            pattern = value.lower().removesuffix("*") if value.endswith("/*") else value.lower()
            parts = photo.folder.lower().split("/")
            folders = ["/".join(parts[:end]) for end in range(1, len(parts) + 1)]
            return any(fullmatch(pattern.removesuffix("/"), folder) for folder in folders)
        case Condition(name, comparison, value):
            return field_matches(name, comparison, value, number, photo)
    raise AssertionError(tree)


def label_matches(label: Label, tag: str) -> bool:
    pattern, text = fold(label.name), fold(tag)
    if label.wildcard or label.exact:
        return fullmatch(pattern, text) if label.wildcard else pattern == text
    return text in VOCABULARY.names(label.name)


def fullmatch(pattern: str, text: str) -> bool:
    """Whether a pattern, in which `*` is any text, matches a whole text."""
    return bool(re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), text, re.DOTALL))


def has_labels(tree: Query) -> bool:
    return isinstance(tree, Label) or (
        isinstance(tree, And | Or) and any(map(has_labels, tree.terms))
    )


def is_about_tags(tree: Query) -> bool:
    match tree:
        case Condition(name):
            return name in ("score", "by")
        case Not(term):
            return is_about_tags(term)
        case And(terms) | Or(terms):
            return all(map(is_about_tags, terms))
    return False


def tag_matches(tree: Query, photo: PhotoSpec, tag: str) -> bool:
    match tree:
        case Condition("by", _, who):
            return photo.by_person(tag) == (who == "person")
        case Condition("score", comparison, value):
            score = photo.tags[tag]
            return compare(
                1.0 if score is None or photo.by_person(tag) else score, comparison, float(value)
            )
        case Not(term):
            return not tag_matches(term, photo, tag)
        case And(terms):
            return all(tag_matches(term, photo, tag) for term in terms)
        case Or(terms):
            return any(tag_matches(term, photo, tag) for term in terms)
    raise AssertionError(tree)


def compare(left: float, comparison: str, right: float) -> bool:
    return {
        "<": left < right,
        "<=": left <= right,
        "=": left == right,
        ">=": left >= right,
        ">": left > right,
    }[comparison]


def field_matches(name: str, comparison: str, value: str, number: int, photo: PhotoSpec) -> bool:
    match name:
        case "name":
            return fold(value) in fold(photo.name)
        case "folder":
            lower = value.lower()
            return lower in (photo.folder + ("/" if lower.endswith("/") else "")).lower()
        case "model":
            return photo.model is not None and photo.model.lower() == value.lower()
        case "run":
            return photo.run == int(value)
        case "id":
            return number == int(value)
        case "rating":
            return compare(photo.rating, comparison, int(value))
        case "caption":
            return fold(value) in fold(photo.caption or "")
        case "confidence":
            sure = photo.confidence
            return sure is not None and compare(sure, comparison, float(value))
    moment = photo.taken if name == "taken" else photo.added.replace(tzinfo=None)
    if moment is None:
        return False
    begin, end = date_range(value)
    return {
        "<": moment < begin,
        "<=": moment < end,
        "=": begin <= moment < end,
        ">=": moment >= begin,
        ">": moment >= end,
    }[comparison]


COMPARISONS = st.sampled_from(("<", "<=", "=", ">=", ">"))
TERMS: st.SearchStrategy[Query] = st.one_of(
    st.builds(Label, st.sampled_from((*WORDS, "DOG", "STRASSE", "none", "100_", "animals", "pet"))),
    st.builds(Label, st.sampled_from(("dog", "Dogs", "animal")), st.just(False), st.just(True)),
    st.builds(Label, st.sampled_from(("*", "d*", "*a*", "*%", "1*0*", "_*")), st.just(True)),
    st.builds(Flag, st.sampled_from(("unknown", "untagged", "tagged", "reviewed", "favourite"))),
    st.builds(
        Condition,
        st.sampled_from(("score", "confidence")),
        COMPARISONS,
        st.sampled_from(("0", "0.25", "0.8", "0.9", "1")),
    ),
    st.builds(Condition, st.just("by"), st.just("="), st.sampled_from(("person", "model"))),
    st.builds(
        Condition,
        st.sampled_from(("added", "taken")),
        COMPARISONS,
        st.sampled_from(("2024", "2025-02", "2025-06-15")),
    ),
    st.builds(
        Condition,
        st.just("name"),
        st.just("="),
        st.sampled_from(("holiday", "%", "_", "åre", "PNG")),
    ),
    st.builds(
        Condition,
        st.just("folder"),
        st.just("="),
        st.sampled_from(("sea", "/photos/", "%", "holiday")),
    ),
    st.builds(
        Condition,
        st.sampled_from(("name", "folder")),
        st.just("="),
        st.sampled_from(("*", "*.PNG", "*o*", "holi*", "/photos/*", "/*/sea", "*0%", "*/")),
        st.just(True),
    ),
    st.builds(Condition, st.just("model"), st.just("="), st.sampled_from(("Pets", "other"))),
    st.builds(Condition, st.just("rating"), COMPARISONS, st.sampled_from("0135")),
    st.builds(Condition, st.just("caption"), st.just("="), st.sampled_from(("SEA", "dog"))),
    st.builds(Condition, st.just("run"), st.just("="), st.sampled_from(("1", "3", "9"))),
    st.builds(Condition, st.just("id"), st.just("="), st.sampled_from(("1", "17", "99999"))),
    st.builds(Listed, st.sampled_from(((), (1, 17, 99999), tuple(range(2, 3000, 5))))),
)


def _combine(terms: st.SearchStrategy[Query]) -> st.SearchStrategy[Query]:
    groups = st.lists(terms, min_size=2, max_size=3).map(tuple)
    return st.builds(And, groups) | st.builds(Or, groups) | st.builds(Not, terms)


TREES = st.recursive(TERMS, _combine, max_leaves=6)
SETTINGS = settings(
    max_examples=80,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@SETTINGS
@given(tree=TREES, sort=st.sampled_from(get_args(Sort)), start=st.integers(0, 3000))
def test_results_equal_a_reference_implementation(
    large: LargeLibrary, tree: Query, sort: Sort, start: int
) -> None:
    connection, specs = large.connection, large.specs
    expected = {number for number, photo in specs.items() if matches(tree, number, photo)}
    everything, total = planner.find_page(connection, tree, VOCABULARY, sort, 0, 10_000)
    assert len(everything) == total and set(everything) == expected
    assert planner.find_page(connection, tree, VOCABULARY, sort, start, 7) == (
        everything[start : start + 7],
        total,
    )
    assert planner.find_ids(connection, tree, VOCABULARY) == sorted(expected)
    labels = Counter(tag for number in expected for tag in specs[number].tags)
    ordered = sorted(labels.items(), key=lambda pair: (-pair[1], pair[0]))
    assert planner.count_labels(connection, tree, VOCABULARY) == ordered


@SETTINGS
@given(tree=TREES, ranked=st.lists(st.integers(1, 4000), max_size=40, unique=True))
@pytest.mark.parametrize("start", [0, 3, 30])
def test_ranked_photos_come_first(
    large: LargeLibrary, tree: Query, ranked: list[int], start: int
) -> None:
    expected, total = planner.find_page(large.connection, tree, VOCABULARY, "newest", 0, 10_000)
    first = [number for number in ranked if number in set(expected)]
    whole = first + [number for number in expected if number not in set(first)]
    page = planner.find_ranked_page(large.connection, tree, VOCABULARY, ranked, start, 7)
    assert page == (whole[start : start + 7], total)
    assert planner.has_match(large.connection, tree, VOCABULARY) == bool(total)


@SETTINGS
@given(tree=TREES)
def test_not_matches_all_other_photos(large: LargeLibrary, tree: Query) -> None:
    connection, specs = large.connection, large.specs
    count_photos = partial(planner.count_photos, connection, vocabulary=VOCABULARY)
    assert count_photos(tree) + count_photos(Not(tree)) == len(specs)
    assert count_photos(And((tree, Not(tree)))) == 0 or is_about_tags(tree)


@SETTINGS
@given(st.lists(st.sampled_from(("dog", "name:", "'", "%", "_", "*", '"', " ")) | st.text()))
def test_any_text_gives_photos_or_a_query_error(large: LargeLibrary, pieces: list[str]) -> None:
    connection, specs = large.connection, large.specs
    text = "".join(pieces)
    try:
        tree = parse(text)
    except QueryError:
        assume(False)
    expected = [number for number, photo in specs.items() if matches(tree, number, photo)]
    assert planner.find_ids(connection, tree, VOCABULARY) == expected


def test_pages_are_consecutive_in_every_order(large: LargeLibrary) -> None:
    connection = large.connection
    for sort in get_args(Sort):
        for query in ("", "cat", "NOT (cat sea)", "score>=0.5"):
            find_page = partial(planner.find_page, connection, parse(query), VOCABULARY, sort)
            whole, total = find_page(0, 10_000)
            assert len(whole) == len(set(whole)) == total
            pages = [
                number
                for start in range(0, total + 500, 500)
                for number in find_page(start, 500)[0]
            ]
            assert pages == whole


def test_matches_at_the_end_of_the_order_are_found(connection: Connection) -> None:
    count = planner.MAX_SORTED + 500
    far = [PhotoSpec(tags={"dog": 0.9}, added=NOON) for _ in range(count)]
    close = [PhotoSpec(added=NOON + timedelta(days=1)) for _ in range(count)]
    insert_photos(connection, [*far, *close])
    dogs = list(range(1, count + 1))
    find_page = partial(planner.find_page, connection, Label("dog"), VOCABULARY)
    assert find_page("oldest", 0, 48) == (dogs[:48], count)
    assert find_page("newest", 0, 48) == (dogs[:-49:-1], count)
    assert find_page("newest", count - 5, 48) == (dogs[4::-1], count)
    assert find_page("newest", count, 48) == ([], count)
    assert find_page("newest", 0, 0) == ([], count)
