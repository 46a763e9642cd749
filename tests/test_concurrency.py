"""Work on threads: in order, errors in turn, never far ahead."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from itertools import count, islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from threadpoolctl import threadpool_info

from tagger.concurrency import (
    AHEAD,
    chunks,
    merge_batches,
    one_blas_thread,
    ordered_map,
    silent,
    worker_count,
)
from tagger.errors import OptionError

quick = settings(deadline=None, max_examples=30)


@quick
@given(st.lists(st.integers(), max_size=60), st.integers(1, 4))
def test_answers_come_in_order(items: list[int], workers: int) -> None:
    def slow_when_even(item: int) -> int:
        time.sleep(0.0005 * (item % 2 == 0))
        return item * 2

    assert list(ordered_map(slow_when_even, items, workers)) == [item * 2 for item in items]


def test_an_error_is_raised_in_its_turn() -> None:
    def halve(item: int) -> float:
        if item == 5:
            raise ValueError("five")
        return item / 2

    results = ordered_map(halve, range(100), workers=3)
    assert list(islice(results, 5)) == [0, 0.5, 1, 1.5, 2]
    with pytest.raises(ValueError, match="five"):
        next(results)
    assert list(results) == []


@quick
@given(st.integers(1, 4), st.integers(0, 30))
def test_few_items_are_taken_ahead(workers: int, expected: int) -> None:
    taken = []

    def endless() -> Iterator[int]:
        for number in count():
            taken.append(number)
            yield number

    results = ordered_map(str, endless(), workers)
    assert not taken
    for number in range(expected):
        assert next(results) == str(number)
        assert len(taken) <= number + 1 + workers * AHEAD
    results.close()  # type: ignore[attr-defined]
    assert len(taken) <= expected + workers * AHEAD + 1


def test_workers_work_at_the_same_time() -> None:
    meeting = threading.Barrier(3, timeout=20)
    arrived = list(ordered_map(lambda _: meeting.wait() >= 0, range(6), workers=3))
    assert arrived == [True] * 6


def test_no_thread_is_left_behind() -> None:
    before = threading.active_count()
    results = ordered_map(str, count(), workers=4)
    next(results)
    assert threading.active_count() > before
    results.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before


def test_by_default_there_is_a_worker_for_each_core() -> None:
    names = set(ordered_map(lambda _: threading.current_thread().name, range(200)))
    assert 1 <= len(names) <= worker_count()


@pytest.mark.parametrize("workers", [0, -3])
def test_no_workers_is_refused(workers: int) -> None:
    with pytest.raises(OptionError, match=f"workers {workers}: give 1 or more"):
        next(ordered_map(str, [1], workers))


def test_blas_is_limited_to_one_thread_and_then_released() -> None:
    def blas_threads() -> list[int]:
        return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]

    before = blas_threads()
    with one_blas_thread():
        assert set(blas_threads()) == {1}
    assert blas_threads() == before


def test_blas_stays_limited_until_the_last_holder_releases_it() -> None:
    def blas_threads() -> list[int]:
        return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]

    before = blas_threads()
    first, second = one_blas_thread(), one_blas_thread()
    first.__enter__()
    with pytest.raises(ZeroDivisionError), second:
        first.__exit__(None, None, None)
        assert set(blas_threads()) == {1}
        raise ZeroDivisionError
    assert blas_threads() == before


@quick
@given(st.lists(st.integers(), max_size=30), st.integers(1, 8))
def test_chunks_hold_every_item_once(items: list[int], size: int) -> None:
    results = list(chunks(iter(items), size))
    assert [item for chunk in results for item in chunk] == items
    assert all(len(chunk) == size for chunk in results[:-1])
    assert all(0 < len(chunk) <= size for chunk in results)


def test_chunks_of_an_endless_iterable() -> None:
    assert next(chunks(count(), 3)) == [0, 1, 2]


def test_silent_progress_passes_items_on() -> None:
    assert list(silent(iter("abc"), 3, "Reading")) == ["a", "b", "c"]


def test_an_error_of_the_source_is_raised_in_its_turn():
    def source():
        yield from range(3)
        raise ValueError("no more")

    results, received = ordered_map(str, source(), workers=2), []
    with pytest.raises(ValueError, match="no more"):
        for item in results:
            received.append(item)
    assert received == ["0", "1", "2"]


def test_batches_that_arrive_quickly_are_joined() -> None:
    batches = [[number] * 3 for number in range(5)]
    assert [len(merged) for merged in merge_batches(batches, 6, 60)] == [6, 6, 3]
    assert list(merge_batches(batches, 100, 0)) == batches  # each takes longer than that
    assert list(merge_batches([], 6, 60)) == []
