"""A line of JSON on standard output for each request."""

from __future__ import annotations

import json
import logging
import queue
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

MAX_QUEUED = 10_000  # lines at most: where nobody reads them, the newest are left out
GATHER_SECONDS = 0.05  # seconds that lines are gathered for
_log = logging.getLogger(__name__)


def _to_standard_output(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


class AccessLog:
    """Writes from a thread of its own: no request waits for whoever reads the lines."""

    def __init__(self, write: Callable[[str], object] = _to_standard_output) -> None:
        """`write` gets whole lines, several at a time."""
        self._write = write
        self._waiting: queue.Queue[Mapping[str, Any] | None] = queue.Queue(MAX_QUEUED)
        self._left_out = 0
        self._counting = threading.Lock()
        self._writer = threading.Thread(target=self._write_on, name="request log", daemon=True)
        self._writer.start()

    def add(self, line: Mapping[str, Any]) -> None:
        """Write that, soon. Where too many lines wait, it is counted instead."""
        try:
            self._waiting.put_nowait(line)
        except queue.Full:
            self._leave_out(1)

    def close(self, patience: float = 2.0) -> None:
        """Write what waits, for so many seconds at most."""
        until = time.monotonic() + patience
        while self._writer.is_alive() and time.monotonic() < until:
            try:
                self._waiting.put_nowait(None)
                break
            except queue.Full:
                time.sleep(GATHER_SECONDS)
        self._writer.join(max(0.0, until - time.monotonic()))

    def _leave_out(self, count: int) -> None:
        with self._counting:
            self._left_out += count

    def _left_out_so_far(self) -> int:
        """And count anew."""
        with self._counting:
            count, self._left_out = self._left_out, 0
            return count

    def _write_on(self) -> None:
        ended = warned = False
        while not ended:
            lines = [self._waiting.get()]
            if lines[0] is not None:
                time.sleep(GATHER_SECONDS)
            lines += [self._waiting.get_nowait() for _ in range(self._waiting.qsize())]
            ended = None in lines
            told = [line for line in lines if line is not None]
            missing = self._left_out_so_far()
            lost = missing + len(told)  # where this cannot be written, either
            if missing:
                told.append({"left_out": missing})
            try:
                self._write("".join(f"{json.dumps(line)}\n" for line in told))
            except (BrokenPipeError, ValueError) as error:  # whoever read them has gone
                _log.warning("requests are no longer told of: %s", error)
                return
            except OSError as error:  # a full disk may have room again
                self._leave_out(lost)
                if not warned:
                    _log.warning("some requests cannot be told of: %s", error)
                warned = True
