"""Edits of tags: renamed, merged, hidden, never given, other words; all undoable, all obeyed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tagger.errors import OptionError, VocabularyError
from tagger.inference import vocabulary
from tagger.library.library import Library
from tests.library.predictions import add_photos, predict


def names_of(library: Library, photo_id: int) -> list[str]:
    return sorted(tag.label for tag in library.photo(photo_id).tags)


def title(library: Library, operation_id: int) -> str:
    return library.operation(operation_id).title


def undo_all(library: Library, *operation_ids: int) -> None:
    for operation_id in reversed(operation_ids):
        library.undo(operation_id)


def test_a_tag_is_renamed_and_the_new_name_is_another_word_for_it(library: Library) -> None:
    dogs, retriever = add_photos(library, 2)
    predict(library, "pets", {dogs: {"dog": 0.9}, retriever: {"golden retriever": 0.8}})
    renamed = library.tags.rename("dog", "  Bello ")
    assert title(library, renamed) == "Renamed dog to Bello"
    assert names_of(library, dogs) == ["Bello"]
    assert library.find_ids("tag==bello") == library.find_ids("tag==dog") == [dogs]
    assert library.find_ids("bello") == library.find_ids("dog") == [dogs, retriever]
    assert library.find_ids("animal") == [dogs, retriever]
    assert library.explain("dog")[0].tags == ("Bello", "golden retriever")
    predict(library, "pets", {retriever: {"Dog": 0.7}}, version=2)
    assert names_of(library, retriever) == ["Bello"]
    undo_all(library, renamed)
    assert names_of(library, dogs) == ["dog"] and library.find_ids("bello") == []


def test_tags_are_merged_and_separated(library: Library) -> None:
    first, second = add_photos(library, 2)
    predict(library, "pets", {first: {"puppy": 0.9}, second: {"dog": 0.8, "puppy": 0.7}})
    merged = library.tags.rename("puppy", "DOG")
    assert title(library, merged) == "Merged puppy into dog"
    assert library.label_counts() == [("dog", 2)]
    (summary,) = library.tags.list_all()
    assert (summary.name, summary.count, summary.names) == ("dog", 2, ("puppy",))
    library.edit_tags([first], add=["cat"])
    with pytest.raises(OptionError, match="puppy is called dog now"):
        library.tags.rename("cat", "puppy")
    separated = library.tags.separate("puppy")
    assert title(library, separated) == "Separated puppy from dog"
    assert names_of(library, second) == ["dog", "puppy"]
    library.undo(separated)
    assert library.count("tag==dog") == 2
    with pytest.raises(OptionError, match="not merged"):
        library.tags.separate("dog")


def test_a_tag_is_renamed_again_and_back(library: Library) -> None:
    (photo,) = add_photos(library, 1)
    predict(library, "pets", {photo: {"dog": 0.9}})
    steps = [
        library.tags.rename("dog", "hound"),
        library.tags.rename("hound", "Beast"),
        library.tags.rename("Beast", "dog"),
        library.tags.rename("dog", "Dog"),
    ]
    assert names_of(library, photo) == ["Dog"]
    assert [title(library, step) for step in steps[2:]] == [
        "Renamed Beast to dog",
        "Renamed dog to Dog",
    ]
    for step, name in zip(reversed(steps), ("dog", "Beast", "hound", "dog"), strict=True):
        library.undo(step)
        assert names_of(library, photo) == [name]
    with pytest.raises(OptionError, match="already called"):
        library.tags.rename("dog", "dog")
    with pytest.raises(OptionError, match="1 to 100 characters"):
        library.tags.rename("dog", "")


def test_tags_are_hidden_and_never_given(library: Library) -> None:
    first, second = add_photos(library, 2)
    predict(library, "pets", {first: {"chain saw": 0.9, "sea": 0.6}, second: {"sea": 0.6}})
    library.edit_tags([second], add=["chain saw"])
    hidden = library.tags.hide("sea")
    assert title(library, hidden) == "Hid sea" and names_of(library, first) == ["chain saw"]
    never = library.tags.forbid("Chain saw")
    assert title(library, never) == "Models never say chain saw"
    assert names_of(library, first) == [] and names_of(library, second) == ["chain saw"]
    summaries = {each.name: each for each in library.tags.list_all()}
    assert (summaries["sea"].hidden, summaries["sea"].count) == (True, 2)
    assert (summaries["chain saw"].never, summaries["chain saw"].by_person) == (True, 1)
    with pytest.raises(OptionError, match="nothing to change"):
        library.tags.hide("sea")
    library.tags.hide("sea", False)
    library.tags.forbid("chain saw", False)
    assert names_of(library, first) == ["chain saw", "sea"]
    later = library.tags.forbid("wet suit")  # before any model says it
    predict(library, "pets", {first: {"wet suit": 0.9}}, version=2)
    assert names_of(library, first) == []
    library.undo(later)
    assert names_of(library, first) == ["wet suit"]


def test_a_person_says_which_words_find_a_tag(library: Library) -> None:
    first, second = add_photos(library, 2)
    library.edit_tags([first], add=["Bello"])
    library.edit_tags([second], add=["cat"])
    changed = library.tags.set_words("Bello", ["dog"], ["our dog", "Bello", "OUR DOG"])
    assert title(library, changed) == "Changed the words for Bello"
    for query in ("dog", "animal", "pet", '"our dog"', "bello"):
        assert first in library.find_ids(query), query
    (summary, _) = library.tags.list_all()
    assert (summary.parents, summary.synonyms) == (("dog",), ("our dog",))
    cat = library.tags.set_words("cat", ["flatmate"], None)
    assert library.find_ids("flatmate") == [second] and library.find_ids("kitty") == [second]
    assert library.find_ids("animal") == [first]
    with pytest.raises(VocabularyError, match="above itself"):
        library.tags.set_words("dog", ["bello"], None)
    deleted = library.delete([first])
    assert [(each.name, each.count) for each in library.tags.list_all()] == [
        ("Bello", 0),
        ("cat", 1),
    ]
    library.undo(deleted)
    undo_all(library, changed, cat)
    assert library.find_ids("dog") == [] and library.find_ids("animal") == [second]


def test_the_librarys_own_vocabulary_goes_on_working(library: Library, tmp_path: Path) -> None:
    (photo,) = add_photos(library, 1)
    library.edit_tags([photo], add=["bello"])
    own = library.home / vocabulary.FILE_NAME
    own.write_text("tag,parents,synonyms\nbello,dog,rascal\n")
    assert library.find_ids("rascal") == library.find_ids("dog") == [photo]
    library.tags.set_words("bello", ["cat"], ["scamp"])
    assert library.find_ids("scamp") == library.find_ids("cat") == [photo]
    assert library.find_ids("rascal") == library.find_ids("dog") == []
    own.write_text("tag,parents,synonyms\ncat,bello,\nbello,,\n")
    with pytest.raises(VocabularyError, match="above itself"):
        library.find_ids("cat")
    library.undo(library.operations()[0].id)
    assert library.find_ids("bello") == [photo]


def test_covers_are_sure_and_differ(library: Library) -> None:
    ids = add_photos(library, 4)
    predict(
        library,
        "pets",
        {
            ids[0]: {"dog": 0.6, "sea": 0.9},
            ids[1]: {"dog": 0.9, "sea": 0.8},
            ids[2]: {"dog": 0.7},
            ids[3]: {"dog": 0.95},
        },
    )
    library.edit_tags(ids[2:3], add=["dog"])
    library.delete(ids[3:])
    covers = library.tags.find_covers(["dog", "Sea", "nothing"])
    assert {name: photo.id for name, photo in covers.items()} == {"dog": ids[2], "Sea": ids[0]}
    library.edit_tags(ids[:1], add=["dog", "sea", "x"])
    covers = library.tags.find_covers(["x", "sea"])
    assert {name: photo.id for name, photo in covers.items()} == {"x": ids[0], "sea": ids[1]}


def test_the_names_that_models_give_are_those_that_photos_show(library: Library) -> None:
    (photo,) = add_photos(library, 1)
    scores = {"Puppy": 0.9, "dog": 0.8, "sea": 0.7, "sky": 0.6}
    predict(library, "pets", {photo: scores})
    library.tags.rename("puppy", "hound")
    library.tags.rename("hound", "Bello")
    library.tags.hide("sea")
    library.tags.forbid("sky")
    names = library.tags.shown_names([*scores, "of no photo"])
    assert names == {
        "Puppy": "Bello",
        "dog": "dog",
        "sea": None,
        "sky": None,
        "of no photo": "of no photo",
    }
    assert names_of(library, photo) == ["Bello", "dog"]


def test_merged_tags_without_photos_can_be_separated(library: Library) -> None:
    (photo,) = add_photos(library, 1)
    library.edit_tags([photo], add=["kitty", "cat"])
    library.tags.rename("kitty", "cat")
    assert library.labels() == ["cat"]
    library.delete([photo])
    (summary,) = library.tags.list_all()
    assert (summary.name, summary.count, summary.names) == ("cat", 0, ("kitty",))
    library.tags.hide("cat", True)
    assert library.labels() == []
