"""Tags probably meant: only those that photos have, only where none has what was asked for."""

from __future__ import annotations

import pytest

from tagger.errors import QueryError
from tagger.images import decode
from tagger.library.library import Library
from tagger.library.search.grammar import parse
from tagger.tagger import Tagger
from tests.conftest import draw

LABELS = ("dog", "golden retriever", "Straße", "sea (north)", "and", "lighthouse")


@pytest.fixture
def tagged(library: Library, pets: Tagger) -> Library:
    """One photo with all of the tags; what it is not, nobody has."""
    photo = library.add_photo("one.png", decode.encode(draw("disc", 1), "PNG"), pets).photo
    library.edit_tags([photo.id], add=LABELS, remove=["doge"])
    return library


def meant(library: Library, query: str) -> list[tuple[str, str, str]]:
    return [(one.missing_tag, one.similar_tag, one.query) for one in library.suggest_tags(query)]


def test_a_misspelled_tag_is_named_with_the_search_that_has_it(tagged: Library) -> None:
    assert meant(tagged, "dgo") == [("dgo", "dog", "dog")]
    assert meant(tagged, "Lighthose AND NOT (name:x OR retriever)") == [
        ("Lighthose", "lighthouse", "lighthouse AND NOT (name:x OR retriever)"),
        ("retriever", "golden retriever", 'Lighthose AND NOT (name:x OR "golden retriever")'),
    ]
    assert meant(tagged, "doge")[0] == ("doge", "dog", "dog")


def test_a_suggested_search_is_one_that_finds(tagged: Library) -> None:
    for asked in ("DOGS", "strase", "sea north", '"annd"', "-nand", "golden retriver"):
        for _, _, query in meant(tagged, asked):
            parse(query)
    assert tagged.count(meant(tagged, "strase")[0][2]) == 1
    assert tagged.count(meant(tagged, '"sea nort"')[0][2]) == 1
    assert tagged.count(meant(tagged, '"annd"')[0][2]) == 1


@pytest.mark.parametrize("query", ["", "DOG", "do*", "unknown", "name:dgo", "zzzzzz", "strasse"])
def test_where_nothing_is_amiss_or_alike_nothing_is_said(tagged: Library, query: str) -> None:
    assert meant(tagged, query) == []


def test_an_empty_library_has_nothing_to_suggest(library: Library) -> None:
    assert library.suggest_tags("dog OR cat") == []


def test_a_bad_search_stays_one(tagged: Library) -> None:
    with pytest.raises(QueryError):
        tagged.suggest_tags("(dgo")
