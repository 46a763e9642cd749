"""Ctrl-C during training: raised between two steps, since half a step makes TensorFlow unusable."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TypeVar

from tagger.concurrency import Progress

T = TypeVar("T")


class TrainingInterrupted(KeyboardInterrupt):
    """Ctrl-C between two steps of training."""


@contextmanager
def interrupt_between_steps(progress: Progress) -> Iterator[Progress]:
    """`progress`, whose loops raise TrainingInterrupted before the step after the first Ctrl-C.

    The second Ctrl-C raises KeyboardInterrupt at once. TensorFlow, interrupted while it traces a
    function, stays in that function's graph and computes nothing afterwards. Outside the main
    thread, and where SIGINT is ignored, nothing changes.
    """
    previous = signal.getsignal(signal.SIGINT)
    interrupted = threading.Event()

    def handle(number: int, frame: FrameType | None) -> None:
        interrupted.set()
        signal.signal(number, previous)

    def interruptible(items: Iterable[T], total: int, stage: str) -> Iterable[T]:
        for item in progress(items, total, stage):
            if interrupted.is_set():
                raise TrainingInterrupted
            yield item

    if not callable(previous) or threading.current_thread() is not threading.main_thread():
        yield progress
        return
    signal.signal(signal.SIGINT, handle)
    try:
        yield interruptible
    finally:
        signal.signal(signal.SIGINT, previous)
