"""How a query is understood, with the built-in vocabulary and a library's own rows."""

from __future__ import annotations

import pytest

from tagger.errors import QueryError, VocabularyError
from tagger.images import decode
from tagger.library.library import Library
from tagger.library.search.interpretation import Interpretation
from tagger.tagger import Tagger
from tests.conftest import draw

LABELS = ("toy poodle", "dog", "Man", "person", "football", "Rex", "100 %")


@pytest.fixture
def tagged(library: Library, pets: Tagger) -> Library:
    """A library with one photo that has all of the tags, but not "cat"."""
    photo = library.add_photo("one.png", decode.encode(draw("disc", 1), "PNG"), pets).photo
    library.edit_tags([photo.id], add=LABELS, remove=["cat"])
    return library


def test_a_word_is_explained_by_the_tags_that_it_finds(tagged: Library) -> None:
    assert tagged.explain("People") == [Interpretation("People", ("person",), ("person", "Man"))]
    (animal,) = tagged.explain("-animal")
    assert animal.tags == ("dog", "toy poodle")
    assert animal.is_wider


def test_each_word_is_explained_once(tagged: Library) -> None:
    words = tagged.explain("dog (soccer OR DOG) name:people do* unknown tag==man rex")
    assert [each.word for each in words] == ["DOG", "soccer", "rex"]
    assert [each.tags for each in words] == [("dog", "toy poodle"), (), ("Rex",)]


def test_tags_of_deleted_photos_are_left_out(tagged: Library) -> None:
    deletion = tagged.delete(tagged.find_ids())
    assert [word.tags for word in tagged.explain("people dog")] == [(), ()]
    assert tagged.suggest_tags("dgo") == []
    tagged.undo(deletion)
    assert tagged.explain("dogs")[0].tags == ("dog", "toy poodle")


def test_a_word_that_finds_itself_alone_is_not_wider(tagged: Library) -> None:
    for query in ("football", "MAN", '"100 %"', "cat", "nosuch"):
        (word,) = tagged.explain(query)
        assert not word.is_wider
    assert tagged.explain("cat")[0].tags == ()
    assert tagged.explain("") == []


def test_an_invalid_query_is_an_error(tagged: Library) -> None:
    with pytest.raises(QueryError):
        tagged.explain("(dog")


def test_a_librarys_own_rows_are_searched_by(tagged: Library) -> None:
    file = tagged.home / "vocabulary.csv"
    assert tagged.count("household") == 0
    file.write_text("tag,parents,synonyms\nRex,dog;household,the dog\nhousehold,,\n")
    assert tagged.count("household") == tagged.count('"the dog"') == 1
    assert tagged.explain("pet")[0].tags == ("dog", "Rex", "toy poodle")
    file.write_text("tag,parents,synonyms\nRex,hovercraft,\n")
    for search in (tagged.search, tagged.count, tagged.explain, tagged.suggest_tags):
        with pytest.raises(VocabularyError, match=r"vocabulary\.csv, line 2"):
            search("dog")
    # what needs no vocabulary goes on
    assert tagged.count() == tagged.count("tag==rex re* -unknown") == tagged.search("").total == 1
    assert ("Rex", 1) in tagged.label_counts() and tagged.explain("") == tagged.explain("re*") == []
    assert [photo.id for photo in tagged.photos("reviewed")] == tagged.find_ids("by:person") != []
    file.unlink()
    file.mkdir()
    with pytest.raises(VocabularyError, match=r"vocabulary\.csv: no file"):
        tagged.search("dog")
    file.rmdir()
    assert tagged.explain("pet")[0].tags == ("dog", "toy poodle")
