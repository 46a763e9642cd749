"""Ratings, captions and entries: set, found, undone."""

from __future__ import annotations

import pytest

from tagger.errors import ModelNotFoundError, OptionError
from tagger.library.library import Library
from tests.library.predictions import add_photos


def test_photos_are_rated(library: Library) -> None:
    first, second, third = add_photos(library, 3)
    assert [p.rating for p in library.photos()] == [0, 0, 0]
    favourites = library.rate([first, third], 5)
    good = library.rate([second], 3)
    assert library.operation(favourites).title == "Made 2 photos favourites"
    assert [p.id for p in library.photos(sort="rating")] == [third, first, second]
    none = library.rate([first], 0)
    assert library.operation(none).title == "Removed the rating of 1 photo"
    assert [p.id for p in library.photos(sort="rating")] == [third, second, first]
    assert library.find_ids(f"run:{favourites}") == [first, third]
    hidden = library.undo(library.tags.hide("dog", True)).operation_id
    assert library.find_ids(f"NOT run:{hidden}") == [first, second, third]
    undone = library.undo(favourites)
    assert (undone.changed, undone.left_alone) == (1, 1)
    assert {p.id: p.rating for p in library.photos()} == {first: 0, second: 3, third: 0}
    library.undo(good)
    library.undo(undone.operation_id)
    assert {p.id: p.rating for p in library.photos()} == {first: 0, second: 0, third: 5}


@pytest.mark.parametrize("rating", [-1, 6, 2.5, True, "5"])
def test_a_rating_is_a_number_from_0_to_5(library: Library, rating: int) -> None:
    (photo,) = add_photos(library, 1)
    with pytest.raises(OptionError, match="a number from 0"):
        library.rate([photo], rating)


def test_a_caption_is_text(library: Library) -> None:
    (photo,) = add_photos(library, 1)
    operation = library.set_caption(photo, "  Straße im Regen\r\n<b>1</b> ")
    assert library.photo(photo).caption == "Straße im Regen\n<b>1</b>"
    assert library.operation(operation).title == "Changed the caption of 1 photo"
    library.set_caption(photo, " ")
    assert library.photo(photo).caption is None
    library.undo(library.operations()[0].id)
    library.undo(operation)
    assert library.photo(photo).caption is None
    for text, why in (("x" * 2001, "at most 2,000"), ("a\x1b[31m", "cannot be seen")):
        with pytest.raises(OptionError, match=why):
            library.set_caption(photo, text)
    with pytest.raises(OptionError, match="no such photo"):
        library.set_caption(4711, "x")


def test_entries_are_set_and_undone(library: Library) -> None:
    first = library.save_entry("search", "Dogs", "dog score>=0.5", "Saved the search Dogs")
    second = library.save_entry("search", "Dogs", "dog", "Changed the search Dogs")
    other = library.save_entry("folder", "/photos/\udcff", {"paused": False}, "Watched a folder")
    assert library.entries("search") == {"Dogs": "dog"}
    assert library.entries("folder") == {"/photos/\udcff": {"paused": False}}
    with pytest.raises(OptionError, match="nothing left to undo"):
        library.undo(first)
    undone = library.undo(second)
    assert (undone.entries, undone.changed, undone.left_alone) == (1, 0, 0)
    assert library.entries("search") == {"Dogs": "dog score>=0.5"}
    assert library.operation(undone.operation_id).title == "Undone: Changed the search Dogs"
    again = library.undo(undone.operation_id)
    assert library.entries("search") == {"Dogs": "dog"}
    assert library.operation(again.operation_id).title == "Redone: Changed the search Dogs"
    removed = library.save_entry("search", "Dogs", None, "Removed the search Dogs")
    assert library.entries("search") == {}
    library.undo(removed)
    library.undo(other)
    assert (library.entries("search"), library.entries("folder")) == ({"Dogs": "dog"}, {})
    with pytest.raises(OptionError, match="too long a name"):
        library.save_entry("search", "x" * 2001, "dog", "")


def test_models_are_used_in_order(library: Library) -> None:
    default = library.models_in_use()
    assert len(default) == 1 and library.active_model() == default[0]
    first = library.use_model("cifar10")
    assert first is not None and library.operation(first).title == "Switched to CIFAR-10 alone"
    assert library.use_model("cifar10") is None
    library.add_model("everyday")
    library.add_model("pets")
    assert library.models_in_use() == ["cifar10", "everyday", "pets"]
    off = library.turn_off_model("everyday")
    assert off is not None and library.operation(off).title == "Turned off Everyday"
    assert library.models_in_use() == ["cifar10", "pets"]
    library.turn_off_model("cifar10")
    with pytest.raises(OptionError, match="one model has to be in use"):
        library.turn_off_model("pets")
    with pytest.raises(OptionError, match="not in use"):
        library.move_model_up("cifar10")
    with pytest.raises(ModelNotFoundError):
        library.add_model("nosuch")
    library.undo(library.operations()[0].id)
    assert library.models_in_use() == ["cifar10", "pets"]
    with pytest.raises(OptionError, match="nothing left"):
        library.undo(first)
