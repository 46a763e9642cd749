"""Ctrl-C between two steps."""

import signal
import threading

import pytest

from tagger.concurrency import silent
from tagger.training.interrupts import TrainingInterrupted, interrupt_between_steps


def test_the_step_at_hand_is_finished_and_the_next_not_begun() -> None:
    before, done = signal.getsignal(signal.SIGINT), []
    with pytest.raises(TrainingInterrupted), interrupt_between_steps(silent) as interruptible:
        for step in interruptible(range(9), 9, "steps"):
            if step == 3:
                signal.raise_signal(signal.SIGINT)
            done.append(step)
    assert done == [0, 1, 2, 3]
    assert signal.getsignal(signal.SIGINT) is before


def test_asked_twice_it_does_not_wait() -> None:
    done = []
    with (
        pytest.raises(KeyboardInterrupt) as raised,
        interrupt_between_steps(silent) as interruptible,
    ):
        for step in interruptible(range(9), 9, "steps"):
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
            done.append(step)
    assert not done and raised.type is KeyboardInterrupt


def test_an_interrupt_between_two_loops_ends_the_next_one() -> None:
    with pytest.raises(TrainingInterrupted), interrupt_between_steps(silent) as interruptible:
        assert list(interruptible(range(2), 2, "steps")) == [0, 1]
        signal.raise_signal(signal.SIGINT)
        list(interruptible(range(2), 2, "steps"))


def test_other_threads_and_ignored_signals_are_left_alone() -> None:
    found = []

    def elsewhere() -> None:
        with interrupt_between_steps(silent) as interruptible:
            found.append(interruptible)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with interrupt_between_steps(silent) as interruptible:
            found.append(interruptible)
            signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)
    assert found == [silent, silent]
