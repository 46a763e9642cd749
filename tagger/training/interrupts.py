"""Ctrl-C during training waits for the end of a step: half a step makes TensorFlow unusable."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class TrainingInterrupted(KeyboardInterrupt):
    """Ctrl-C between two steps of training."""


@contextmanager
def defer_interrupt() -> Iterator[threading.Event]:
    """An event that the first Ctrl-C sets; the second one raises KeyboardInterrupt at once.

    TensorFlow, interrupted while it traces a function, stays in that function's graph and computes
    nothing afterwards. Outside the main thread, and where SIGINT is ignored, nothing changes.
    """
    previous = signal.getsignal(signal.SIGINT)
    interrupted = threading.Event()

    def handle(number: int, frame: FrameType | None) -> None:
        interrupted.set()
        signal.signal(number, previous)

    if not callable(previous) or threading.current_thread() is not threading.main_thread():
        yield interrupted
        return
    signal.signal(signal.SIGINT, handle)
    try:
        yield interrupted
    finally:
        signal.signal(signal.SIGINT, previous)
