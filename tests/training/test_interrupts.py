"""Ctrl-C between two steps of training."""

import signal
import threading

import pytest

from tagger.concurrency import Progress, silent
from tagger.training.interrupts import TrainingInterrupted, interrupt_between_steps


def test_ctrl_c_finishes_the_current_step_and_begins_no_other() -> None:
    before, done = signal.getsignal(signal.SIGINT), []
    with pytest.raises(TrainingInterrupted), interrupt_between_steps(silent) as interruptible:
        for step in interruptible(range(9), 9, "steps"):
            if step == 3:
                signal.raise_signal(signal.SIGINT)
            done.append(step)
    assert done == [0, 1, 2, 3]
    assert signal.getsignal(signal.SIGINT) is before


def test_a_second_ctrl_c_does_not_wait() -> None:
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


def test_ctrl_c_between_two_loops_ends_the_next_one() -> None:
    with pytest.raises(TrainingInterrupted), interrupt_between_steps(silent) as interruptible:
        assert list(interruptible(range(2), 2, "steps")) == [0, 1]
        signal.raise_signal(signal.SIGINT)
        list(interruptible(range(2), 2, "steps"))


def test_other_threads_and_ignored_signals_are_not_affected() -> None:
    progresses: list[Progress] = []

    def run_in_thread() -> None:
        with interrupt_between_steps(silent) as progress:
            progresses.append(progress)

    thread = threading.Thread(target=run_in_thread)
    thread.start()
    thread.join()
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with interrupt_between_steps(silent) as progress:
            progresses.append(progress)
            signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)
    assert progresses == [silent, silent]
