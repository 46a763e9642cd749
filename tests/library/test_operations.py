"""Runs as they are told: which are going on, how far, how long still, what became of files."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tagger.errors import OptionError
from tagger.jobs.requests import ImportFolderRequest, submit
from tagger.library import operations
from tagger.library.library import Library
from tagger.library.operations import STALE, Operation
from tests.conftest import draw_collection, forget_heartbeat, import_folder


@pytest.fixture
def run(library: Library, tmp_path: Path) -> Operation:
    """An import that waits for its process."""
    return library.operation(submit(library, ImportFolderRequest(str(tmp_path), model="pets")))


def test_how_far_it_is_and_how_long_still(run: Operation) -> None:
    assert (run.progress, run.seconds_left) == (None, None)
    begun = datetime.now(UTC) - timedelta(seconds=10)
    going = replace(run, status="running", total=100, done=30, paced_at=begun, paced_from=10)
    assert going.progress == 0.3
    assert going.seconds_left == pytest.approx(10 * 70 / 20, rel=0.1)
    assert replace(going, done=10).seconds_left is None, "nothing yet to tell the pace from"
    assert replace(going, status="stopped").seconds_left is None
    assert replace(going, done=140).progress == 1


def test_who_shows_no_sign_of_life_is_stale(library: Library, run: Operation) -> None:
    assert not run.stale
    forget_heartbeat(library, run.id)
    assert library.operation(run.id).stale
    now = datetime.now(UTC)
    assert operations.is_heartbeat_fresh(now - STALE / 2)
    assert not operations.is_heartbeat_fresh(now - 2 * STALE)
    assert not operations.is_heartbeat_fresh(now + 2 * STALE)
    assert not replace(run, status="done", heartbeat_at=None).stale


def test_what_may_be_done_with_a_run_follows_from_its_end(run: Operation) -> None:
    assert (run.active, run.resumable, run.undoable) == (True, False, False)
    stopped = replace(run, status="stopped")
    assert (stopped.active, stopped.resumable, stopped.undoable) == (False, True, True)
    assert not replace(stopped, undone_by=9).resumable
    assert not replace(stopped, undone_by=9).undoable
    assert not replace(stopped, kind="train").undoable
    assert not replace(stopped, kind="edit").resumable


def test_the_newest_come_first_of_the_kinds_asked_for(library: Library, tmp_path: Path) -> None:
    imported = import_folder(library, draw_collection(tmp_path / "p", 1, shapes=("disc",)))
    (photo,) = library.photos()
    edits = [library.edit_tags([photo.id], add=[name]) for name in "abc"]
    assert [run.id for run in library.operations()] == [*reversed(edits), imported.id]
    assert [run.id for run in library.operations(2)] == edits[:0:-1]
    assert [run.id for run in library.operations(kinds=["import", "train"])] == [imported.id]
    assert library.operations(active=True) == []
    with pytest.raises(OptionError, match="none of that number"):
        library.operation(0)


def test_files_are_told_by_what_became_of_them(library: Library, tmp_path: Path) -> None:
    folder = draw_collection(tmp_path / "p", 3, shapes=("disc",))
    (folder / "broken.jpg").write_bytes(b"no photo")
    run = import_folder(library, folder)
    assert run.counts == {"added": 3, "failed": 1}
    added = library.operation_files(run.id, "added", limit=2)
    assert [file.name for file in added] == ["000.jpg", "001.jpg"]
    assert all(file.photo_name == file.name and file.reason is None for file in added)
    (failed,) = library.operation_files(run.id, "failed")
    assert (failed.path, failed.photo_id) == (str(folder / "broken.jpg"), None)
    assert "not a JPEG" in (failed.reason or "")
