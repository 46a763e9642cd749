"""WorkerPool: results, the bounded queue, processes that are ended, photos that need memory."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from random import Random

import pytest

from tagger.errors import BusyError, ImageError, ImageFormatError, ImageTooLargeError, OptionError
from tagger.images import decode
from tagger.service import worker_pool
from tagger.service.worker_pool import PhotoTask, WorkerPool
from tagger.service.worker_process import NICENESS
from tagger.tagger import Tagger
from tests.conftest import TIMEOUT, draw, wait_until
from tests.service.hostile_photos import scan_jpeg

PHOTO = decode.encode(draw("disc", 1), "JPEG")
linux = pytest.mark.skipif(sys.platform != "linux", reason="stops processes, reads priorities")


@pytest.fixture
def pool(pets: Tagger) -> Iterator[WorkerPool]:
    """One worker, and one more process that large photos leave to small ones."""
    opened = WorkerPool(1, 4)
    opened.warm_up(pets)
    yield opened
    opened.close()
    assert not multiprocessing.active_children()


def process_ids() -> list[int]:
    return [child.pid or 0 for child in multiprocessing.active_children()]


def signal_all(number: int) -> None:
    for process_id in process_ids():
        os.kill(process_id, number)


def test_results_come_in_the_order_of_the_tasks(pool: WorkerPool, pets: Tagger) -> None:
    photos = [decode.encode(draw("disc", seed), "JPEG") for seed in range(5)]
    tasks = [PhotoTask(lambda: pets, photo, top=1, heatmap=True) for photo in photos]
    results = [future.result(TIMEOUT) for future in pool.submit(tasks)]
    assert [tagged.sha256 for _, tagged in results] == [
        hashlib.sha256(photo).hexdigest() for photo in photos
    ]
    for photo, (tagger, tagged) in zip(photos, results, strict=True):
        assert tagger is pets and tagged.prediction == pets.tag(photo, top=1)
        assert decode.read(tagged.heatmap or b"").shape == pets.heatmap(photo).shape
    assert pool.queued == 0


def test_what_a_task_raises_is_raised_by_its_future(pool: WorkerPool, pets: Tagger) -> None:
    def load() -> Tagger:
        raise OptionError("no such model")

    tasks = [PhotoTask(load, PHOTO), PhotoTask(lambda: pets, b"no photo")]
    errors = [future.exception(TIMEOUT) for future in pool.submit(tasks)]
    assert isinstance(errors[0], OptionError) and isinstance(errors[1], ImageFormatError)
    (wrong,) = pool.submit([PhotoTask(lambda: pets, PHOTO, threshold=2)])
    assert isinstance(wrong.exception(TIMEOUT), OptionError)
    (right,) = pool.submit([PhotoTask(lambda: pets, PHOTO)])
    assert right.result(TIMEOUT)[0] is pets


def test_a_full_queue_refuses_all_tasks_and_has_room_again_later(
    pool: WorkerPool, pets: Tagger
) -> None:
    go = threading.Event()

    def load() -> Tagger:
        go.wait(TIMEOUT)
        return pets

    blocked = pool.submit([PhotoTask(load, PHOTO)] * 4)
    assert pool.queued == 3
    with pytest.raises(BusyError, match="try again"):
        pool.submit([PhotoTask(load, PHOTO)] * 2)
    (last,) = pool.submit([PhotoTask(load, PHOTO)])
    with pytest.raises(BusyError):
        pool.submit([PhotoTask(load, PHOTO)])
    assert last.cancel()
    go.set()
    assert all(future.result(TIMEOUT) for future in blocked)
    wait_until(lambda: pool.queued == 0)
    assert pool.submit([PhotoTask(load, PHOTO)] * 5)[-1].result(TIMEOUT)


def test_an_idle_pool_takes_more_tasks_than_its_queue(pool: WorkerPool, pets: Tagger) -> None:
    """A request of many photos would otherwise never be answered."""
    futures = pool.submit([PhotoTask(lambda: pets, PHOTO)] * 9)
    assert all(future.result(TIMEOUT) for future in futures)


@linux
def test_processes_that_have_ended_are_replaced(pool: WorkerPool, pets: Tagger) -> None:
    before = set(process_ids())
    children = multiprocessing.active_children()
    signal_all(signal.SIGKILL)
    for child in children:
        child.join(TIMEOUT)
    futures = pool.submit([PhotoTask(lambda: pets, PHOTO)] * 3)
    assert [future.result(TIMEOUT)[1].prediction for future in futures] == [pets.tag(PHOTO)] * 3
    assert not before <= set(process_ids())


@linux
@pytest.mark.parametrize("photo", [PHOTO, PHOTO + bytes(3_000_000)], ids=["small", "3 MB"])
def test_processes_that_hang_are_replaced(
    pool: WorkerPool, pets: Tagger, photo: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """3 MB are more than a process that does not read lets others send."""
    monkeypatch.setattr(worker_pool, "HANG_SECONDS", 0.5)
    before = set(process_ids())
    signal_all(signal.SIGSTOP)

    def is_tagged() -> bool:
        (future,) = pool.submit([PhotoTask(lambda: pets, photo)])
        return future.exception(TIMEOUT) is None

    wait_until(is_tagged)  # the first photo may meet both of them
    assert not before <= set(process_ids())


def test_a_photo_that_takes_too_long_is_ended_with_a_sentence(
    pool: WorkerPool, pets: Tagger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_pool, "SMALL_SECONDS", 0.02)
    monkeypatch.setattr(worker_pool, "LARGE_SECONDS", 0.08)
    tasks = [PhotoTask(lambda: pets, scan_jpeg(side, 60)) for side in (5000, 7000)]
    for future in pool.submit(tasks):
        error = future.exception(TIMEOUT)
        assert isinstance(error, ImageError) and "takes longer than" in str(error)
    monkeypatch.undo()
    (future,) = pool.submit([PhotoTask(lambda: pets, PHOTO)])
    assert future.result(TIMEOUT)


def test_a_slow_photo_is_tagged_if_it_is_within_the_limit(
    pool: WorkerPool, pets: Tagger, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo = scan_jpeg(2500, 20)
    monkeypatch.setattr(worker_pool, "SMALL_SECONDS", 0.001)
    (future,) = pool.submit([PhotoTask(lambda: pets, photo)])
    assert future.result(TIMEOUT)[1].prediction == pets.tag(photo)


def test_slow_photos_do_not_hold_up_others(pool: WorkerPool, pets: Tagger) -> None:
    slow = pool.submit([PhotoTask(lambda: pets, scan_jpeg(7000, 90))] * 4)
    (future,) = pool.submit([PhotoTask(lambda: pets, PHOTO)])
    assert future.result(TIMEOUT) and not slow[1].done()


def test_photos_that_nobody_waits_for_are_ended(pool: WorkerPool, pets: Tagger) -> None:
    slow = pool.submit([PhotoTask(lambda: pets, scan_jpeg(7000, 90))] * 4)
    (future,) = pool.submit([PhotoTask(lambda: pets, PHOTO)])
    assert future.result(TIMEOUT)
    pool.give_up(slow[1:])  # these give their places up at once
    assert all(isinstance(task.exception(TIMEOUT), BusyError) for task in slow[1:])
    pool.give_up(slow)
    assert slow[0].exception(TIMEOUT)
    assert pool.queued == 0


def test_photos_may_be_given_up_at_any_moment(pets: Tagger) -> None:
    """Whether they wait, run, or are on their way to the large ones."""
    pool, random = WorkerPool(2, 64), Random(13)
    large = scan_jpeg(5900, 1)
    try:
        for _ in range(25):
            photos = [large if random.random() < 0.7 else PHOTO for _ in range(3)]
            futures = pool.submit([PhotoTask(lambda: pets, photo) for photo in photos])
            time.sleep(random.random() / 50)
            pool.give_up(futures)
        (future,) = pool.submit([PhotoTask(lambda: pets, PHOTO)])
        assert future.result(TIMEOUT)[1].prediction == pets.tag(PHOTO)
        wait_until(lambda: pool.queued == 0)
    finally:
        pool.close()


def test_a_photo_that_needs_too_much_memory_is_refused_by_its_header(
    pool: WorkerPool, pets: Tagger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_pool, "LARGE_MEMORY", 100 * 2**20)
    (future,) = pool.submit([PhotoTask(lambda: pets, scan_jpeg(7900, 1))])
    error = future.exception(TIMEOUT)
    assert isinstance(error, ImageTooLargeError) and "MB of memory to decode" in str(error)


@linux
def test_a_check_asks_a_process(pool: WorkerPool, pets: Tagger) -> None:
    pool.check(pets, TIMEOUT)
    signal_all(signal.SIGSTOP)
    with pytest.raises(BusyError, match="no worker answers"):
        pool.check(pets, 0.2)


@linux
def test_closing_ends_all_processes_whatever_they_do(pets: Tagger) -> None:
    pool = WorkerPool(1, 4)
    pool.warm_up(pets)
    signal_all(signal.SIGSTOP)
    futures = pool.submit([PhotoTask(lambda: pets, PHOTO)] * 3)
    pool.close()
    assert not process_ids()
    assert all(isinstance(future.exception(TIMEOUT), BusyError) for future in futures)
    with pytest.raises(BusyError):
        pool.submit([PhotoTask(lambda: pets, PHOTO)])


def test_invalid_sizes_are_refused() -> None:
    for workers, queue in ((0, 1), (1, -1)):
        with pytest.raises(OptionError, match="at least 1 and 0"):
            WorkerPool(workers, queue)


@linux
def test_workers_have_a_lower_priority_than_the_service(pool: WorkerPool) -> None:
    own = os.getpriority(os.PRIO_PROCESS, 0)
    for process_id in process_ids():
        assert os.getpriority(os.PRIO_PROCESS, process_id) == min(19, own + NICENESS)
