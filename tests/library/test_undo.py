"""Undo: what it restores, what it leaves alone, and undoing an undo."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from tagger.errors import OptionError
from tagger.jobs.requests import ImportUploadsRequest, submit
from tagger.library.library import Library
from tagger.tagger import Tagger
from tests.conftest import draw_collection, draw_png, import_folder


def test_an_undo_is_titled_after_its_operation(library: Library, pets: Tagger) -> None:
    first_id = library.add_photo("one.png", draw_png(1), pets).photo.id
    edit = library.edit_tags([first_id], add=["sea"])
    undone = library.undo(edit)
    assert library.operation(undone.operation_id).title == "Undone: Added sea to 1 photo"
    assert (library.operation(edit).undone_by, library.operation(edit).undoable) == (
        undone.operation_id,
        False,
    )
    again = library.undo(undone.operation_id)
    assert library.operation(again.operation_id).title == "Redone: Added sea to 1 photo"
    assert library.operation(edit).undone_by is None
    third = library.undo(again.operation_id)
    assert library.operation(third.operation_id).title == "Undone: Added sea to 1 photo"
    assert library.count("sea") == 0
    assert library.operation(edit).undone_by is not None


def test_undoing_an_import_deletes_the_photo_it_restored(library: Library, pets: Tagger) -> None:
    first = library.add_photo("one.png", draw_png(1), pets)
    library.edit_tags([first.photo.id], add=["sea"])
    library.delete([first.photo.id])
    again = library.add_photo("one.png", draw_png(1), pets)
    assert library.count("sea") == 1
    library.undo(again.operation_id or 0)
    assert library.count() == 0
    library.undo(library.operations(1)[0].id)
    assert library.count("sea") == 1


def test_an_undo_leaves_later_changes_alone(library: Library, pets: Tagger) -> None:
    first_id = library.add_photo("one.png", draw_png(1), pets).photo.id
    second_id = library.add_photo("two.png", draw_png(2), pets).photo.id
    first = library.edit_tags([first_id, second_id], add=["sea"])
    library.edit_tags([first_id], remove=["sea"])
    undone = library.undo(first)
    assert (undone.changed, undone.left_alone) == (1, 1)
    library.undo(undone.operation_id)
    assert [tag.label for tag in library.photo(second_id).tags] == ["sea"]
    library.undo(first)
    assert [tag.label for tag in library.photo(second_id).tags] == []
    assert [annotation.present for annotation in library.annotations(first_id)] == [False]


def test_an_undo_that_would_change_nothing_is_refused(library: Library, pets: Tagger) -> None:
    first_id = library.add_photo("one.png", draw_png(1), pets).photo.id
    first = library.edit_tags([first_id], add=["sea"])
    second = library.edit_tags([first_id], remove=["sea"])
    with pytest.raises(OptionError, match="nothing left to undo"):
        library.undo(first)
    assert library.operation(first).undone_by is None
    assert library.operations()[0].id == second
    library.undo(second)
    library.undo(first)
    assert library.annotations(first_id) == []


def test_the_last_edit_is_one_of_which_something_is_left(library: Library, pets: Tagger) -> None:
    first, second = (library.add_photo(f"{n}.png", draw_png(n), pets).photo.id for n in (1, 2))
    named = library.edit_tags([second], add=["sea"])
    library.edit_tags([first], add=["sea"])
    deleted = library.delete([first])
    assert last_edit(library) == deleted
    restored = library.add_photo("1.png", draw_png(1), pets)
    library.undo(restored.operation_id or 0)
    assert last_edit(library) == deleted
    library.trash.empty()
    assert last_edit(library) == named
    library.undo(named)
    assert last_edit(library) is None
    library.save_entry("search", "sea", {"query": "sea"}, "Saved a search")
    assert last_edit(library) == library.operations(limit=1)[0].id


def test_a_deletion_whose_photos_are_back_is_not_the_last_edit(
    library: Library, pets: Tagger
) -> None:
    photo_id = library.add_photo("1.png", draw_png(1), pets).photo.id
    rated = library.rate([photo_id], 3)
    library.delete([photo_id])
    library.add_photo("1.png", draw_png(1), pets)
    assert library.count() == 1 and last_edit(library) == rated


def last_edit(library: Library) -> int | None:
    operation = library.last_edit()
    return None if operation is None else operation.id


def test_an_operation_that_cannot_be_undone_is_an_error(library: Library, pets: Tagger) -> None:
    added = library.add_photo("one.png", draw_png(1), pets)
    library.undo(added.operation_id or 0)
    with pytest.raises(OptionError, match="is undone already"):
        library.undo(added.operation_id or 0)
    with pytest.raises(OptionError, match="none of that number"):
        library.undo(4711)
    waiting = submit(library, ImportUploadsRequest([("a.png", io.BytesIO(draw_png(2)))], "pets"))
    with pytest.raises(OptionError, match="stop it first"):
        library.undo(waiting)


def test_every_operation_can_be_undone_and_redone(
    library: Library, tmp_path: Path, pets: Tagger
) -> None:
    imported = import_folder(library, draw_collection(tmp_path / "photos", 2)).id
    ids = [p.id for p in library.photos(sort="name")]

    def load_state() -> list[object]:
        rows = [(p.id, p.unknown, p.reviewed, p.tags) for p in library.photos(sort="name")]
        return [[(i, u, r, [t.label for t in tags]) for i, u, r, tags in rows]]

    steps = [load_state()]
    edited = library.edit_tags(ids[:3], add=["holiday", "sea"])
    steps.append(load_state())
    removed = library.edit_tags(ids[:2], remove=["sea"])
    steps.append(load_state())
    deleted = library.delete(ids[1:4])
    steps.append(load_state())
    assert library.count() == 3
    undo = library.undo(deleted)
    assert load_state() == steps[2]
    library.undo(undo.operation_id)
    assert load_state() == steps[3]
    assert library.operation(deleted).undone_by is None
    library.undo(deleted)
    library.undo(removed)
    assert load_state() == steps[1]
    library.undo(edited)
    assert load_state() == steps[0]
    library.undo(imported)
    assert library.count() == 0
    library.undo(library.operation(imported).undone_by or 0)
    assert load_state() == steps[0]
