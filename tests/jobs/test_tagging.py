"""The jobs that tag, on files that mean trouble: each fails alone, and the rest goes on."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tagger.jobs import tagging, worker
from tagger.library import operations
from tagger.library.library import Library
from tagger.paths import ROOT
from tests.conftest import forget_heartbeat, import_folder
from tests.jobs.test_crash_probe import bad_decoder, write_photos  # noqa: F401 - the fixture


def attempt(library: Library, run_id: int) -> int:
    """The job in a process of its own, as if whatever held the run before had died."""
    forget_heartbeat(library, run_id)
    environment = {"TAGGER_HOME": str(library.home), "TAGGER_DATABASE": library.url}
    return subprocess.run(
        [sys.executable, "-m", "tagger.jobs.worker", str(run_id)],
        cwd=ROOT,
        env=os.environ | environment,
    ).returncode


@pytest.mark.usefixtures("bad_decoder")
def test_a_file_that_ends_the_process_fails_alone(library: Library, tmp_path: Path) -> None:
    write_photos(tmp_path / "photos", 5, fatal={1, 3})
    run_id = library.plan_folder_import(str(tmp_path / "photos"), model="pets")
    assert attempt(library, run_id) < 0
    assert library.operation(run_id).active
    assert attempt(library, run_id) == 0
    run = library.operation(run_id)
    assert (run.status, run.counts) == ("done", {"added": 3, "failed": 2})
    assert (run.total, run.done) == (5, 5)
    failed = [(file.name, file.reason) for file in library.operation_files(run_id, "failed")]
    assert failed == [("1.jpg", tagging.FATAL), ("3.jpg", tagging.FATAL)]
    assert {photo.name for photo in library.photos()} == {"0.jpg", "2.jpg", "4.jpg"}


def test_a_run_that_broke_off_for_another_reason_blames_no_file(
    library: Library, tmp_path: Path
) -> None:
    write_photos(tmp_path / "photos", 3, fatal=set())
    run_id = library.plan_folder_import(str(tmp_path / "photos"), model="pets")
    with library.database.write_transaction() as connection:
        operations.set_columns(connection, run_id, attempts=1, status="running")
    forget_heartbeat(library, run_id)
    worker.run(library, run_id)
    assert library.operation(run_id).counts == {"added": 3}


def test_a_photo_already_there_is_looked_at_where_it_lives(
    library: Library, tmp_path: Path
) -> None:
    write_photos(tmp_path / "photos", 2, fatal=set())
    import_folder(library, tmp_path / "photos")
    run_id = library.plan_retag(model="pets")
    with library.database.write_transaction() as connection:
        operations.set_columns(connection, run_id, attempts=1, status="running")
    forget_heartbeat(library, run_id)
    worker.run(library, run_id)
    assert library.operation(run_id).counts == {"same": 2}
