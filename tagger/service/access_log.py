"""Request log: one JSON line per request on standard output.

Logging never blocks a request; lines that cannot be written are counted in `left_out`.
"""

from __future__ import annotations

import json
import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

MAX_QUEUED = 10_000  # lines; the newest are dropped if nobody reads standard output
GATHER_SECONDS = 0.05  # between two writes
_log = logging.getLogger(__name__)
_print = partial(print, end="", flush=True)


class AccessLog:
    """Writes lines in a thread; logging's QueueListener takes three times as long per line."""

    def __init__(self, write: Callable[[str], object] = _print) -> None:
        """`write` gets whole lines, several at a time; by default it prints them."""
        self._write = write
        self._queue: queue.Queue[Mapping[str, Any] | None] = queue.Queue(MAX_QUEUED)
        self._left_out = 0
        self._lock = threading.Lock()
        self._writer = threading.Thread(target=self._run, name="request log", daemon=True)
        self._writer.start()

    def add(self, line: Mapping[str, Any]) -> None:
        """Write a line soon, or count it as left out if too many are queued."""
        try:
            self._queue.put_nowait(line)
        except queue.Full:
            self._count_left_out(1)

    def close(self, timeout: float = 2.0) -> None:
        """Write the queued lines, for `timeout` seconds at most."""
        deadline = time.monotonic() + timeout
        while self._writer.is_alive() and time.monotonic() < deadline:
            try:
                self._queue.put_nowait(None)
                break
            except queue.Full:
                time.sleep(GATHER_SECONDS)
        self._writer.join(max(0.0, deadline - time.monotonic()))

    def _count_left_out(self, count: int) -> None:
        with self._lock:
            self._left_out += count

    def _take_left_out(self) -> int:
        """The count, which starts again at 0."""
        with self._lock:
            count, self._left_out = self._left_out, 0
            return count

    def _run(self) -> None:
        stopped = warned = False
        while not stopped:
            batch = [self._queue.get()]
            if batch[0] is not None:
                time.sleep(GATHER_SECONDS)
            batch += [self._queue.get_nowait() for _ in range(self._queue.qsize())]
            stopped = None in batch
            lines = [line for line in batch if line is not None]
            left_out = self._take_left_out()
            lost = left_out + len(lines)  # if this write fails as well
            if left_out:
                lines.append({"left_out": left_out})
            try:
                self._write("".join(f"{json.dumps(line)}\n" for line in lines))
            except (BrokenPipeError, ValueError) as error:  # the reader has gone
                _log.warning("requests are no longer logged: %s", error)
                return
            except OSError as error:  # a full disk may have room again
                self._count_left_out(lost)
                if not warned:
                    _log.warning("some requests cannot be logged: %s", error)
                warned = True
