"""Operations: progress, time left, liveness, what can be done with them, and their files."""

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
from tests.conftest import draw_collection, expire_heartbeat, import_folder


@pytest.fixture
def operation(library: Library, tmp_path: Path) -> Operation:
    """A queued import."""
    return library.operation(submit(library, ImportFolderRequest(str(tmp_path), model="pets")))


def test_progress_and_time_left_follow_the_pace_of_the_stage(operation: Operation) -> None:
    assert (operation.progress, operation.seconds_left) == (None, None)
    begun = datetime.now(UTC) - timedelta(seconds=10)
    running = replace(
        operation, status="running", total=100, done=30, paced_at=begun, paced_from=10
    )
    assert running.progress == 0.3
    assert running.seconds_left == pytest.approx(10 * 70 / 20, rel=0.1)
    assert replace(running, done=10).seconds_left is None, "no pace yet"
    assert replace(running, status="stopped").seconds_left is None
    assert replace(running, done=140).progress == 1


def test_an_operation_without_a_recent_heartbeat_is_stale(
    library: Library, operation: Operation
) -> None:
    assert not operation.stale
    expire_heartbeat(library, operation.id)
    assert library.operation(operation.id).stale
    now = datetime.now(UTC)
    assert operations.is_heartbeat_fresh(now - STALE / 2)
    assert not operations.is_heartbeat_fresh(now - 2 * STALE)
    assert not operations.is_heartbeat_fresh(now + 2 * STALE)
    assert not replace(operation, status="done", heartbeat_at=None).stale


def test_status_and_kind_decide_whether_it_can_be_resumed_or_undone(operation: Operation) -> None:
    assert (operation.active, operation.resumable, operation.undoable) == (True, False, False)
    stopped = replace(operation, status="stopped")
    assert (stopped.active, stopped.resumable, stopped.undoable) == (False, True, True)
    assert not replace(stopped, undone_by=9).resumable
    assert not replace(stopped, undone_by=9).undoable
    assert not replace(stopped, kind="train").undoable
    assert not replace(stopped, kind="edit").resumable


def test_operations_are_listed_newest_first_and_by_kind(library: Library, tmp_path: Path) -> None:
    imported = import_folder(library, draw_collection(tmp_path / "p", 1, shapes=("disc",)))
    (photo,) = library.photos()
    edits = [library.edit_tags([photo.id], add=[name]) for name in "abc"]
    assert [operation.id for operation in library.operations()] == [*reversed(edits), imported.id]
    assert [operation.id for operation in library.operations(2)] == edits[:0:-1]
    assert [operation.id for operation in library.operations(kinds=["import", "train"])] == [
        imported.id
    ]
    assert library.operations(active=True) == []
    with pytest.raises(OptionError, match="none of that number"):
        library.operation(0)


def test_files_are_listed_by_outcome(library: Library, tmp_path: Path) -> None:
    folder = draw_collection(tmp_path / "p", 3, shapes=("disc",))
    (folder / "broken.jpg").write_bytes(b"no photo")
    operation = import_folder(library, folder)
    assert operation.counts == {"added": 3, "failed": 1}
    added = library.operation_files(operation.id, "added", limit=2)
    assert [file.name for file in added] == ["000.jpg", "001.jpg"]
    assert all(file.photo_name == file.name and file.reason is None for file in added)
    (failed,) = library.operation_files(operation.id, "failed")
    assert (failed.path, failed.photo_id) == (str(folder / "broken.jpg"), None)
    assert "not a JPEG" in (failed.reason or "")
