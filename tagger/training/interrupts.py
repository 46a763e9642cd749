"""Ctrl-C while a network learns: between two steps, since it cannot be used after half of one."""

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
    """Ctrl-C, at a moment when nothing was half done."""


@contextmanager
def interrupt_between_steps(progress: Progress) -> Iterator[Progress]:
    """`progress` for loops that raise StepInterrupt before the item after the first Ctrl-C.

    The second raises KeyboardInterrupt at once. TensorFlow cut short in the middle of tracing a
    function stays in that function's graph, and refuses to compute anything afterwards. Where
    Ctrl-C does not reach this thread, or is ignored, nothing changes.
    """
    before = signal.getsignal(signal.SIGINT)
    asked = threading.Event()

    def note(number: int, frame: FrameType | None) -> None:
        asked.set()
        signal.signal(number, before)

    def interruptible(items: Iterable[T], total: int, what: str) -> Iterable[T]:
        for item in progress(items, total, what):
            if asked.is_set():
                raise TrainingInterrupted
            yield item

    if not callable(before) or threading.current_thread() is not threading.main_thread():
        yield progress
        return
    signal.signal(signal.SIGINT, note)
    try:
        yield interruptible
    finally:
        signal.signal(signal.SIGINT, before)
