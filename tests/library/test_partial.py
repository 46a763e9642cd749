"""Partial matches: what the parts of a query find where the whole finds nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tagger.errors import QueryError
from tagger.library.library import Library
from tagger.library.search.partial import find_partial_matches
from tests.conftest import import_folder


def find(library: Library, query: str) -> list[tuple[str, int, bool]]:
    matches = find_partial_matches(query, lambda part: library.search(part, limit=0))
    return [(match.query, match.count, match.by_description) for match in matches]


@pytest.fixture
def described(library: Library, shapes: Path, worded: Path) -> Library:
    """Forty photos of each drawn shape; two of them have the tag sea, one of these a dog."""
    library.use_model(str(worded))
    import_folder(library, shapes, model=str(worded))
    first, second = library.find_ids()[:2]
    library.edit_tags([first, second], add=["sea"])
    library.edit_tags([first], add=["golden retriever"])
    return library


def test_each_part_is_found_by_its_tag_or_else_by_description(described: Library) -> None:
    zebras = described.search("zebra").total
    assert zebras and described.search("sea zebra added<2000").total == 0
    assert find(described, "a zebra in the sea added<2000") == [
        ("zebra", zebras, True),
        ("sea", 2, False),
    ]
    assert find(described, 'sea dog "no such tag" -sea') == [("sea", 2, False), ("dog", 1, False)]


def test_parts_may_be_groups_and_fields(described: Library) -> None:
    total = described.count()
    assert find(described, "(sea OR dog) added>2000 name:nothing") == [
        ("sea OR dog", 2, False),
        ("added>2000", total, False),
    ]


def test_a_description_has_its_words_as_parts(described: Library) -> None:
    assert find(described, 'like:"the sea in purple"') == [("sea", 2, False)]


def test_a_query_of_one_part_has_none(described: Library) -> None:
    for query in ("sea", "", "sea OR dog", "NOT sea", "like:zebra", "flurb zzq"):
        assert find(described, query) == [], query


def test_an_invalid_query_is_refused(library: Library) -> None:
    with pytest.raises(QueryError):
        find(library, "(sea")
