"""Ordered parallel map with bounded look-ahead, batches, progress callbacks, BLAS threads."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from typing import Any, Protocol, TypeVar

from threadpoolctl import ThreadpoolController

from tagger.errors import OptionError

T = TypeVar("T")
R = TypeVar("R")

AHEAD = 4  # items submitted for each worker before the first result is taken


class Progress(Protocol):
    """Wraps an iterable of `total` items and shows how far it is, as tqdm does."""

    def __call__(self, items: Iterable[T], total: int, stage: str) -> Iterable[T]: ...


def silent(items: Iterable[T], total: int, stage: str) -> Iterable[T]:
    """The `Progress` that shows nothing."""
    return items


def worker_count() -> int:
    """The number of cores this process may use."""
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
    """`function` of each item, in order, on threads. Exceptions are raised in their item's turn.

    Threads are enough because decoding and the network release the GIL. At most
    `workers * AHEAD` items are held, so the iterable may be endless.
    """
    workers = worker_count() if workers is None else workers
    check_workers(workers)
    source = iter(items)
    futures: deque[Future[R]] = deque()
    pool = ThreadPoolExecutor(workers, thread_name_prefix="tagger")

    def submit(count: int) -> None:
        try:
            futures.extend(pool.submit(function, item) for item in islice(source, count))
        except Exception as error:  # noqa: BLE001 - of the iterable itself; raised in its turn
            failed: Future[R] = Future()
            failed.set_exception(error)
            futures.append(failed)

    try:
        submit(workers * AHEAD)
        while futures:
            result = futures.popleft().result()
            submit(1)
            yield result
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def merge_batches(batches: Iterable[Sequence[T]], size: int, seconds: float) -> Iterator[list[T]]:
    """Join batches until there are `size` items or `seconds` have passed.

    For transactions, whose cost hardly depends on their size.
    """
    merged: list[T] = []
    started = time.monotonic()
    for batch in batches:
        merged += batch
        if len(merged) >= size or time.monotonic() - started >= seconds:
            yield merged
            merged = []
            started = time.monotonic()
    if merged:
        yield merged


class _BlasThreads:
    """Reference-counted limit of NumPy's BLAS to one thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._libraries: ThreadpoolController | None = None  # slow to make: at first use
        self._holders = 0
        self._limiter: Any = None

    def acquire(self) -> None:
        with self._lock:
            if not self._holders:
                self._libraries = self._libraries or ThreadpoolController()
                self._limiter = self._libraries.limit(limits=1, user_api="blas")
            self._holders += 1

    def release(self) -> None:
        with self._lock:
            self._holders -= 1
            if not self._holders:
                self._limiter.restore_original_limits()


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Limit BLAS to one thread in this process.

    When every core already has a worker, NumPy's own threads only compete with them: tagging on
    two cores took a third longer. Changing the limit is slow, so wrap a whole loop in it.
    """
    _BLAS.acquire()
    try:
        yield
    finally:
        _BLAS.release()


_BLAS = _BlasThreads()


def chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Lists of `size` items in order; the last may be shorter."""
    source = iter(items)
    while chunk := list(islice(source, size)):
        yield chunk
