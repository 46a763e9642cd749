"""Ctrl-C is deferred once; the second one, other threads and ignored signals are not affected."""

import signal
import threading

import pytest

from tagger.training.interrupts import defer_interrupt


def test_the_first_ctrl_c_only_sets_the_event() -> None:
    before = signal.getsignal(signal.SIGINT)
    with defer_interrupt() as interrupted:
        assert not interrupted.is_set()
        signal.raise_signal(signal.SIGINT)
        assert interrupted.is_set()
    assert signal.getsignal(signal.SIGINT) is before


def test_a_second_ctrl_c_does_not_wait() -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), defer_interrupt():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_other_threads_and_ignored_signals_are_not_affected() -> None:
    handlers = []

    def run_in_thread() -> None:
        with defer_interrupt():
            handlers.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=run_in_thread)
    thread.start()
    thread.join()
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with defer_interrupt() as interrupted:
            signal.raise_signal(signal.SIGINT)
            assert not interrupted.is_set()
    finally:
        signal.signal(signal.SIGINT, before)
    assert handlers == [before]
