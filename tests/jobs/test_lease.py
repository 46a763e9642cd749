"""Leases: one process a job, lost without a heartbeat, given up after three failed attempts."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tagger.jobs import worker
from tagger.jobs.lease import MAX_ATTEMPTS, MAX_RUNNING, POLL_SECONDS, JobStopped, Lease, LeaseLost
from tagger.jobs.requests import ImportFolderRequest, resume, submit
from tagger.library import operations
from tagger.library.library import Library
from tests.conftest import TIMEOUT, expire_heartbeat, wait_until


@pytest.fixture
def lease(library: Library, tmp_path: Path) -> Lease:
    """The lease on an import of an empty folder."""
    lease = Lease(library, submit(library, ImportFolderRequest(str(tmp_path), model="pets")))
    assert lease.acquire()
    return lease


def test_the_progress_of_a_loop_is_visible_in_the_job(lease: Lease) -> None:
    progress = []
    for item in lease.track_progress("abc", total=3, stage="Reading letters"):
        progress.append((item, lease.job.stage, lease.job.total))
    assert progress == [(letter, "Reading letters", 3) for letter in "abc"]
    assert lease.job.done == 3
    assert lease.job.progress == 1


def test_a_stopped_job_writes_nothing_more(lease: Lease) -> None:
    lease.library.stop(lease.job_id)
    with pytest.raises(JobStopped), lease.write_transaction() as connection:
        lease.add_done(connection, 1)
    assert lease.job.done == 0
    lease.release("stopped")
    assert (lease.job.status, lease.job.active) == ("stopped", False)
    assert lease.job.finished_at is not None


def test_a_processed_item_resets_the_count_of_attempts(lease: Lease) -> None:
    assert lease.job.attempts == 1
    with lease.write_transaction() as connection:
        lease.add_done(connection, 1)
    assert (lease.job.attempts, lease.job.done) == (0, 1)


def test_a_job_that_has_ended_cannot_be_acquired(lease: Lease) -> None:
    lease.release("done")
    assert not Lease(lease.library, lease.job_id).acquire()
    assert not Lease(lease.library, 4711).acquire()


def test_a_job_is_leased_to_one_process_at_a_time(library: Library, shapes: Path) -> None:
    job_id = submit(library, ImportFolderRequest(str(shapes), model="pets"))
    first, second = Lease(library, job_id), Lease(library, job_id)
    assert first.acquire()
    assert not second.acquire()
    expire_heartbeat(library, job_id)
    assert second.acquire()
    with pytest.raises(LeaseLost), first.write_transaction():
        pass
    with second.write_transaction() as connection:
        second.add_done(connection, 1)
    first.release("failed", error="must not be seen")
    assert library.operation(job_id).status == "running"


def test_a_job_whose_process_dies_three_times_has_failed(library: Library, shapes: Path) -> None:
    job_id = submit(library, ImportFolderRequest(str(shapes), model="pets"))
    for _ in range(MAX_ATTEMPTS):
        assert Lease(library, job_id).acquire()
        expire_heartbeat(library, job_id)
    assert not Lease(library, job_id).acquire()
    job = library.operation(job_id)
    assert job.status == "failed"
    assert "broke off 3 times" in (job.error or "")
    resume(library, job_id)
    worker.run(library, job_id)
    assert library.operation(job_id).counts == {"added": 120}


def test_a_lease_that_is_kept_alive_sends_heartbeats(library: Library, shapes: Path) -> None:
    job_id = submit(library, ImportFolderRequest(str(shapes), model="pets"))
    lease = Lease(library, job_id)
    assert lease.acquire()
    first = library.operation(job_id).heartbeat_at
    with lease.keep_alive():
        wait_until(lambda: library.operation(job_id).heartbeat_at != first)
    lease.release("stopped")


def test_a_heartbeat_in_the_future_counts_as_stale(library: Library, shapes: Path) -> None:
    job_id = submit(library, ImportFolderRequest(str(shapes), model="pets"))
    assert Lease(library, job_id).acquire()
    with library.database.write_transaction() as connection:
        ahead = datetime.now(UTC) + timedelta(hours=1)
        operations.set_columns(connection, job_id, heartbeat_at=ahead)
    assert library.operation(job_id).stale
    assert Lease(library, job_id).acquire()


def test_a_job_that_was_given_up_writes_nothing_more(library: Library, shapes: Path) -> None:
    job_id = submit(library, ImportFolderRequest(str(shapes), model="pets"))
    held = [Lease(library, job_id) for _ in range(MAX_ATTEMPTS)]
    for lease in held:
        assert lease.acquire()
        expire_heartbeat(library, job_id)
    assert not Lease(library, job_id).acquire()
    with pytest.raises(LeaseLost), held[-1].write_transaction():
        pass


def test_a_job_stays_queued_while_too_many_run(library: Library, shapes: Path) -> None:
    request = ImportFolderRequest(str(shapes), model="pets")
    held = [Lease(library, submit(library, request)) for _ in range(MAX_RUNNING)]
    assert all(lease.acquire() for lease in held)
    queued = submit(library, request)
    thread = threading.Thread(target=worker.run, args=(library, queued))
    thread.start()
    time.sleep(2 * POLL_SECONDS)
    assert library.operation(queued).status == "queued"
    held[0].release("stopped")
    thread.join(TIMEOUT)
    assert library.operation(queued).status == "done"
