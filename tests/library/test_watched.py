"""Watched folders: what changed is listed before anything is done; its import can be undone."""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from tagger.errors import OptionError
from tagger.images import decode
from tagger.jobs import worker
from tagger.jobs.requests import submit_changes
from tagger.library.database.schema import vectors
from tagger.library.folders import changes as changes_module
from tagger.library.folders.changes import FolderChanges
from tagger.library.library import Library
from tagger.library.operations import Operation
from tests.conftest import draw_png, draw_scene, import_folder


def write(path: Path, seed: int, age: float = 3600) -> None:
    """A drawn photo, written so many seconds ago."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(draw_png(seed))
    set_age(path, age)


def set_age(path: Path, age: float) -> None:
    os.utime(path, (time.time() - age,) * 2)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four photos, one of them in a subfolder."""
    folder = (tmp_path / "Photos").resolve()
    for seed in range(3):
        write(folder / f"{seed}.png", seed)
    write(folder / "trip" / "3.png", 3)
    return folder


@pytest.fixture
def watched(library: Library, folder: Path) -> Library:
    """A library in which these photos are, and that watches their folder."""
    import_folder(library, folder)
    library.folders.add(str(folder))
    return library


def look(library: Library) -> FolderChanges:
    (changes,) = library.folders.find_changes()
    return changes


def update(library: Library, remove_missing: bool = False) -> Operation:
    """Import what changed."""
    job_id = submit_changes(library, look(library), remove_missing=remove_missing)
    worker.run(library, job_id)
    job = library.operation(job_id)
    assert job.status == "done", job.error
    return job


def paths(library: Library, query: str = "") -> list[str]:
    return sorted(str(photo.path) for photo in library.photos(query))


def test_nothing_has_changed_right_after_an_import(watched: Library) -> None:
    changes = look(watched)
    assert (changes.count, changes.files, changes.describe()) == (0, 4, "")
    with pytest.raises(OptionError, match="nothing has changed"):
        submit_changes(watched, changes)


def test_a_folder_that_was_never_imported_is_new(library: Library, folder: Path) -> None:
    library.folders.add(str(folder))
    assert look(library).describe() == "4 new"
    job = update(library)
    assert job.title == "Update Photos: 4 new" and job.counts == {"added": 4}
    assert look(library).count == 0


def test_all_kinds_of_changes_are_listed_imported_and_undone(
    watched: Library, folder: Path
) -> None:
    before = paths(watched)
    ids = {photo.name: photo.id for photo in watched.photos()}
    watched.edit_tags([ids["1.png"]], add=["Bello"])
    write(folder / "new.png", 8)
    (folder / "0.png").write_bytes(draw_png(9))  # another picture
    (folder / "1.png").rename(folder / "trip" / "renamed.png")
    (folder / "2.png").unlink()
    changes = look(watched)
    assert changes.new == (str(folder / "new.png"),)
    assert changes.changed == (str(folder / "0.png"),)
    (moved,) = changes.moved
    assert (moved.photo_id, moved.old_path, moved.path) == (
        ids["1.png"],
        str(folder / "1.png"),
        str(folder / "trip" / "renamed.png"),
    )
    assert [each.path for each in changes.missing] == [str(folder / "2.png")]
    assert changes.describe() == "1 new, 1 changed, 1 moved, 1 missing"
    assert watched.count() == 4 and paths(watched, "missing") == []

    job = update(watched)
    assert job.title == "Update Photos: 1 new, 1 changed, 1 moved, 1 missing"
    assert job.counts == {"added": 2, "moved": 1, "missing": 1} and job.undoable
    photo = watched.photo(ids["1.png"])
    assert photo.path == folder / "trip" / "renamed.png" and not photo.missing
    assert [tag.label for tag in photo.tags if tag.by_person] == ["Bello"]
    assert watched.photo(ids["2.png"]).missing and watched.count() == 6
    assert look(watched).count == 0

    undo = watched.undo(job.id)
    assert paths(watched) == before
    assert watched.photo(ids["1.png"]).missing  # there is no file at that path
    # What an undo took out is not offered again; the moved file is.
    assert look(watched).describe() == "1 moved" and look(watched).removed == 2
    watched.undo(undo.operation_id)
    assert watched.count() == 6 and not watched.photo(ids["1.png"]).missing
    assert look(watched).count == 0


def test_missing_photos_can_be_removed(watched: Library, folder: Path) -> None:
    (folder / "2.png").unlink()
    job = update(watched, remove_missing=True)
    assert job.counts == {"removed": 1} and watched.count() == 3
    watched.undo(job.id)
    assert watched.count() == 4
    assert look(watched).count == 0  # it is known to be missing
    write(folder / "2.png", 2)
    assert look(watched).describe() == "1 back"
    assert update(watched).counts == {"duplicate": 1}
    assert not any(photo.missing for photo in watched.photos())


