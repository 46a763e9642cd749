"""Undoing: what a run did and nothing else, told, and itself undone."""

from __future__ import annotations

import io

import pytest

from tagger.errors import OptionError
from tagger.images import decode
from tagger.jobs.requests import ImportUploadsRequest, submit
from tagger.library.library import Library
from tagger.tagger import Tagger
from tests.conftest import draw


def photo(seed: int) -> bytes:
    return decode.encode(draw("disc", seed), "PNG")


def test_undoings_are_named_after_what_they_undo(library: Library, pets: Tagger) -> None:
    one = library.add_photo("one.png", photo(1), pets).photo.id
    edit = library.edit_tags([one], add=["sea"])
    undone = library.undo(edit)
    assert library.operation(undone.operation_id).title == "Undid: Add sea (1 photo)"
    assert (library.operation(edit).undone_by, library.operation(edit).undoable) == (
        undone.operation_id,
        False,
    )
    again = library.undo(undone.operation_id)
    assert library.operation(again.operation_id).title == "Did again: Add sea (1 photo)"
    assert library.operation(edit).undone_by is None
    third = library.undo(again.operation_id)
    assert library.operation(third.operation_id).title == "Undid: Add sea (1 photo)"
    assert library.count("sea") == 0
    assert library.operation(edit).undone_by is not None


def test_an_import_that_brought_a_photo_back_takes_it_away_again(
    library: Library, pets: Tagger
) -> None:
    first = library.add_photo("one.png", photo(1), pets)
    library.edit_tags([first.photo.id], add=["sea"])
    library.delete([first.photo.id])
    again = library.add_photo("one.png", photo(1), pets)
    assert library.count("sea") == 1
    library.undo(again.operation_id or 0)
    assert library.count() == 0
    library.undo(library.operations(1)[0].id)
    assert library.count("sea") == 1


def test_undo_leaves_alone_what_was_changed_since(library: Library, pets: Tagger) -> None:
    one = library.add_photo("one.png", photo(1), pets).photo.id
    two = library.add_photo("two.png", photo(2), pets).photo.id
    first = library.edit_tags([one, two], add=["sea"])
    library.edit_tags([one], remove=["sea"])
    undone = library.undo(first)
    assert (undone.changed, undone.left_alone) == (1, 1)
    library.undo(undone.operation_id)
    assert [tag.label for tag in library.photo(two).tags] == ["sea"]
    library.undo(first)
    assert [tag.label for tag in library.photo(two).tags] == []
    assert [verdict.present for verdict in library.annotations(one)] == [False]


def test_an_undoing_that_would_change_nothing_is_refused(library: Library, pets: Tagger) -> None:
    one = library.add_photo("one.png", photo(1), pets).photo.id
    first = library.edit_tags([one], add=["sea"])
    second = library.edit_tags([one], remove=["sea"])
    with pytest.raises(OptionError, match="nothing is left to undo"):
        library.undo(first)
    assert library.operation(first).undone_by is None
    assert library.operations()[0].id == second
    library.undo(second)
    library.undo(first)
    assert library.annotations(one) == []


def test_what_cannot_be_undone_is_a_sentence(library: Library, pets: Tagger) -> None:
    added = library.add_photo("one.png", photo(1), pets)
    library.undo(added.operation_id or 0)
    with pytest.raises(OptionError, match="is undone already"):
        library.undo(added.operation_id or 0)
    with pytest.raises(OptionError, match="none of that number"):
        library.undo(4711)
    waiting = submit(library, ImportUploadsRequest([("a.png", io.BytesIO(photo(2)))], "pets"))
    with pytest.raises(OptionError, match="stop it first"):
        library.undo(waiting)
