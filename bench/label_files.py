"""Label files as long as they may be, and longer: how long each is read, or refused.

python bench/label_files.py
"""

from __future__ import annotations

import sys
import time
from statistics import median

from measuring import BENCH, Row, at_most, make_parser, publish, temporary_folder

sys.path.insert(0, str(BENCH.parent))
from tests.datasets.long_label_files import (
    LONG_TABLES,
    LONG_YAML,
    describe_listing,
    write_long_table,
    write_long_yaml,
)

BAR = 3.0  # seconds
REPEATS = 3


def main() -> None:
    options = make_parser(__doc__).parse_args()
    rows: list[Row] = []
    for kind, cases, write in (
        ("labels.csv", LONG_TABLES, write_long_table),
        ("data.yaml", LONG_YAML, write_long_yaml),
    ):
        for name, (text, outcome) in cases.items():
            with temporary_folder() as folder:
                write(folder, text)
                seconds = []
                for _ in range(REPEATS):
                    started = time.perf_counter()
                    assert outcome in describe_listing(folder), name
                    seconds.append(time.perf_counter() - started)
            middle = median(seconds)
            rows.append({"file": f"{kind}: {name}", "s": middle, "bar": at_most(middle, BAR)})
    publish("Long label files, read or refused", rows, {}, options.json)


if __name__ == "__main__":
    main()
