"""Tagging jobs on files that crash a decoder: they fail, the rest is imported."""

from __future__ import annotations

from pathlib import Path

import pytest

from tagger.jobs import tagging, worker
from tagger.jobs.requests import ImportFolderRequest, RetagRequest, submit
from tagger.library import operations
from tagger.library.library import Library
from tests.conftest import expire_heartbeat, import_folder
from tests.jobs.test_crash_probe import bad_decoder, write_photos  # noqa: F401 - the fixture
from tests.jobs.test_worker import start_process


def run_in_process(library: Library, job_id: int) -> int:
    """Run the job in a new process, as after the death of the one before; its exit status."""
    expire_heartbeat(library, job_id)
    return start_process(library, job_id).wait()


@pytest.mark.usefixtures("bad_decoder")
def test_a_file_that_crashes_the_process_fails_and_the_others_are_imported(
    library: Library, tmp_path: Path
) -> None:
    write_photos(tmp_path / "photos", 5, crashing={1, 3})
    job_id = submit(library, ImportFolderRequest(str(tmp_path / "photos"), model="pets"))
    assert run_in_process(library, job_id) < 0
    assert library.operation(job_id).active
    assert run_in_process(library, job_id) == 0
    job = library.operation(job_id)
    assert (job.status, job.counts) == ("done", {"added": 3, "failed": 2})
    assert (job.total, job.done) == (5, 5)
    failed = [(file.name, file.reason) for file in library.operation_files(job_id, "failed")]
    assert failed == [("1.jpg", tagging.CRASH_REASON), ("3.jpg", tagging.CRASH_REASON)]
    assert {photo.name for photo in library.photos()} == {"0.jpg", "2.jpg", "4.jpg"}


def test_a_job_that_died_for_another_reason_fails_no_file(library: Library, tmp_path: Path) -> None:
    write_photos(tmp_path / "photos", 3, crashing=set())
    job_id = submit(library, ImportFolderRequest(str(tmp_path / "photos"), model="pets"))
    with library.database.write_transaction() as connection:
        operations.set_columns(connection, job_id, attempts=1, status="running")
    expire_heartbeat(library, job_id)
    worker.run(library, job_id)
    assert library.operation(job_id).counts == {"added": 3}


def test_photos_of_the_library_are_probed_too(library: Library, tmp_path: Path) -> None:
    write_photos(tmp_path / "photos", 2, crashing=set())
    import_folder(library, tmp_path / "photos")
    job_id = submit(library, RetagRequest(model="pets"))
    with library.database.write_transaction() as connection:
        operations.set_columns(connection, job_id, attempts=1, status="running")
    expire_heartbeat(library, job_id)
    worker.run(library, job_id)
    assert library.operation(job_id).counts == {"same": 2}
