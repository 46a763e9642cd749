"""Work on every core at once, answers in order, never more than a few items held."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from typing import Any, Protocol, TypeVar

from threadpoolctl import ThreadpoolController

from tagger.errors import OptionError

T = TypeVar("T")
R = TypeVar("R")

AHEAD = 4  # items begun for each worker before the first is asked for


class Progress(Protocol):
    """How a long loop shows itself: wraps an iterable of `total` items (tqdm does it)."""

    def __call__(self, items: Iterable[T], total: int, what: str) -> Iterable[T]: ...


def silent(items: Iterable[T], total: int, what: str) -> Iterable[T]:
    """A `Progress` that shows nothing."""
    return items


def worker_count() -> int:
    """One for each core this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def check_workers(workers: int) -> None:
    """OptionError unless 1 or more."""
    if workers < 1:
        raise OptionError(f"workers {workers}: give 1 or more")


def ordered_map(
    function: Callable[[T], R], items: Iterable[T], workers: int | None = None
) -> Iterator[R]:
    """`function` of each item, in order, on threads; the first exception is raised in its turn.

    Threads, since decoding and the network release the GIL. Items are taken as they are needed,
    so an endless or huge iterable is fine.
    """
    workers = worker_count() if workers is None else workers
    check_workers(workers)
    source = iter(items)
    begun: deque[Future[R]] = deque()
    pool = ThreadPoolExecutor(workers, thread_name_prefix="tagger")

    def begin(count: int) -> None:
        try:
            begun.extend(pool.submit(function, item) for item in islice(source, count))
        except Exception as error:  # noqa: BLE001 - the source's own, raised in its turn
            failed: Future[R] = Future()
            failed.set_exception(error)
            begun.append(failed)

    try:
        begin(workers * AHEAD)
        while begun:
            result = begun.popleft().result()
            begin(1)
            yield result
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


class _BlasThreads:
    """How many threads NumPy's matrix products take: one, while anybody asks for that."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._libraries: ThreadpoolController | None = None  # looked for once they are needed
        self._asking = 0
        self._usual: Any = None

    def ask_for_one(self) -> None:
        with self._lock:
            if not self._asking:
                self._libraries = self._libraries or ThreadpoolController()
                self._usual = self._libraries.limit(limits=1, user_api="blas")
            self._asking += 1

    def leave(self) -> None:
        with self._lock:
            self._asking -= 1
            if not self._asking:
                self._usual.restore_original_limits()


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Keep matrix products on the calling thread, and on those of all others meanwhile.

    Where every core already has a worker, NumPy's own threads only spin against them: tagging on
    two cores took a third longer. The setting is the process's, and slow to change: whoever tags
    photo by photo asks for it once around them all.
    """
    _BLAS.ask_for_one()
    try:
        yield
    finally:
        _BLAS.leave()


_BLAS = _BlasThreads()


def chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Lists of `size` items in order; the last may be shorter."""
    source = iter(items)
    while chunk := list(islice(source, size)):
        yield chunk
