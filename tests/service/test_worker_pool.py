"""WorkerPool: results, the bounded queue, threads and their priority."""

from __future__ import annotations

import os
import sys
import threading

import pytest

from tagger.errors import BusyError, OptionError
from tagger.service.worker_pool import NICENESS, WorkerPool
from tests.conftest import TIMEOUT


def test_results_come_in_the_order_of_the_tasks() -> None:
    pool = WorkerPool(2, 8)
    futures = pool.submit([lambda number=number: number * number for number in range(10)])
    assert [future.result(TIMEOUT) for future in futures] == [n * n for n in range(10)]
    assert pool.queued == 0
    pool.close()


def test_a_full_queue_refuses_all_tasks_and_has_room_again_later() -> None:
    pool, go = WorkerPool(1, 2), threading.Event()
    blocked = pool.submit([lambda: go.wait(TIMEOUT)] * 2)
    assert pool.queued == 1
    with pytest.raises(BusyError, match="try again"):
        pool.submit([int, int])
    (last,) = pool.submit([int])
    with pytest.raises(BusyError):
        pool.submit([int])
    go.set()
    assert [future.result(TIMEOUT) for future in (*blocked, last)] == [True, True, 0]
    pool.close()
    assert pool.queued == 0


def test_an_idle_pool_takes_more_tasks_than_its_queue() -> None:
    """A request of many photos would otherwise never be answered."""
    pool = WorkerPool(1, 0)
    assert [future.result(TIMEOUT) for future in pool.submit([int] * 5)] == [0] * 5
    pool.close()


def test_failed_and_cancelled_tasks_leave_the_queue() -> None:
    pool, go = WorkerPool(1, 1), threading.Event()
    first, second = pool.submit([lambda: go.wait(TIMEOUT), int])
    assert second.cancel()
    go.set()
    assert first.result(TIMEOUT)
    (failed,) = pool.submit([lambda: 1 // 0])
    assert isinstance(failed.exception(TIMEOUT), ZeroDivisionError)
    assert [future.result(TIMEOUT) for future in pool.submit([int, int])] == [0, 0]
    pool.close()


def test_a_task_runs_on_each_thread() -> None:
    pool, threads = WorkerPool(3, 0), set()
    pool.run_on_each_thread(lambda: threads.add(threading.get_ident()))
    assert len(threads) == 3 and threading.get_ident() not in threads
    pool.close()


def test_invalid_sizes_are_refused() -> None:
    for workers, queue in ((0, 1), (1, -1)):
        with pytest.raises(OptionError, match="at least 1 and 0"):
            WorkerPool(workers, queue)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has priorities of threads")
def test_workers_have_a_lower_priority_than_the_caller() -> None:
    pool = WorkerPool(1, 0)
    own = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    (workers,) = pool.submit([lambda: os.getpriority(os.PRIO_PROCESS, threading.get_native_id())])
    assert workers.result(TIMEOUT) == min(19, own + NICENESS)
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == own
    pool.close()
