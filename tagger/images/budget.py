"""A budget of bytes that the threads of this process share."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class ByteBudget:
    """Lets threads go ahead while what they need together fits into `total` bytes.

    They wait in line, so that a large need is not passed over by smaller ones for ever. What needs
    more than all of it goes ahead alone; what needs less than `free` never waits.
    """

    def __init__(self, total: int, free: int) -> None:
        self._total, self._free = total, free
        self._line = threading.Lock()
        self._room = threading.Condition()
        self._held = 0

    @contextmanager
    def hold(self, count: int) -> Iterator[None]:
        """Wait until `count` bytes are free, and hold them."""
        if count < self._free:
            yield
            return
        count = min(count, self._total)
        with self._line, self._room:
            self._room.wait_for(lambda: self._held + count <= self._total)
            self._held += count
        try:
            yield
        finally:
            with self._room:
                self._held -= count
                self._room.notify_all()
