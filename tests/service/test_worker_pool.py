"""Work on few threads, with a bounded queue."""

from __future__ import annotations

import os
import sys
import threading

import pytest

from tagger.errors import BusyError, OptionError
from tagger.service.worker_pool import NICENESS, WorkerPool
from tests.conftest import PATIENCE


def test_what_is_begun_is_done_and_told_in_its_place() -> None:
    engine = WorkerPool(2, 8)
    futures = engine.submit([lambda number=number: number * number for number in range(10)])
    assert [future.result(PATIENCE) for future in futures] == [n * n for n in range(10)]
    assert engine.queued == 0
    engine.close()


def test_a_full_queue_refuses_all_of_it_and_has_room_again_later() -> None:
    engine, go = WorkerPool(1, 2), threading.Event()
    held = engine.submit([lambda: go.wait(PATIENCE)] * 2)
    assert engine.queued == 1
    with pytest.raises(BusyError, match="try again"):
        engine.submit([int, int])
    (last,) = engine.submit([int])
    with pytest.raises(BusyError):
        engine.submit([int])
    go.set()
    assert [future.result(PATIENCE) for future in (*held, last)] == [True, True, 0]
    engine.close()
    assert engine.queued == 0


def test_more_than_fits_is_done_where_nothing_waits() -> None:
    """A request of many photos would otherwise never be answered."""
    engine = WorkerPool(1, 0)
    assert [future.result(PATIENCE) for future in engine.submit([int] * 5)] == [0] * 5
    engine.close()


def test_what_fails_or_is_given_up_leaves_its_room() -> None:
    engine, go = WorkerPool(1, 1), threading.Event()
    first, second = engine.submit([lambda: go.wait(PATIENCE), int])
    assert second.cancel()
    go.set()
    assert first.result(PATIENCE)
    (failed,) = engine.submit([lambda: 1 // 0])
    assert isinstance(failed.exception(PATIENCE), ZeroDivisionError)
    assert [future.result(PATIENCE) for future in engine.submit([int, int])] == [0, 0]
    engine.close()


def test_every_thread_is_made_ready() -> None:
    engine, seen = WorkerPool(3, 0), set()
    engine.run_on_each_thread(lambda: seen.add(threading.get_ident()))
    assert len(seen) == 3 and threading.get_ident() not in seen
    engine.close()


def test_no_threads_at_all_are_refused() -> None:
    for workers, queue in ((0, 1), (1, -1)):
        with pytest.raises(OptionError, match="at least 1 and 0"):
            WorkerPool(workers, queue)


@pytest.mark.skipif(sys.platform != "linux", reason="a thread has no priority of its own here")
def test_what_computes_gives_way_to_what_answers() -> None:
    engine = WorkerPool(1, 0)
    ours = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    (theirs,) = engine.submit([lambda: os.getpriority(os.PRIO_PROCESS, threading.get_native_id())])
    assert theirs.result(PATIENCE) == min(19, ours + NICENESS)
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == ours
    engine.close()
