"""The budget of bytes that threads share."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

from tagger.images.budget import ByteBudget


def test_threads_never_hold_more_than_the_budget_and_all_get_on() -> None:
    budget, lock = ByteBudget(100, free=10), threading.Lock()
    held, most = 0, 0

    def work(count: int) -> int:
        nonlocal held, most
        with budget.hold(count):
            with lock:
                held += count
                most = max(most, held)
            time.sleep(0.002)
            with lock:
                held -= count
        return count

    counts = [15, 60, 100, 40, 30, 90] * 5
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(work, counts)) == counts
    assert 60 < most <= 100


def test_a_need_beyond_the_budget_goes_ahead_alone_and_small_ones_pass_it() -> None:
    budget = ByteBudget(100, free=10)
    waiting = threading.Event()

    def take_all() -> None:
        with budget.hold(500):
            waiting.set()

    with budget.hold(20):
        thread = threading.Thread(target=take_all)
        thread.start()
        assert not waiting.wait(0.05)
        with budget.hold(9):
            pass
    thread.join(5)
    assert waiting.is_set()


def test_an_error_gives_back_what_was_held() -> None:
    budget = ByteBudget(100, free=10)
    for _ in range(3):
        try:
            with budget.hold(100):
                raise OSError
        except OSError:
            pass
