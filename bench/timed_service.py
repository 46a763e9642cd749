"""The service, with a note of how long each prediction waited to be logged.

python bench/timed_service.py NOTES.json PORT
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path

from tagger.service import app
from tagger.service.prediction_log import Entry, PredictionLog

write = PredictionLog.write


def main() -> int:
    notes, port = Path(sys.argv[1]), sys.argv[2]
    seconds: list[float] = []

    def timed_write(self: PredictionLog, entries: Sequence[Entry]) -> Future[int]:
        started = time.perf_counter()
        logged = write(self, entries)
        logged.add_done_callback(lambda _: seconds.append(time.perf_counter() - started))
        return logged

    PredictionLog.write = timed_write  # type: ignore[method-assign]
    try:
        return app.main(["--port", port])
    finally:
        notes.write_text(json.dumps(seconds))


if __name__ == "__main__":
    sys.exit(main())
