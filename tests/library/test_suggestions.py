"""Suggestions: tags that photos have, for words that find nothing."""

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
    """A library with one photo that has all of the tags, and not "doge"."""
    photo = library.add_photo("one.png", decode.encode(draw("disc", 1), "PNG"), pets).photo
    library.edit_tags([photo.id], add=LABELS, remove=["doge"])
    return library


def suggest(library: Library, query: str) -> list[tuple[str, str, str]]:
    suggestions = library.suggest_tags(query)
    return [(s.missing_tag, s.similar_tag, s.query) for s in suggestions]


def test_a_misspelled_tag_gets_similar_tags_and_the_corrected_query(tagged: Library) -> None:
    assert suggest(tagged, "dgo") == [("dgo", "dog", "dog")]
    assert suggest(tagged, "Lighthose AND NOT (name:x OR seanorth)") == [
        ("Lighthose", "lighthouse", "lighthouse AND NOT (name:x OR seanorth)"),
        ("seanorth", "sea (north)", 'Lighthose AND NOT (name:x OR "sea (north)")'),
    ]
    assert suggest(tagged, "doge")[0] == ("doge", "dog", "dog")


def test_a_suggested_query_finds_photos(tagged: Library) -> None:
    for query in ("DOGG", "strase", "sea north", '"annd"', "-nand", "golden retriver"):
        for _, _, suggested in suggest(tagged, query):
            parse(suggested)
    assert tagged.count(suggest(tagged, "strase")[0][2]) == 1
    assert tagged.count(suggest(tagged, '"sea nort"')[0][2]) == 1
    assert tagged.count(suggest(tagged, '"annd"')[0][2]) == 1


def test_a_known_word_without_photos_is_answered_with_tags_above_it(tagged: Library) -> None:
    assert suggest(tagged, "poodle") == [("poodle", "dog", "dog")]
    assert suggest(tagged, "-poodle beacon") == [("poodle", "dog", "NOT dog AND beacon")]
    assert suggest(tagged, "giraffe") == []


def test_another_word_is_no_slip_of_the_pen(tagged: Library) -> None:
    tagged.edit_tags(tagged.find_ids(), add=["plant", "hat", "ice"])
    for query in ("playing", "cat", "lighting", "xy", "do", "gold"):
        assert suggest(tagged, query) == [], query
    assert suggest(tagged, "plnat")[0] == ("plnat", "plant", "plant")
    (wider,) = tagged.suggest_tags("poodle")
    (misspelled,) = tagged.suggest_tags("dgo")
    assert wider.is_wider and not misspelled.is_wider


def test_words_of_the_vocabulary_are_suggested_if_they_find_photos(tagged: Library) -> None:
    assert suggest(tagged, "animla")[0] == ("animla", "animal", "animal")
    assert suggest(tagged, "pupppy")[0] == ("pupppy", "puppy", "puppy")
    assert suggest(tagged, "kitchn") == []
    assert all(tagged.count(query) for _, _, query in suggest(tagged, "anmial OR buidling"))


def test_an_exact_tag_is_replaced_by_an_exact_tag(tagged: Library) -> None:
    assert suggest(tagged, "tag==dgo") == [("dgo", "dog", "tag==dog")]
    assert suggest(tagged, "tag==dogs")[0] == ("dogs", "dog", "tag==dog")
    assert suggest(tagged, "DOGS tag==dogs dogs")[0][2] == "DOGS AND tag==dog AND dogs"


@pytest.mark.parametrize(
    "query",
    ["", "DOG", "do*", "unknown", "name:dgo", "zzzzzz", "strasse", "dogs", "puppy", "retrievers"],
)
def test_existing_tags_and_unlike_words_get_no_suggestion(tagged: Library, query: str) -> None:
    assert suggest(tagged, query) == []


def test_an_empty_library_suggests_nothing(library: Library) -> None:
    assert library.suggest_tags("dog OR cat") == []


def test_an_invalid_query_is_an_error(tagged: Library) -> None:
    with pytest.raises(QueryError):
        tagged.suggest_tags("(dgo")