def test_a_file_that_is_missing_for_a_moment_only_is_not_removed(
    watched: Library, folder: Path
) -> None:
    (folder / "2.png").rename(folder / "hidden")
    changes = look(watched)
    (folder / "hidden").rename(folder / "2.png")
    job_id = submit_changes(watched, changes, remove_missing=True)
    worker.run(watched, job_id)
    assert watched.count() == 4 and not watched.operation(job_id).counts


def test_a_photo_that_was_edited_in_place_stays_the_same(library: Library, folder: Path) -> None:
    (folder / "scene.png").write_bytes(decode.encode(draw_scene(1, 256), "PNG"))
    import_folder(library, folder)
    library.folders.add(str(folder))
    (photo,) = library.photos("name:scene")
    (folder / "scene.png").write_bytes(decode.encode(draw_scene(1, 256) // 2, "PNG"))
    assert look(library).changed == (str(folder / "scene.png"),)
    job = update(library)
    assert job.counts == {"updated": 1}
    assert library.photo(photo.id).sha256 != photo.sha256
    library.undo(job.id)
    assert library.photo(photo.id).sha256 == photo.sha256


def test_a_file_that_was_only_touched_has_not_changed(
    watched: Library, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_age(folder / "0.png", -3600)  # the clock of a network drive may be wrong
    assert look(watched).count == 0
    monkeypatch.setattr(changes_module, "MAX_READ", 0)
    assert look(watched).count == 0  # it is remembered
    set_age(folder / "1.png", -3600)
    assert look(watched).describe() == "1 changed"  # nobody has looked
    set_age(folder / "1.png", 0)
    assert update(watched).counts == {"duplicate": 1}
    assert look(watched).count == 0


def test_copies_and_unreadable_files_are_not_new_each_time(watched: Library, folder: Path) -> None:
    write(folder / "again.png", 0)  # the content of another photo
    (folder / "broken.png").write_bytes(b"no photo")
    set_age(folder / "broken.png", 3600)
    assert look(watched).describe() == "2 new"
    assert update(watched).counts == {"duplicate": 1, "failed": 1}
    changes = look(watched)
    assert changes.count == 0 and changes.unreadable == 1
    (folder / "broken.png").write_bytes(draw_png(12))
    set_age(folder / "broken.png", -1)
    write(folder / "again.png", 13, age=-1)
    assert look(watched).describe() == "2 new"


def test_photos_that_a_person_removed_are_left_out(watched: Library, folder: Path) -> None:
    deleted = [photo.id for photo in watched.photos("name:0 OR name:1")]
    watched.delete(deleted)
    changes = look(watched)
    assert changes.count == 0 and changes.removed == 2
    watched.trash.empty()
    changes = look(watched)
    assert changes.count == 0 and changes.removed == 2
    write(folder / "0.png", 20, age=-1)  # another photo
    assert look(watched).describe() == "1 new"


def test_copies_in_the_library_are_known_by_their_originals(library: Library, folder: Path) -> None:
    import_folder(library, folder, copy=True)
    library.folders.add(str(folder), copy=True)
    assert look(library).count == 0
    (folder / "0.png").unlink()
    assert look(library).count == 0  # the library has its copy


def test_vectors_of_a_moved_photo_stay(watched: Library, folder: Path) -> None:
    def stored() -> list[tuple[int, bytes]]:
        with watched.database.read_transaction() as connection:
            query = select(vectors.c.photo_id, vectors.c.vector).order_by(vectors.c.photo_id)
            return [(row.photo_id, row.vector) for row in connection.execute(query)]

    before = stored()
    digests = {photo.id: photo.sha256 for photo in watched.photos()}
    (folder / "trip").rename(folder / "journey")
    job = update(watched)
    assert job.counts == {"moved": 1} and stored() == before and before
    watched.undo(job.id)
    assert stored() == before
    assert {photo.id: photo.sha256 for photo in watched.photos()} == digests


def test_photos_move_between_watched_folders(
    watched: Library, folder: Path, tmp_path: Path
) -> None:
    other = (tmp_path / "Other").resolve()
    other.mkdir()
    watched.folders.add(str(other))
    shutil.move(folder / "0.png", other / "0.png")
    first, second = sorted(watched.folders.find_changes(), key=lambda each: each.folder)
    assert (first.folder, first.describe()) == (str(other), "1 moved")
    assert (second.folder, second.describe()) == (str(folder), "")


def test_a_missing_drive_is_not_a_hundred_missing_photos(watched: Library, folder: Path) -> None:
    away = folder.with_name("away")
    folder.rename(away)
    changes = look(watched)
    assert changes.count == 0 and changes.unseen == 4
    assert changes.unavailable == "is not there: is its drive connected?"
    folder.mkdir()  # the folder on which the drive was mounted
    changes = look(watched)
    assert changes.count == 0 and changes.unseen == 4
    assert changes.unavailable == "is empty: is its drive connected?"
    folder.rmdir()
    folder.write_bytes(b"")
    assert look(watched).unavailable == "is not there: is its drive connected?"
    folder.unlink()
    away.rename(folder)
    changes = look(watched)
    assert changes.count == 0 and changes.unavailable is None
    assert not any(photo.missing for photo in watched.photos())


def test_a_drive_in_a_folder_is_remembered(
    watched: Library, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drive = str(folder / "trip")
    monkeypatch.setattr(os.path, "ismount", lambda path: str(path) == drive)
    assert look(watched).count == 0
    monkeypatch.setattr(os.path, "ismount", lambda path: False)
    (folder / "trip" / "3.png").rename(folder.with_name("3.png"))
    changes = look(watched)
    assert changes.count == 0 and changes.unseen == 1
    assert changes.unopened == (f"{drive}: is its drive connected?",)
    write(folder / "trip" / "4.png", 4)  # the folder itself is used now
    assert look(watched).describe() == "1 new, 1 missing"


@pytest.mark.skipif(os.geteuid() == 0, reason="root opens every folder")
def test_a_folder_that_cannot_be_opened_is_not_missing(watched: Library, folder: Path) -> None:
    (folder / "trip").chmod(0)
    try:
        changes = look(watched)
    finally:
        (folder / "trip").chmod(0o755)
    assert changes.count == 0 and changes.unseen == 1 and "cannot be opened" in changes.unopened[0]


def test_a_link_to_a_drive_that_is_away(watched: Library, folder: Path) -> None:
    away = folder.with_name("drive")
    (folder / "trip").rename(away)
    (folder / "trip").symlink_to(away)
    assert look(watched).count == 0
    away.rename(folder.with_name("elsewhere"))
    changes = look(watched)
    assert changes.count == 0 and changes.unseen == 1


def test_folders_are_watched_and_no_longer(library: Library, folder: Path) -> None:
    operation_id = library.folders.add(f" {folder}/ ", copy=True)
    (entry,) = library.folders.list_all()
    assert (entry.path, entry.copy) == (str(folder), True)
    assert library.operation(operation_id).title == f"Started watching {folder}"
    (library.home / "inside").mkdir()
    for path, message in (
        (str(folder), "is watched already"),
        (str(folder / "trip"), "lies in"),
        (str(folder.parent), "lies in it"),
        ("relative", "full path"),
        ("", "full path"),
        (str(folder / "0.png"), "no such folder"),
        (str(library.home / "inside"), "own folder"),
    ):
        with pytest.raises(OptionError, match=message):
            library.folders.add(path)
    undo = library.undo(operation_id)
    assert (undo.changed, undo.entries, library.folders.list_all()) == (0, 1, [])
    library.undo(undo.operation_id)
    removal = library.folders.remove(str(folder))
    assert library.folders.list_all() == [] and library.folders.find_changes() == []
    library.undo(removal)
    assert [each.path for each in library.folders.list_all()] == [str(folder)]
    with pytest.raises(OptionError, match="not watched"):
        library.folders.remove("/nowhere")


def test_names_that_are_no_text_are_watched_too(library: Library, tmp_path: Path) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path.resolve()) + b"/f\xff"))
    write(folder / "0.png", 0)
    library.folders.add(str(folder))
    assert update(library).counts == {"added": 1}
    (library.home / "watched.json").write_text("{")  # it may be damaged
    assert look(library).count == 0


def test_others_write_while_a_folder_is_walked(
    watched: Library, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slow drive takes minutes: a snapshot held so long would let SQLite's log grow."""
    walk = changes_module.walk_folders
    busy = []

    def walk_slowly(*arguments: Any) -> Iterator[Any]:
        watched.rate(watched.find_ids(), 5)
        with sqlite3.connect(watched.home / "catalogue.db") as connection:
            busy.append(connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0])
        connection.close()
        yield from walk(*arguments)

    monkeypatch.setattr(changes_module, "walk_folders", walk_slowly)
    write(folder / "4.png", 4)
    assert look(watched).describe() == "1 new"
    assert busy == [0]
