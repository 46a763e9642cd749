"""Work on a fixed number of threads, with a bounded queue before them."""

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

NICENESS = 10  # of what computes: whatever waits for a moment's work, such as an answer, goes first


class WorkerPool:
    """Threads that decode and tag; what waits for them is bounded, so that latency is, too."""

    def __init__(self, workers: int, queue: int) -> None:
        """`queue` is how many pieces of work may wait beside those being done."""
        if workers < 1 or queue < 0:
            raise OptionError(f"{workers} workers, a queue of {queue}: give at least 1 and 0")
        self.workers, self.queue = workers, queue
        self._pool = ThreadPoolExecutor(workers, "engine", initializer=_give_way)
        self._lock = threading.Lock()
        self._inside = 0

    @property
    def queued(self) -> int:
        """Pieces of work that wait for a thread."""
        return max(0, self._inside - self.workers)

    def submit(self, works: Sequence[Callable[[], T]]) -> list[Future[T]]:
        """Begin all of them, or none: raises BusyError where there is no room.

        Into an empty queue any number goes, since it would otherwise never be done.
        """
        with self._lock:
            room = self.workers + self.queue - self._inside
            if len(works) > room and self._inside:
                raise BusyError("busy: try again in a moment")
            self._inside += len(works)
        begun = [self._pool.submit(work) for work in works]
        for future in begun:
            future.add_done_callback(self._left)
        return begun

    def run_on_each_thread(self, work: Callable[[], None]) -> None:
        """Do something once on each thread, and wait: to have it ready before the first request."""
        together = threading.Barrier(self.workers)

        def once() -> None:
            together.wait()
            work()

        for future in [self._pool.submit(once) for _ in range(self.workers)]:
            future.result()

    def close(self) -> None:
        """Finish what was begun."""
        self._pool.shutdown(wait=True)

    def _left(self, future: Future[T]) -> None:
        with self._lock:
            self._inside -= 1


def _give_way() -> None:
    """Linux alone has this for one thread; elsewhere it would be for the whole process."""
    if sys.platform == "linux":
        thread = threading.get_native_id()
        nicer = min(19, os.getpriority(os.PRIO_PROCESS, thread) + NICENESS)
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, thread, nicer)
