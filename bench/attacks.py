"""Attacks on one running service, one after the other, with ordinary photos between them.

python bench/attacks.py

Each ordinary photo has to be tagged within two seconds, all processes together stay within 1.2 GB
at every moment and within 150 MB of idle ten seconds later, and the service is not restarted.
"""

from __future__ import annotations

import sys
import time

from measuring import BENCH, Row, at_most, make_parser, publish, temporary_folder

sys.path.insert(0, str(BENCH.parent))
from tests.service.attacks import attacks, ordinary_photos, resident_memory
from tests.service.service_process import run_service

MAX_SECONDS, MAX_MB, MAX_GROWTH_MB = 2.0, 1200, 150
PAUSE = 10  # seconds, until memory has to be back


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="share of what each attack sends")
    options = parser.parse_args()
    rows: list[Row] = []
    with (
        temporary_folder() as folder,
        run_service(folder / "home", TAGGER_MODEL="everyday", TAGGER_WORKERS="2") as service,
    ):
        process_id = service.process.pid
        with ordinary_photos(service.port, process_id) as measures:
            time.sleep(PAUSE)
        idle = resident_memory(process_id)
        slowest = max(measures.seconds)
        rows.append({"what": "no attack: slowest photo, s", "measured": slowest, "bar": ""})
        rows.append({"what": "idle, MB", "measured": idle / 1e6, "bar": ""})
        for name, attack in attacks(options.scale).items():
            with ordinary_photos(service.port, process_id) as measures:
                attack(service.port)
            time.sleep(PAUSE)
            slowest, peak = max(measures.seconds), measures.peak / 1e6
            growth = (resident_memory(process_id) - idle) / 1e6
            rows += [
                row(f"{name}: slowest photo, s", slowest, MAX_SECONDS),
                row("all processes, MB", peak, MAX_MB),
                row("more than idle later, MB", growth, MAX_GROWTH_MB),
            ]
        service.check()
    publish("Attacks, with ordinary photos between them", rows, {}, options.json)


def row(what: str, value: float, bar: float) -> Row:
    return {"what": what, "measured": value, "bar": at_most(value, bar)}


if __name__ == "__main__":
    main()
