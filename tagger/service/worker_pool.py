"""Worker threads with a bounded queue."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

from tagger.errors import BusyError, OptionError

T = TypeVar("T")

NICENESS = 10  # of worker threads; threads with little to do, such as the event loop, go first


class WorkerPool:
    """Threads that decode and tag. The queue is bounded, so latency is as well."""

    def __init__(self, workers: int, queue: int) -> None:
        """`queue` is how many tasks may wait beside those that run."""
        if workers < 1 or queue < 0:
            raise OptionError(f"{workers} workers, a queue of {queue}: give at least 1 and 0")
        self.workers, self.queue = workers, queue
        self._pool = ThreadPoolExecutor(workers, "worker", initializer=_lower_priority)
        self._lock = threading.Lock()
        self._unfinished = 0

    @property
    def queued(self) -> int:
        """Tasks waiting for a thread."""
        return max(0, self._unfinished - self.workers)

    def submit(self, tasks: Sequence[Callable[[], T]]) -> list[Future[T]]:
        """Queue all tasks or none; BusyError if there is no room for all of them.

        An idle pool takes any number, since a request larger than the queue would always fail.
        """
        with self._lock:
            room = self.workers + self.queue - self._unfinished
            if len(tasks) > room and self._unfinished:
                raise BusyError("busy: try again in a moment")
            self._unfinished += len(tasks)
        futures = [self._pool.submit(task) for task in tasks]
        for future in futures:
            future.add_done_callback(self._on_done)
        return futures

    def run_on_each_thread(self, task: Callable[[], None]) -> None:
        """Run a task once on every thread, and wait: a warm-up before the first request."""
        barrier = threading.Barrier(self.workers)

        def run_once() -> None:
            barrier.wait()
            task()

        for future in [self._pool.submit(run_once) for _ in range(self.workers)]:
            future.result()

    def close(self) -> None:
        """Finish all queued tasks."""
        self._pool.shutdown(wait=True)

    def _on_done(self, future: Future[T]) -> None:
        with self._lock:
            self._unfinished -= 1


def _lower_priority() -> None:
    """On Linux alone, where a thread has a priority of its own."""
    if sys.platform == "linux":
        thread = threading.get_native_id()
        niceness = min(19, os.getpriority(os.PRIO_PROCESS, thread) + NICENESS)
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, thread, niceness)
