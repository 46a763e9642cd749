"""A process's hold on a run: one at a time, lost with its heartbeat, given up in the end."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tagger.jobs import worker
from tagger.jobs.lease import MAX_ATTEMPTS, MAX_RUNNING, TURN_SECONDS, Claim, Lost, Stopped
from tagger.library import operations
from tagger.library.library import Library
from tests.conftest import PATIENCE, forget_heartbeat, wait_until


@pytest.fixture
def claim(library: Library, tmp_path: Path) -> Claim:
    """A run of an empty folder, held."""
    claim = Claim(library, library.plan_folder_import(str(tmp_path), model="pets"))
    assert claim.take()
    return claim


def test_how_far_a_loop_is_can_be_seen_from_outside(claim: Claim) -> None:
    seen = []
    for item in claim.progress("abc", total=3, what="Reading letters"):
        seen.append((item, claim.run.stage, claim.run.total))
    assert seen == [(letter, "Reading letters", 3) for letter in "abc"]
    assert claim.run.done == 3
    assert claim.run.progress == 1


def test_whoever_is_asked_to_stop_writes_nothing_more(claim: Claim) -> None:
    claim.library.stop(claim.run_id)
    with pytest.raises(Stopped), claim.writing() as connection:
        claim.advance(connection, 1)
    assert claim.run.done == 0
    claim.finish("stopped")
    assert (claim.run.status, claim.run.active) == ("stopped", False)
    assert claim.run.finished_at is not None


def test_getting_on_begins_the_count_of_attempts_anew(claim: Claim) -> None:
    assert claim.run.attempts == 1
    with claim.writing() as connection:
        claim.advance(connection, 1)
    assert (claim.run.attempts, claim.run.done) == (0, 1)


def test_a_run_that_is_over_cannot_be_taken(claim: Claim) -> None:
    claim.finish("done")
    assert not Claim(claim.library, claim.run_id).take()
    assert not Claim(claim.library, 4711).take()


def test_a_run_is_held_by_one_process(library: Library, shapes: Path) -> None:
    run_id = library.plan_folder_import(str(shapes), model="pets")
    first, second = Claim(library, run_id), Claim(library, run_id)
    assert first.take()
    assert not second.take()
    forget_heartbeat(library, run_id)
    assert second.take()
    with pytest.raises(Lost), first.writing():
        pass
    with second.writing() as connection:
        second.advance(connection, 1)
    first.finish("failed", error="must not be seen")
    assert library.operation(run_id).status == "running"


def test_what_breaks_off_again_and_again_is_given_up(library: Library, shapes: Path) -> None:
    run_id = library.plan_folder_import(str(shapes), model="pets")
    for _ in range(MAX_ATTEMPTS):
        assert Claim(library, run_id).take()
        forget_heartbeat(library, run_id)
    assert not Claim(library, run_id).take()
    run = library.operation(run_id)
    assert run.status == "failed"
    assert "broke off 3 times" in (run.error or "")
    library.plan_again(run_id)
    worker.run(library, run_id)
    assert library.operation(run_id).counts == {"added": 120}


def test_a_heart_beats(library: Library, shapes: Path) -> None:
    run_id = library.plan_folder_import(str(shapes), model="pets")
    claim = Claim(library, run_id)
    assert claim.take()
    first = library.operation(run_id).heartbeat_at
    with claim.held():
        wait_until(lambda: library.operation(run_id).heartbeat_at != first)
    claim.finish("stopped")


def test_a_clock_set_back_does_not_keep_a_dead_run_alive(library: Library, shapes: Path) -> None:
    run_id = library.plan_folder_import(str(shapes), model="pets")
    assert Claim(library, run_id).take()
    with library.database.write_transaction() as connection:
        ahead = datetime.now(UTC) + timedelta(hours=1)
        operations.set_columns(connection, run_id, heartbeat_at=ahead)
    assert library.operation(run_id).stale
    assert Claim(library, run_id).take()


def test_who_was_given_up_writes_no_more(library: Library, shapes: Path) -> None:
    run_id = library.plan_folder_import(str(shapes), model="pets")
    held = [Claim(library, run_id) for _ in range(MAX_ATTEMPTS)]
    for claim in held:
        assert claim.take()
        forget_heartbeat(library, run_id)
    assert not Claim(library, run_id).take()
    with pytest.raises(Lost), held[-1].writing():
        pass


def test_jobs_wait_for_their_turn(library: Library, shapes: Path) -> None:
    def plan() -> int:
        return library.plan_folder_import(str(shapes), model="pets")

    held = [Claim(library, plan()) for _ in range(MAX_RUNNING)]
    assert all(claim.take() for claim in held)
    waiting = plan()
    done = threading.Thread(target=worker.run, args=(library, waiting))
    done.start()
    time.sleep(2 * TURN_SECONDS)
    assert library.operation(waiting).status == "queued"
    held[0].finish("stopped")
    done.join(PATIENCE)
    assert library.operation(waiting).status == "done"
