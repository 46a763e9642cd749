"""The service as it is, with a note of how long each answer waited to be written down.

python bench/timed_service.py NOTES.json PORT
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path

from tagger.service import app, prediction_log
from tagger.service.prediction_log import Entry

write = prediction_log.PredictionLog.write


def main() -> int:
    notes, port = Path(sys.argv[1]), sys.argv[2]
    waited: list[float] = []

    def timed(self: prediction_log.PredictionLog, entries: Sequence[Entry]) -> Future[int]:
        began = time.perf_counter()
        written = write(self, entries)
        written.add_done_callback(lambda _: waited.append(time.perf_counter() - began))
        return written

    prediction_log.PredictionLog.write = timed  # type: ignore[method-assign]
    sys.argv[1:] = ["--port", port]
    try:
        return app.main()
    finally:
        notes.write_text(json.dumps(waited))


if __name__ == "__main__":
    sys.exit(main())
